//! Properties of plans, on random procfs trees and random tables: applied to a model of the tree, a plan adds what is
//! missing, replaces what is to be replaced, and leaves all else as it is.

use std::collections::{BTreeMap, BTreeSet};

use procemu::{
    Entry, Filesystem, Folder, Kind, Listed, Observation, Placement, Plan, Seen, Snapshot, Step, SysctlKey,
    Table, UNDERLAY, When,
};
use proptest::prelude::*;

/// What a reader finds at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    /// The kernel's own folder.
    Folder,
    /// A folder of ours, with all that was in the kernel's where there was one.
    Made,
    /// The kernel's own file.
    Kernel,
    /// The kernel's own file or folder, reached by a link.
    Linked(String),
    /// A file of ours.
    Ours,
}

type View = BTreeMap<String, Node>;

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(parent(path)), |path| Some(parent(path))).take_while(|path| !path.is_empty())
}

fn under<'a>(view: &'a View, folder: &str) -> impl Iterator<Item = (&'a String, &'a Node)> {
    let prefix = format!("{folder}/");
    view.iter().filter(move |(path, _)| path.starts_with(&prefix))
}

/// Where a link in `folder` leads to.
fn resolve(folder: &str, target: &str) -> String {
    let mut path: Vec<&str> = folder.split('/').collect();
    for name in target.split('/') {
        match name {
            ".." => drop(path.pop()),
            name => path.push(name),
        }
    }
    path.join("/")
}

/// Whether a reader can go through `path`: a link to a folder is one to him.
fn is_folder(view: &View, path: &str) -> bool {
    match view.get(path) {
        Some(Node::Folder | Node::Made) => true,
        Some(Node::Linked(_)) => under(view, path).next().is_some(),
        _ => false,
    }
}

/// The observation that a procfs like `view` gives of `table`; the folders above all keys are listed, more than needed.
fn observe(view: &View, table: &Table, stuck: &BTreeSet<String>) -> Observation {
    let mut seen = Observation::default();
    for (key, entry) in table.iter() {
        let above: Vec<&str> = ancestors(key.path()).collect();
        for folder in &above {
            if is_folder(view, folder) {
                let entries = under(view, folder)
                    .filter(|(path, _)| parent(path) == *folder)
                    .map(|(path, node)| {
                        let kind = match node {
                            Node::Folder | Node::Made => Kind::Folder,
                            Node::Kernel | Node::Ours => Kind::File,
                            Node::Linked(target) => Kind::Link(target.clone()),
                        };
                        (
                            path[folder.len() + 1..].to_owned(),
                            Listed {
                                kind,
                                own: !matches!(node, Node::Ours | Node::Made),
                            },
                        )
                    })
                    .collect();
                seen.folders.insert(
                    (*folder).to_owned(),
                    Folder {
                        entries,
                        read_only: false,
                    },
                );
            }
        }
        let blocked = above
            .iter()
            .rev()
            .find(|path| view.contains_key(**path) && !is_folder(view, path));
        let found = match (blocked, view.get(key.path())) {
            (Some(at), _) => Seen::Blocked { at: (*at).to_owned() },
            (None, None) => {
                let nearest = above
                    .iter()
                    .find(|path| view.contains_key(**path))
                    .copied()
                    .unwrap_or("");
                Seen::Missing {
                    nearest: nearest.to_owned(),
                }
            }
            (None, Some(node)) => Seen::Present {
                kind: match node {
                    Node::Folder | Node::Made => Kind::Folder,
                    Node::Linked(target) => Kind::Link(target.clone()),
                    Node::Kernel | Node::Ours => Kind::File,
                },
                serves: !matches!(entry.when, When::Unwritable | When::Zero) || !stuck.contains(key.path()),
                read_only: false,
            },
        };
        seen.keys.insert(key.clone(), found);
    }
    seen
}

/// Carries `plan` out on `view`, insisting on the order of its steps.
fn apply(plan: &Plan, before: &View) -> View {
    let mut view = before.clone();
    let mut folders: BTreeSet<String> = BTreeSet::new();
    let mut led_to: Vec<String> = Vec::new();
    let back = |view: &mut View, path: &str| {
        let original = before
            .get(path)
            .unwrap_or_else(|| panic!("{path} is passed through but was not there"));
        view.insert(path.to_owned(), original.clone());
        view.extend(under(before, path).map(|(path, node)| (path.clone(), node.clone())));
    };
    let room = |folders: &BTreeSet<String>, path: &str| {
        assert!(folders.contains(parent(path)), "{path} comes before its folder");
    };
    for step in &plan.steps {
        match step {
            Step::Overmount { folder } => {
                assert!(
                    is_folder(before, folder),
                    "{folder} is overmounted but is no folder"
                );
                assert!(folders.insert(folder.clone()), "{folder} is overmounted twice");
                let gone: Vec<String> = under(before, folder).map(|(path, _)| path.clone()).collect();
                for path in gone {
                    view.remove(&path);
                }
                view.insert(folder.clone(), Node::Made);
            }
            Step::Folder { path } => {
                room(&folders, path);
                assert!(folders.insert(path.clone()), "{path} is made twice");
                view.insert(path.clone(), Node::Made);
            }
            Step::Emulate { key, .. } => {
                room(&folders, key.path());
                view.insert(key.path().to_owned(), Node::Ours);
            }
            Step::Pass { path, .. } => {
                room(&folders, path);
                back(&mut view, path);
            }
            Step::Underlay { path, .. } => {
                room(&folders, path);
                let covered = parent(path);
                assert_eq!(*path, format!("{covered}/{UNDERLAY}"));
                view.insert(path.clone(), before[covered].clone());
                for (below, node) in under(before, covered) {
                    view.insert(format!("{path}{}", &below[covered.len()..]), node.clone());
                }
            }
            Step::Link { path, target } => {
                room(&folders, path);
                let resolved = resolve(parent(path), target);
                let underlay = format!("/{UNDERLAY}");
                assert!(resolved.contains(&underlay), "{path} leads to {target}");
                assert_eq!(
                    resolved.replacen(&underlay, "", 1),
                    *path,
                    "{path} leads elsewhere"
                );
                led_to.push(resolved);
                back(&mut view, path);
                view.insert(path.clone(), Node::Linked(target.clone()));
            }
            Step::Replace { key, .. } => {
                assert!(
                    !folders
                        .iter()
                        .any(|folder| key.path().starts_with(&format!("{folder}/")))
                );
                let found = before.get(key.path());
                assert!(
                    matches!(found, Some(Node::Kernel | Node::Ours)),
                    "{key} is replaced but was not there"
                );
                view.insert(key.path().to_owned(), Node::Ours);
            }
        }
    }
    for path in led_to {
        assert!(
            view.contains_key(&path),
            "a link leads to {path}, which is not there"
        );
    }
    view
}

/// A view from the files in it; a file below another file is left out.
fn view_of(files: &BTreeSet<String>) -> View {
    let mut view = View::new();
    view.insert("sys".to_owned(), Node::Folder);
    for file in files {
        if ancestors(file).any(|path| view.get(path) == Some(&Node::Kernel)) || view.contains_key(file) {
            continue;
        }
        for folder in ancestors(file) {
            view.insert(folder.to_owned(), Node::Folder);
        }
        view.insert(file.clone(), Node::Kernel);
    }
    view
}

/// Paths that meet each other often, among folders that belong to namespaces and such that don't.
fn path() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["a", "b", "c", "shmmni", "pid_max"]);
    let folder = prop::sample::select(vec![
        "sys/kernel",
        "sys/kernel/keys",
        "sys/net",
        "sys/net/core",
        "sys/net/ipv4",
        "sys/net/ipv4/conf",
        "sys/net/ipv4/conf/all",
        "sys/fs",
        "sys/fs/mqueue",
        "sys/user",
        "sys/vm",
        "sys",
        "fs/nfsd",
    ]);
    (folder, name).prop_map(|(folder, name)| format!("{folder}/{name}"))
}

fn when() -> impl Strategy<Value = When> {
    prop::sample::select(vec![
        When::Missing,
        When::Missing,
        When::Unwritable,
        When::Zero,
        When::Always,
    ])
}

fn placement() -> impl Strategy<Value = Placement> {
    prop_oneof![
        Just(Placement::Program { writes: true }),
        Just(Placement::Program { writes: false }),
        Just(Placement::Container {
            read_only: vec![],
            masked: vec![]
        }),
        Just(Placement::Container {
            read_only: vec!["sys".to_owned()],
            masked: vec![]
        }),
    ]
}

prop_compose! {
    fn world()(
        files in prop::collection::btree_set(path(), 0..40),
        keys in prop::collection::btree_map(path(), (when(), any::<bool>()), 0..12),
        stuck in prop::collection::btree_set(path(), 0..10),
        placement in placement(),
    ) -> (View, Table, BTreeSet<String>, Placement) {
        let mut table = Table::new();
        for (path, (when, writable)) in keys {
            let entry = Entry::literal(1).with_when(when);
            let key = SysctlKey::from_proc_path(&path).unwrap();
            table.insert(key, if writable { entry.writable() } else { entry });
        }
        (view_of(&files), table, stuck, placement)
    }
}

/// The keys that a plan has to give a value of ours.
fn due(seen: &Observation, table: &Table) -> BTreeSet<SysctlKey> {
    let due = |(key, entry): (&SysctlKey, &Entry)| {
        let due = match &seen.keys[key] {
            Seen::Missing { .. } => true,
            Seen::Present { serves, .. } => match entry.when {
                When::Missing => false,
                When::Unwritable | When::Zero => !serves,
                When::Always => true,
            },
            Seen::Blocked { .. } => false,
        };
        due.then(|| key.clone())
    };
    table.iter().filter_map(due).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_adds_and_replaces_what_is_due_and_nothing_else((view, table, stuck, placement) in world()) {
        let seen = observe(&view, &table, &stuck);
        let Ok(plan) = Plan::new(&table, &seen, &placement) else {
            // Refused for a reason: a key that is a folder, or below a file, or below another key, or in the root.
            let odd = |key: &SysctlKey| match &seen.keys[key] {
                Seen::Present { kind, .. } => *kind == Kind::Folder,
                Seen::Blocked { .. } => true,
                Seen::Missing { nearest } => nearest.is_empty()
                    || table.keys().any(|other| ancestors(key.path()).any(|path| path == other.path())),
            };
            prop_assert!(table.keys().any(odd));
            return Ok(());
        };
        let due = due(&seen, &table);
        let emulated: Vec<SysctlKey> = plan.emulated().map(|(key, _)| key.clone()).collect();
        prop_assert_eq!(emulated.len(), due.len(), "each key once");
        prop_assert_eq!(&emulated.iter().cloned().collect::<BTreeSet<_>>(), &due);
        let after = apply(&plan, &view);
        // Every original is what it was, but for the replaced ones.
        for (path, node) in &view {
            let replaced = due.iter().any(|key| key.path() == path);
            let found = &after[path];
            // A link to it is as good to a reader, and so is a folder of ours that has everything it had.
            let same = found == node
                || matches!((found, node), (Node::Linked(_), Node::Kernel | Node::Folder))
                || matches!((found, node), (Node::Made, Node::Folder));
            prop_assert!(if replaced { *found == Node::Ours } else { same }, "{}: {:?} is now {:?}", path, node, found);
        }
        // What is new is a due key or a folder on the way to one.
        for path in after.keys().filter(|path| !view.contains_key(*path) && !path.contains(UNDERLAY)) {
            prop_assert!(due.iter().any(|key| key.path() == path || ancestors(key.path()).any(|at| at == path)), "{}", path);
        }
        // No overmount lies in another.
        let roots: Vec<&str> = plan.overmounts().collect();
        for root in &roots {
            prop_assert!(!ancestors(root).any(|above| roots.contains(&above)));
        }
    }

    #[test]
    fn applying_twice_equals_once((view, table, stuck, placement) in world()) {
        let seen = observe(&view, &table, &stuck);
        let Ok(plan) = Plan::new(&table, &seen, &placement) else { return Ok(()) };
        let once = apply(&plan, &view);
        let again: BTreeSet<String> =
            stuck.into_iter().filter(|path| once.get(path) != Some(&Node::Ours)).collect();
        let mut lasting = table.clone();
        lasting.retain(|_, entry| entry.when != When::Always);
        let second = Plan::new(&lasting, &observe(&once, &lasting, &again), &placement).unwrap();
        prop_assert!(second.is_empty(), "{:?}", second);
    }

    #[test]
    fn a_second_table_leaves_the_firsts_keys(
        (view, first, stuck, placement) in world(),
        (_, second, _, _) in world(),
    ) {
        let Ok(plan) = Plan::new(&first, &observe(&view, &first, &stuck), &placement) else { return Ok(()) };
        let once = apply(&plan, &view);
        let seen = observe(&once, &second, &stuck);
        let Ok(plan) = Plan::new(&second, &seen, &placement) else { return Ok(()) };
        let twice = apply(&plan, &once);
        let due = due(&seen, &second);
        for (path, node) in &once {
            let replaced = due.iter().any(|key| key.path() == path);
            let same = twice[path] == *node
                || matches!((&twice[path], node), (Node::Linked(_), Node::Kernel | Node::Folder))
                || matches!((&twice[path], node), (Node::Made, Node::Folder))
                || matches!((&twice[path], node), (Node::Made, Node::Linked(_)) if is_folder(&once, path));
            prop_assert!(replaced || same, "{}: {:?} is now {:?}", path, node, twice[path]);
        }
        prop_assert!(due.iter().all(|key| twice.get(key.path()) == Some(&Node::Ours)));
    }

    #[test]
    fn writes_are_granted_only_where_they_would_be_possible((view, table, stuck, placement) in world()) {
        let seen = observe(&view, &table, &stuck);
        let Ok(plan) = Plan::new(&table, &seen, &placement) else { return Ok(()) };
        for (key, writable) in plan.emulated() {
            let entry = table.get(key).unwrap();
            let possible = match &placement {
                Placement::Program { writes } => *writes,
                Placement::Container { read_only, .. } =>
                    !read_only.iter().any(|at| key.path().starts_with(&format!("{at}/"))),
            };
            prop_assert_eq!(writable, entry.mode.is_writable() && possible);
        }
        let in_container = matches!(placement, Placement::Container { .. });
        for step in &plan.steps {
            match step {
                Step::Pass { path, read_only, .. } => {
                    let protected = match &placement {
                        Placement::Program { writes } => !writes,
                        Placement::Container { read_only, .. } =>
                            read_only.iter().any(|at| path.starts_with(&format!("{at}/"))),
                    };
                    prop_assert_eq!(*read_only, protected);
                }
                Step::Underlay { read_only, .. } => {
                    prop_assert_eq!(*read_only, placement == Placement::Program { writes: false });
                }
                Step::Link { .. } => prop_assert!(!in_container),
                _ => {}
            }
        }
    }

    #[test]
    fn what_is_masked_is_left_alone((view, table, stuck, _) in world(), masked in path()) {
        let placement = Placement::Container { read_only: vec![], masked: vec![masked.clone()] };
        let seen = observe(&view, &table, &stuck);
        let Ok(plan) = Plan::new(&table, &seen, &placement) else { return Ok(()) };
        for (key, _) in plan.emulated() {
            let hidden = key.path() == masked || ancestors(key.path()).any(|above| above == masked);
            prop_assert!(!hidden, "{}", key);
        }
    }
}

#[test]
fn a_plan_survives_json() {
    let mut table = Table::new();
    table.insert("net/ipv4/made_up".parse().unwrap(), Entry::literal(1));
    let view = view_of(&BTreeSet::from(["sys/net/ipv4/ip_forward".to_owned()]));
    let seen = observe(&view, &table, &BTreeSet::new());
    let plan = Plan::new(&table, &seen, &Placement::Program { writes: true }).unwrap();
    let text = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
    assert_eq!(plan.overmounts().collect::<Vec<_>>(), ["sys/net"]);
    assert!(plan.crosses("sys/net/core/somaxconn") && !plan.crosses("sys/netx"));
}

/// Of a table with both, each plan has its own keys only. In sysfs no name means a namespace: all is passed through by bind,
/// and the overmount is as small as it can be.
#[test]
fn sysfs_has_a_plan_of_its_own() {
    let keys = [
        "net/ipv4/made_up",
        "/sys/sys/net/ipv4/made_up",
        "/sys/sys/kernel/shmmni",
    ];
    let of = |filesystem: Filesystem| -> (Table, Table) {
        let all = keys.map(|key| (key.parse::<SysctlKey>().unwrap(), Entry::literal(1).writable()));
        let own = all
            .clone()
            .into_iter()
            .filter(|(key, _)| key.filesystem() == filesystem);
        (all.into_iter().collect(), own.collect())
    };
    let files = [
        "sys/net/ipv4/ip_forward",
        "sys/net/core/somaxconn",
        "sys/kernel/shmmax",
    ];
    let view = view_of(&files.map(str::to_owned).into());
    let plan = |filesystem, writes| {
        let (all, own) = of(filesystem);
        let mut seen = observe(&view, &own, &BTreeSet::new());
        seen.filesystem = filesystem;
        Plan::new(&all, &seen, &Placement::Program { writes }).unwrap()
    };
    assert_eq!(
        plan(Filesystem::Proc, true).overmounts().collect::<Vec<_>>(),
        ["sys/net"]
    );
    for writes in [true, false] {
        let sys = plan(Filesystem::Sys, writes);
        assert_eq!(sys.filesystem, Filesystem::Sys);
        assert_eq!(
            sys.overmounts().collect::<Vec<_>>(),
            ["sys/kernel", "sys/net/ipv4"]
        );
        let passed = |step: &Step| matches!(step, Step::Pass { read_only, .. } if *read_only != writes);
        assert_eq!(sys.steps.iter().filter(|step| passed(step)).count(), 2, "{sys:?}");
        assert!(sys.emulated().all(|(_, writable)| writable == writes));
        let text = serde_json::to_string(&sys).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), sys);
    }
}

#[test]
fn each_key_has_its_own_value_where_plan_and_table_differ_in_order() {
    let view = view_of(&["sys/kernel/panic".to_owned()].into());
    // As paths `a-b/key` comes before `a/key`, and as folders `a` before `a-b`.
    let keys = ["a-b/key", "a/key", "a/other", "b"];
    let table: Table = keys
        .into_iter()
        .map(|name| (format!("kernel/{name}").parse().unwrap(), Entry::literal(name)))
        .collect();
    let seen = observe(&view, &table, &BTreeSet::new());
    let plan = Plan::new(&table, &seen, &Placement::Program { writes: true }).unwrap();
    let snapshot = Snapshot::compile(&plan, &table, None).unwrap();
    for name in keys {
        let value = snapshot.value(&format!("sys/kernel/{name}")).unwrap();
        assert_eq!(value.trim_end(), name);
    }
}
