//! The snapshot: what a plan's tmpfs holds, first as plain data, then written into a mounted tmpfs.

use std::collections::{BTreeSet, btree_map};
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, FileType, IFlags, Mode as FileMode, OFlags, chmodat, ioctl_setflags, linkat, mkdirat, mknodat,
    openat, symlinkat,
};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::key::SysctlKey;
use crate::plan::{Plan, Step};
use crate::root::Root;
use crate::table::{Entry, Table};
use crate::value::ValueSource;

/// One node of the tmpfs. Paths are relative to the root of procfs, or of sysfs; the tmpfs has the same layout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "node", rename_all = "snake_case")]
pub enum Node {
    /// A folder.
    Folder {
        /// Where.
        path: String,
    },
    /// A key with its value.
    Key {
        /// Where.
        path: String,
        /// What a reader gets.
        content: String,
        /// The file's mode: 0444 or 0644.
        mode: u32,
    },
    /// An empty file for an original to be bound on.
    Spot {
        /// Where.
        path: String,
    },
    /// A symlink.
    Link {
        /// Where.
        path: String,
        /// Its target.
        target: String,
    },
}

impl Node {
    /// Where.
    pub fn path(&self) -> &str {
        match self {
            Self::Folder { path }
            | Self::Key { path, .. }
            | Self::Spot { path }
            | Self::Link { path, .. } => path,
        }
    }
}

/// The compiled content of a plan's tmpfs: everything is decided, no source is asked any more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    nodes: Vec<Node>,
}

impl Snapshot {
    /// Takes the value of each key that `plan` adds or replaces from `table`: literals as they are, computed ones
    /// by asking the kernel, `host` ones from the procfs, or sysfs, `host`.
    ///
    /// # Errors
    /// `Input` for a key whose source has no value here and that has no `fallback`.
    pub fn compile(plan: &Plan, table: &Table, host: Option<&Root>) -> Result<Self> {
        let mut builder = Builder::default();
        let mut entries = Entries {
            table,
            following: None,
        };
        let mut filled = "";
        for step in &plan.steps {
            match step {
                Step::Overmount { folder } => builder.folder(folder),
                Step::Folder { path } | Step::Underlay { path, .. } => builder.folder(path),
                Step::Pass {
                    path, folder: true, ..
                } => builder.folder(path),
                Step::Pass { path, .. } => builder.nodes.push(Node::Spot { path: path.clone() }),
                Step::Link { path, target } => {
                    builder.nodes.push(Node::Link {
                        path: path.clone(),
                        target: target.clone(),
                    });
                }
                Step::Emulate { key, .. } | Step::Replace { key, .. } => {
                    let entry = entries.get(key).ok_or_else(|| {
                        Error::input(format!(
                            "{key}: is in the plan but not in the table; plan with the same table"
                        ))
                    })?;
                    if key.parent() != filled {
                        filled = key.parent();
                        builder.folder(filled);
                    }
                    builder.nodes.push(Node::Key {
                        path: key.path().to_owned(),
                        content: content(key, entry, host)?,
                        mode: entry.mode.bits(),
                    });
                }
            }
        }
        Ok(Self { nodes: builder.nodes })
    }

    /// One of these nodes, parents first.
    pub(crate) fn from_nodes(nodes: Vec<Node>) -> Self {
        Self { nodes }
    }

    /// Whether it has nothing but folders.
    pub(crate) fn is_empty(&self) -> bool {
        self.nodes.iter().all(|node| matches!(node, Node::Folder { .. }))
    }

    /// What it holds.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The value of the key at `path` (relative to the root of the file system), as a reader gets it.
    pub fn value(&self, path: &str) -> Option<&str> {
        self.nodes.iter().find_map(|node| match node {
            Node::Key {
                path: at, content, ..
            } if at == path => Some(content.as_str()),
            _ => None,
        })
    }

    /// The tmpfs options that bound it to what it holds, one page and one value each (`size=`, `nr_inodes=`).
    pub(crate) fn limits(&self) -> (u64, u64) {
        const PAGE: u64 = 4096;
        let pages: u64 = self
            .nodes
            .iter()
            .map(|node| match node {
                Node::Key { content, .. } => (content.len() as u64).div_ceil(PAGE).max(1),
                // A long target does not fit into its inode and takes a page.
                Node::Link { target, .. } if target.len() >= 128 => 1,
                _ => 0,
            })
            .sum();
        // size=0 would mean no limit at all; the root folder, the layer's and the shield's are inodes too.
        (pages.max(1) * PAGE, self.nodes.len() as u64 + 3)
    }

    /// Writes it into the folder `layer` of `root`, the empty root folder of a tmpfs; gives that folder.
    ///
    /// Every mount made from it names that folder as its root in mountinfo, which shows it everywhere; a kernel that keeps
    /// no sources, as gVisor's, shows no other sign of the layer.
    pub(crate) fn write(&self, root: BorrowedFd<'_>, layer: &str) -> Result<OwnedFd> {
        let failed = |call: &str, path: &str, errno: std::io::Error| {
            Error::call(format!("snapshot: {call}({path})"), errno)
        };
        let none = AtFlags::empty();
        // Filled first, and then shown as procfs shows them: root without CAP_DAC_OVERRIDE adds nothing to what it may not
        // write. The process's umask is not the reader's concern.
        let (filled, shown) = (FileMode::from_raw_mode(0o755), FileMode::from_raw_mode(0o555));
        let make = |at: BorrowedFd<'_>, path: &str| {
            mkdirat(at, path, filled).and_then(|()| chmodat(at, path, filled, none))
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let tmpfs = root;
        let root = make(tmpfs, layer)
            .and_then(|()| openat(tmpfs, layer, flags, FileMode::empty()))
            .map_err(|e| Error::call(format!("snapshot: mkdir({layer})"), e))?;
        let mut spot = None;
        for node in &self.nodes {
            match node {
                Node::Folder { path } => {
                    make(root.as_fd(), path).map_err(|e| failed("mkdir", path, e.into()))?;
                }
                // One file by all their names: an inode is 0.7 KiB in the kernel, and a folder's originals are a hundred.
                Node::Spot { path } => match spot {
                    Some(first) => {
                        linkat(&root, first, &root, path, none).map_err(|e| failed("link", path, e.into()))?
                    }
                    None => {
                        // Nothing is written to it, so it need not be opened, which costs as much again.
                        let mode = FileMode::from_raw_mode(0o444);
                        mknodat(&root, path, FileType::RegularFile, mode, 0)
                            .map_err(|e| failed("mknod", path, e.into()))?;
                        spot = Some(path);
                    }
                },
                Node::Link { path, target } => {
                    symlinkat(target, &root, path).map_err(|e| failed("symlink", path, e.into()))?;
                }
                Node::Key { path, content, mode } => {
                    let file =
                        create(root.as_fd(), path, *mode).map_err(|e| failed("create", path, e.into()))?;
                    let mut file = std::fs::File::from(file);
                    file.write_all(content.as_bytes())
                        .map_err(|e| failed("write", path, e))?;
                    rustix::fs::fchmod(&file, FileMode::from_raw_mode(*mode))
                        .map_err(|e| failed("fchmod", path, e.into()))?;
                }
            }
        }
        for node in &self.nodes {
            if let Node::Folder { path } = node {
                chmodat(&root, path, shown, none).map_err(|e| failed("chmod", path, e.into()))?;
            }
        }
        chmodat(tmpfs, layer, shown, none)
            .map_err(|e| Error::call(format!("snapshot: chmod({layer})"), e))?;
        Ok(root)
    }

    /// Makes all that [`Snapshot::write`] has written into `layer` of `root`, and these two folders, immutable (`FS_IOC_SETFLAGS`
    /// with `FS_IMMUTABLE_FL`, in a tmpfs since Linux 6.6): takes no writes where its mount does, either. Links stay what they are anyway.
    ///
    /// # Errors
    /// ENOTTY in kernels before, EPERM without CAP_LINUX_IMMUTABLE.
    pub(crate) fn freeze(&self, root: BorrowedFd<'_>, layer: &str) -> Result<()> {
        let freeze = |at: BorrowedFd<'_>, path: &str| {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = openat(at, path, flags, FileMode::empty())?;
            ioctl_setflags(&file, IFlags::IMMUTABLE)
        };
        let failed = |path: &str, errno: rustix::io::Errno| {
            Error::call(format!("snapshot: ioctl({path}, FS_IOC_SETFLAGS)"), errno)
        };
        for node in self
            .nodes
            .iter()
            .filter(|node| !matches!(node, Node::Link { .. }))
        {
            let path = format!("{layer}/{}", node.path());
            freeze(root, &path).map_err(|e| failed(&path, e))?;
        }
        for path in [layer, "."] {
            freeze(root, path).map_err(|e| failed(path, e))?;
        }
        Ok(())
    }
}

fn create(root: BorrowedFd<'_>, path: &str, mode: u32) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(root, path, flags, FileMode::from_raw_mode(mode))
}

/// The entries of a table for keys that mostly come in its order: the next one is looked at before it is searched for.
struct Entries<'a> {
    table: &'a Table,
    following: Option<btree_map::Range<'a, SysctlKey, Entry>>,
}

impl<'a> Entries<'a> {
    fn get(&mut self, key: &SysctlKey) -> Option<&'a Entry> {
        let next = self.following.as_mut().and_then(Iterator::next);
        if let Some((_, entry)) = next.filter(|(next, _)| *next == key) {
            return Some(entry);
        }
        let following = self.following.insert(self.table.iter_from(key));
        let found = following.next().filter(|(found, _)| *found == key);
        found.map(|(_, entry)| entry)
    }
}

/// The nodes so far, and the folders among them.
#[derive(Default)]
struct Builder {
    nodes: Vec<Node>,
    folders: BTreeSet<String>,
}

impl Builder {
    /// Adds a folder and those above it, each once.
    fn folder(&mut self, path: &str) {
        if path.is_empty() || self.folders.contains(path) {
            return;
        }
        self.folder(path.rsplit_once('/').map_or("", |(parent, _)| parent));
        self.folders.insert(path.to_owned());
        self.nodes.push(Node::Folder {
            path: path.to_owned(),
        });
    }
}

/// What `key` will read as.
pub(crate) fn content(key: &SysctlKey, entry: &Entry, host: Option<&Root>) -> Result<String> {
    let outside = match (&entry.source, host) {
        (ValueSource::Host, Some(host)) if host.filesystem() == key.filesystem() => host
            .read(key.path())
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok()),
        _ => None,
    };
    entry
        .resolve(key, outside.as_deref())
        .map_err(|error| Error::input(error.to_string()))
}
