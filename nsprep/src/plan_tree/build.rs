//! From steps to a tree. Pure, but for the names of what is not touched, which it asks for.

use std::collections::{BTreeMap, HashMap};

use procemu::{Check, Filesystem, Origin, Plan, Roots, Snapshot, Step, SysctlKey, UNDERLAY};

use super::{Node, What};
use crate::place::Prepared;

/// The tree of what was prepared for `roots`, of which `checks` tell what a reader sees now: one node for each file system that
/// something is done in.
pub fn tree(prepared: &Prepared, roots: &Roots, checks: &[Check]) -> Vec<Node> {
    let now: BTreeMap<&SysctlKey, &Check> = checks.iter().map(|check| (&check.key, check)).collect();
    let mut tree = Vec::new();
    for filesystem in Filesystem::ALL {
        let plan = prepared.plans.get(filesystem);
        if plan.is_empty() {
            continue;
        }
        let names = |path: &str| roots.get(filesystem).ok()?.names(path).ok();
        tree.push(top(plan, prepared.snapshots.get(filesystem), &now, &names));
    }
    tree
}

fn top(
    plan: &Plan,
    snapshot: &Snapshot,
    now: &BTreeMap<&SysctlKey, &Check>,
    names: &impl Fn(&str) -> Option<Vec<String>>,
) -> Node {
    let mut root = way("");
    let mut places = HashMap::new();
    for step in &plan.steps {
        let (path, what) = match step {
            Step::Overmount { folder } => (folder.as_str(), What::Overmount),
            Step::Folder { path } => (path.as_str(), What::Folder),
            Step::Emulate { key, writable } | Step::Replace { key, writable } => {
                (key.path(), ours(key, *writable, snapshot, now))
            }
            Step::Pass {
                path,
                folder,
                read_only,
            } => (
                path.as_str(),
                What::Bound {
                    folder: *folder,
                    read_only: *read_only,
                },
            ),
            Step::Link { path, target } => (path.as_str(), link(target)),
            // Where the links lead to: no original and no key.
            Step::Underlay { .. } => continue,
        };
        at(&mut root, path, &mut places).what = what;
    }
    for node in &mut root.below {
        let path = node.name.clone();
        look(node, &path, names);
    }
    root.name = plan.filesystem.mountpoint().to_owned();
    // What lies in /proc/sys alone begins there.
    match root.below.as_mut_slice() {
        [only] if matches!(only.what, What::Way { .. }) => {
            only.name = format!("{}/{}", root.name, only.name);
            root.below.remove(0)
        }
        _ => root,
    }
}

fn way(name: &str) -> Node {
    Node {
        name: name.to_owned(),
        what: What::Way { others: None },
        below: Vec::new(),
    }
}

/// The node of `path`, made with all above it where it is not there. `places` has where each is in the one above: a folder may have as many
/// entries as a container likes.
fn at<'a>(root: &'a mut Node, path: &str, places: &mut HashMap<String, usize>) -> &'a mut Node {
    let mut node = root;
    let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
    let mut begin = 0;
    for end in ends {
        let place = match places.get(&path[..end]) {
            Some(place) => *place,
            None => {
                node.below.push(way(&path[begin..end]));
                places.insert(path[..end].to_owned(), node.below.len() - 1);
                node.below.len() - 1
            }
        };
        node = &mut node.below[place];
        begin = end + 1;
    }
    node
}

fn ours(key: &SysctlKey, writable: bool, snapshot: &Snapshot, now: &BTreeMap<&SysctlKey, &Check>) -> What {
    let value = snapshot.value(key.path()).unwrap_or_default();
    let value = value.strip_suffix('\n').unwrap_or(value).to_owned();
    match now.get(key) {
        Some(check) if check.origin != Origin::Missing => What::Replace {
            old: check.value.clone(),
            value,
            writable,
        },
        _ => What::Add { value, writable },
    }
}

fn link(target: &str) -> What {
    match target.split('/').find(|part| *part != "..") {
        Some(UNDERLAY) => What::Namespaced,
        _ => What::Link {
            target: target.to_owned(),
        },
    }
}

/// Adds what is not touched.
fn look(node: &mut Node, path: &str, names: &impl Fn(&str) -> Option<Vec<String>>) {
    let What::Way { others } = &mut node.what else {
        return;
    };
    *others = names(path).map(|all| {
        let touched = |name: &String| node.below.iter().any(|below| below.name == *name);
        all.into_iter().filter(|name| !touched(name)).collect()
    });
    for below in &mut node.below {
        let path = format!("{path}/{}", below.name);
        look(below, &path, names);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan_tree::{Counts, text};

    fn key(path: &str) -> SysctlKey {
        SysctlKey::from_proc_path(path).unwrap()
    }

    /// Through JSON, as nobody makes a plan by hand otherwise.
    fn made_up() -> Node {
        let steps = r#"{"steps": [
            {"step": "overmount", "folder": "sys/kernel"},
            {"step": "emulate", "key": "kernel/cap_last_cap", "writable": false},
            {"step": "folder", "path": "sys/kernel/made"},
            {"step": "emulate", "key": "kernel/made/up", "writable": true},
            {"step": "pass", "path": "sys/kernel/panic", "folder": false, "read_only": false},
            {"step": "pass", "path": "sys/kernel/random", "folder": true, "read_only": true},
            {"step": "link", "path": "sys/kernel/shmmni", "target": "procemu/shmmni"},
            {"step": "replace", "key": "vm/overcommit_memory", "writable": true}]}"#;
        let plan: Plan = serde_json::from_str(steps).unwrap();
        let check = Check {
            key: key("sys/vm/overcommit_memory"),
            origin: Origin::Kernel,
            value: Some("0".to_owned()),
            writable: false,
            problem: None,
        };
        let now = BTreeMap::from([(&check.key, &check)]);
        let names = |path: &str| match path {
            "sys" => Some(["abi", "kernel", "vm"].map(str::to_owned).to_vec()),
            _ => Some(vec!["overcommit_memory".to_owned()]),
        };
        top(&plan, &Snapshot::default(), &now, &names)
    }

    #[test]
    fn each_step_is_counted_where_it_lies() {
        let tree = made_up();
        let expected = Counts {
            added: 2,
            replaced: 1,
            bound: 2,
            namespaced: 1,
            links: 0,
        };
        assert_eq!(tree.counts(), expected);
        assert_eq!(tree.name, "/proc/sys");
        assert_eq!(
            tree.what,
            What::Way {
                others: Some(vec!["abi".to_owned()])
            }
        );
        assert_eq!(tree.below[0].originals().passed(), 3);
    }

    #[test]
    fn originals_are_summed_up_unless_all_are_asked_for() {
        let plain = |all| anstream::adapter::strip_str(&text(&[made_up()], all)).to_string();
        let summed = plain(false);
        assert!(summed.contains("= 3 originals"), "{summed}");
        assert!(!summed.contains("shmmni"), "{summed}");
        assert!(summed.contains("not touched: abi"), "{summed}");
        let all = plain(true);
        assert!(all.contains("= random/"), "{all}");
        assert!(!all.contains("originals  "), "{all}");
    }
}
