//! The plan: pure, from a table and what a procfs or sysfs has, to the ordered steps that add what is missing.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::filesystem::Filesystem;
use crate::key::SysctlKey;
use crate::namespaced;
use crate::observe::{Kind, Listed, Observation, Seen};
use crate::table::{Table, When};

/// Where the plan is to be carried out; it decides how originals are passed through and what may be written. Paths are
/// relative to the root of the procfs, or of the sysfs, that the plan is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// Around a program, whose children may enter other namespaces: what belongs to a namespace is linked to the
    /// overmounted folder itself, so that it is resolved by whoever reads it. In sysfs nothing does.
    Program {
        /// Whether anything takes writes: entries with mode 0644 then do, and originals as they did before. A program that
        /// only reads has all originals of procfs linked, which costs next to nothing.
        writes: bool,
    },
    /// In a container, from within all of its namespaces: everything is passed through by bind, and nothing
    /// becomes writable that would not be without us.
    Container {
        /// Paths that the container has, or will have, read-only.
        read_only: Vec<String>,
        /// Paths that the container has, or will have, masked; what lies there is left alone.
        masked: Vec<String>,
    },
}

/// Name, in an overmount around a program, of the folder that it covers.
///
/// A bind of `net`, `kernel`, `fs` or `user` itself follows its reader; of what lies below, only a path does. The folder
/// is inside `/proc/sys` because sysctl(8) of procps 4 refuses a key whose resolved path is not.
pub const UNDERLAY: &str = "procemu";

/// One step. Paths are relative to the root of the file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// A tmpfs folder over this folder; the steps up to the next overmount or replacement fill it.
    Overmount {
        /// The folder.
        folder: String,
    },
    /// The overmounted folder itself, as it was, bound at [`UNDERLAY`] in the overmount for links to lead to.
    Underlay {
        /// Where: the overmounted folder's path and [`UNDERLAY`].
        path: String,
        /// Whether the bind is made read-only.
        read_only: bool,
    },
    /// A folder of our own in an overmount: a missing one, or one whose entries are passed through one by one.
    Folder {
        /// Where.
        path: String,
    },
    /// A key of ours in an overmount.
    Emulate {
        /// The key.
        key: SysctlKey,
        /// Whether it takes writes.
        writable: bool,
    },
    /// An original bound back, with all that is mounted below it.
    Pass {
        /// Where.
        path: String,
        /// Whether it is a folder.
        folder: bool,
        /// Whether the bind is made read-only; one that was read-only stays so in any case.
        read_only: bool,
    },
    /// An original reached through a link.
    Link {
        /// Where.
        path: String,
        /// The link's target, relative to its folder.
        target: String,
    },
    /// A file of ours bound on an existing key.
    Replace {
        /// The key.
        key: SysctlKey,
        /// Whether it takes writes.
        writable: bool,
    },
}

/// Ordered steps, parents before children. Empty where nothing is lacking.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Where they are carried out.
    #[serde(default, skip_serializing_if = "Filesystem::is_proc")]
    pub filesystem: Filesystem,
    /// The steps.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Computes what has to be done for those keys of `table` that lie in the file system that `seen` has looked at, in
    /// `placement`.
    ///
    /// # Errors
    /// `Input` for a key that names a folder, crosses a file, or would need a new entry in the root of the file system.
    pub fn new(table: &Table, seen: &Observation, placement: &Placement) -> Result<Self> {
        refuse_nested(table)?;
        let wanted = wanted(table, seen, placement)?;
        let roots = overmounted(&wanted);
        let layout = Layout::new(&wanted, &roots, seen, placement);
        let mut steps = Vec::new();
        for root in roots.iter().copied() {
            steps.push(Step::Overmount {
                folder: root.to_owned(),
            });
            let first = steps.len();
            layout.fill(root, root, &mut steps);
            layout.add_underlay(root, first, &mut steps);
        }
        for want in wanted
            .iter()
            .filter(|want| root_above(&roots, want.key.parent()).is_none())
        {
            steps.push(Step::Replace {
                key: want.key.clone(),
                writable: want.writable,
            });
        }
        Ok(Self {
            filesystem: seen.filesystem,
            steps,
        })
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The folders that will be overmounted.
    pub fn overmounts(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().filter_map(|step| match step {
            Step::Overmount { folder } => Some(folder.as_str()),
            _ => None,
        })
    }

    /// The keys that will hold a value of ours, with whether they take writes.
    pub fn emulated(&self) -> impl Iterator<Item = (&SysctlKey, bool)> {
        self.steps.iter().filter_map(|step| match step {
            Step::Emulate { key, writable } | Step::Replace { key, writable } => Some((key, *writable)),
            _ => None,
        })
    }

    /// Where its mounts go: the overmounted folders and the replaced keys.
    pub(crate) fn targets(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().filter_map(|step| match step {
            Step::Overmount { folder } => Some(folder.as_str()),
            Step::Replace { key, .. } => Some(key.path()),
            _ => None,
        })
    }

    /// Whether a path (relative to the root of the file system) is changed by the plan, or lies below what is.
    pub fn crosses(&self, path: &str) -> bool {
        self.steps.iter().any(|step| match step {
            Step::Overmount { folder } => under(path, folder),
            Step::Replace { key, .. } => key.path() == path,
            _ => false,
        })
    }
}

/// A table that asks for a file and a folder of one name can be had nowhere.
pub(crate) fn refuse_nested(table: &Table) -> Result<()> {
    match table.nested() {
        Some((key, folder)) => Err(Error::input(format!(
            "{key}: the table has {folder} as a key too, and a key is no folder; drop one of them"
        ))),
        None => Ok(()),
    }
}

/// A key that needs a value of ours.
pub(crate) struct Want<'a> {
    pub key: &'a SysctlKey,
    /// The folder to be overmounted for it; `None` for a bind on the existing key.
    root: Option<&'a str>,
    writable: bool,
}

pub(crate) fn wanted<'a>(
    table: &'a Table,
    seen: &'a Observation,
    placement: &Placement,
) -> Result<Vec<Want<'a>>> {
    let in_container = matches!(placement, Placement::Container { .. });
    let mut wanted = Vec::new();
    // Both are in the order of the keys.
    let mut looked_at = seen.keys.iter().peekable();
    let in_place = |(key, _): &(&SysctlKey, _)| key.filesystem() == seen.filesystem;
    for (key, entry) in table.iter().filter(in_place) {
        if masked(placement, key.path()) {
            continue;
        }
        let writable =
            |read_only: bool| entry.mode.is_writable() && may_be_written(placement, key, read_only);
        // Around a program, what belongs to a namespace is seen from all of them only below its anchor.
        let anchor = match placement {
            Placement::Program { .. } => anchor(seen.filesystem, key.path()),
            Placement::Container { .. } => None,
        };
        while looked_at.next_if(|(other, _)| *other < key).is_some() {}
        match looked_at
            .next_if(|(other, _)| *other == key)
            .map(|(_, seen)| seen)
        {
            // A container whose procfs has no /proc/sys at all (subset=pid) is not to see one.
            Some(Seen::Missing { nearest })
                if nearest.is_empty() && in_container && key.below_sys().is_some() => {}
            Some(Seen::Missing { nearest }) if nearest.is_empty() => {
                return Err(Error::input(format!(
                    "{key}: cannot be added: that needs a new entry in the root of {}, which stays the kernel's",
                    seen.filesystem.name()
                )));
            }
            Some(Seen::Missing { nearest }) => {
                let read_only = seen.folders.get(nearest).is_some_and(|folder| folder.read_only);
                let anchor = anchor.filter(|anchor| under(nearest, anchor));
                wanted.push(Want {
                    key,
                    root: Some(anchor.unwrap_or(nearest)),
                    writable: writable(read_only),
                });
            }
            Some(Seen::Present {
                kind: Kind::Folder, ..
            }) => {
                return Err(Error::input(format!(
                    "{key}: names a folder of this kernel; a key is a file"
                )));
            }
            Some(Seen::Present {
                kind,
                serves,
                read_only,
            }) => {
                let replace = match entry.when {
                    When::Missing => false,
                    When::Unwritable | When::Zero => !serves,
                    When::Always => true,
                };
                if replace {
                    // Nothing can be mounted on a link: the folder that holds it makes room instead.
                    let folder = matches!(kind, Kind::Link(_)).then_some(key.parent());
                    wanted.push(Want {
                        key,
                        root: anchor.or(folder).filter(|root| !root.is_empty()),
                        writable: writable(*read_only),
                    });
                }
            }
            Some(Seen::Blocked { at }) => {
                return Err(Error::input(format!(
                    "{key}: {}/{at} is a file of this kernel, not a folder",
                    seen.filesystem.mountpoint()
                )));
            }
            None => {
                return Err(Error::input(format!(
                    "{key}: was not looked at; observe the same table"
                )));
            }
        }
    }
    Ok(wanted)
}

/// The folder from which down `path` belongs to a namespace; nothing in sysfs does, as far as a key is concerned.
fn anchor(filesystem: Filesystem, path: &str) -> Option<&'static str> {
    namespaced::anchor(path).filter(|_| filesystem.is_proc())
}

fn may_be_written(placement: &Placement, key: &SysctlKey, on_read_only: bool) -> bool {
    match placement {
        Placement::Program { writes } => *writes,
        Placement::Container { read_only, .. } => !on_read_only && !listed(read_only, key.path()),
    }
}

fn masked(placement: &Placement, path: &str) -> bool {
    match placement {
        Placement::Program { .. } => false,
        Placement::Container { masked, .. } => listed(masked, path),
    }
}

/// Whether `path` is one of `paths` or below one.
fn listed(paths: &[String], path: &str) -> bool {
    paths
        .iter()
        .any(|at| at.is_empty() || path == at || under(path, at))
}

/// Whether `path` is `folder` or lies below it.
fn under(path: &str, folder: &str) -> bool {
    folder.is_empty()
        || path
            .strip_prefix(folder)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The folders to overmount, none below another.
pub(crate) fn overmounted<'a>(wanted: &[Want<'a>]) -> BTreeSet<&'a str> {
    let all: BTreeSet<&str> = wanted.iter().filter_map(|want| want.root).collect();
    let below_another = |root: &str| root_above(&all, parent(root)).is_some();
    all.iter().copied().filter(|root| !below_another(root)).collect()
}

/// That one of `roots` which `path` is, or lies below.
fn root_above<'a>(roots: &BTreeSet<&'a str>, path: &str) -> Option<&'a str> {
    let mut above = std::iter::successors(Some(path), |path| (!path.is_empty()).then(|| parent(path)));
    above.find_map(|path| roots.get(path).copied())
}

/// The folder that `path` lies in.
fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// What the overmounts are made of.
struct Layout<'a> {
    placement: &'a Placement,
    seen: &'a Observation,
    /// What each of our own folders, from each overmount down to each of our keys, has of ours.
    folders: BTreeMap<&'a str, Vec<(&'a str, Node<'a>)>>,
}

/// What has a name in a folder of ours.
#[derive(Clone, Copy)]
enum Node<'a> {
    /// A key of ours, and whether it takes writes.
    Key(&'a SysctlKey, bool),
    /// Another folder of ours.
    Folder,
    /// What is there already.
    Original(&'a Listed),
}

impl<'a> Layout<'a> {
    fn new(
        wanted: &[Want<'a>],
        roots: &BTreeSet<&'a str>,
        seen: &'a Observation,
        placement: &'a Placement,
    ) -> Self {
        let mut folders: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for want in wanted {
            let Some(root) = root_above(roots, want.key.parent()) else {
                continue;
            };
            let (mut folder, mut child) = (
                want.key.parent(),
                (want.key.name(), Node::Key(want.key, want.writable)),
            );
            loop {
                let own = folders.entry(folder).or_default();
                let is_new = own.is_empty();
                own.push(child);
                if !is_new || folder.len() <= root.len() {
                    break;
                }
                let (above, name) = folder.rsplit_once('/').unwrap_or(("", folder));
                (folder, child) = (above, (name, Node::Folder));
            }
        }
        Self {
            placement,
            seen,
            folders,
        }
    }

    /// The steps for everything in `folder`, which is one of ours.
    fn fill(&self, root: &str, folder: &str, steps: &mut Vec<Step>) {
        let own = self.folders.get(folder).into_iter().flatten().copied();
        let existing = self.seen.folders.get(folder).into_iter();
        let existing = existing
            .flat_map(|folder| &folder.entries)
            .map(|(name, listed)| (name.as_str(), Node::Original(listed)));
        let mut nodes: Vec<(&str, Node<'_>)> = own.chain(existing).collect();
        // The sort is stable, so that of two of one name ours comes first and stays.
        nodes.sort_by_key(|(name, _)| *name);
        nodes.dedup_by_key(|(name, _)| *name);
        steps.reserve(nodes.len());
        for (name, node) in nodes {
            let path = || [folder, "/", name].concat();
            match node {
                Node::Key(key, writable) => steps.push(Step::Emulate {
                    key: key.clone(),
                    writable,
                }),
                Node::Folder => {
                    let path = path();
                    steps.push(Step::Folder { path: path.clone() });
                    self.fill(root, &path, steps);
                }
                Node::Original(listed) => {
                    steps.push(self.original(root, path(), &listed.kind, listed.own && name != UNDERLAY));
                }
            }
        }
    }

    /// Puts the folder under `root` where the links among the steps from `first` on lead to, if there are any. An
    /// overmount on an overmount passes the one below on.
    fn add_underlay(&self, root: &str, first: usize, steps: &mut Vec<Step>) {
        let path = format!("{root}/{UNDERLAY}");
        let linked = steps[first..]
            .iter()
            .any(|step| matches!(step, Step::Link { .. }));
        let there = self
            .seen
            .folders
            .get(root)
            .is_some_and(|folder| folder.entries.contains_key(UNDERLAY));
        if linked && !there {
            let read_only = matches!(self.placement, Placement::Program { writes: false });
            steps.insert(first, Step::Underlay { path, read_only });
        }
    }

    fn original(&self, root: &str, path: String, kind: &Kind, own: bool) -> Step {
        match (kind, self.placement) {
            (Kind::Link(target), _) => Step::Link {
                path,
                target: target.clone(),
            },
            (_, Placement::Program { writes })
                if own
                    && self.seen.filesystem.is_proc()
                    && (!writes || namespaced::anchor(&path).is_some()) =>
            {
                let below = path.strip_prefix(root).unwrap_or(&path).trim_start_matches('/');
                let up = "../".repeat(below.matches('/').count());
                Step::Link {
                    target: format!("{up}{UNDERLAY}/{below}"),
                    path,
                }
            }
            (kind, placement) => {
                let read_only = match placement {
                    Placement::Program { writes } => !writes,
                    Placement::Container { read_only, .. } => listed(read_only, &path),
                };
                Step::Pass {
                    path,
                    folder: *kind == Kind::Folder,
                    read_only,
                }
            }
        }
    }
}
