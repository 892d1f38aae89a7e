//! What an observation tells of the kernel's own procfs is what stat(2) tells of each path, whether its folder was listed for
//! another key or not; and what is needed can be told without lists.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;

use procemu::{Entry, Kind, Placement, Probing, Root, Roots, Seen, SysctlKey, Table, When};

/// What is at the key's path, asked of each component. Links are made by overmounts only.
fn by_stat(key: &SysctlKey) -> Seen {
    let path = key.path();
    let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
    let mut nearest = "";
    for end in ends {
        let at = &path[..end];
        match fs::symlink_metadata(format!("/proc/{at}")) {
            Ok(found) if at == path => {
                return Seen::Present {
                    kind: if found.is_dir() { Kind::Folder } else { Kind::File },
                    serves: true,
                    read_only: false,
                };
            }
            Ok(found) if found.is_dir() => nearest = at,
            Ok(_) => return Seen::Blocked { at: at.to_owned() },
            Err(error) if error.kind() == ErrorKind::NotFound => break,
            Err(error) => panic!("/proc/{at}: {error}"),
        }
    }
    Seen::Missing {
        nearest: nearest.to_owned(),
    }
}

#[test]
fn a_listed_folder_tells_what_stat_does() {
    let proc = Root::procfs("/proc").expect("Linux has one mounted there");
    let keys = proc.keys().expect("everybody may list them");
    // Interfaces, and their keys, may come and go.
    let lasting = keys
        .iter()
        .map(|(path, _)| path)
        .filter(|path| !path.starts_with("sys/net/"));
    let mut all = Table::new();
    for path in lasting {
        let (folder, _) = path.rsplit_once('/').expect("all lie below sys");
        // There, missing beside it, a folder, below a file, below a missing folder, and below one that is missing too.
        let odd = [
            path.clone(),
            format!("{path}_gone"),
            folder.to_owned(),
            format!("{path}/below"),
            format!("{folder}/gone/key"),
            format!("{folder}/gone/too/key"),
        ];
        for path in odd.iter().filter(|path| *path != "sys") {
            let key = SysctlKey::from_proc_path(path).expect("a path of procfs is one");
            all.insert(key, Entry::literal(1));
        }
    }
    let seen = proc.observe(&all, Probing::Open).expect("everybody may look");
    assert_eq!(seen.keys.len(), all.len());
    for (key, seen) in &seen.keys {
        assert_eq!(*seen, by_stat(key), "{key} among others");
        let alone: Table = [(key.clone(), Entry::literal(1))].into_iter().collect();
        let alone = proc.observe(&alone, Probing::Open).expect("everybody may look");
        assert_eq!(alone.keys[key], *seen, "{key} alone");
    }
}

/// Keys that no kernel has, `each` in each of some folders; one that all have, replaced; and one that stays.
fn made_up(each: usize) -> Table {
    let mut table = Table::new();
    for folder in ["kernel", "vm", "kernel/made/up", "made_up", "fs/inotify"] {
        for number in 0..each {
            let key = format!("{folder}/key_{number}").parse().expect("a key");
            table.insert(key, Entry::literal(7));
        }
    }
    let mut replaced = Entry::literal(7);
    replaced.when = When::Always;
    table.insert("kernel/ostype".parse().expect("a key"), replaced);
    table.insert("kernel/osrelease".parse().expect("a key"), Entry::literal(7));
    table
}

#[test]
fn needs_are_what_a_plan_puts_in_place() {
    let roots = Roots::open();
    for masked in [vec![], vec!["sys/vm".to_owned()]] {
        let placement = Placement::Container {
            read_only: vec!["sys".to_owned()],
            masked,
        };
        // Asked for one by one, and where a list answers.
        for each in [0, 1, 15, 16, 17, 40] {
            let table = made_up(each);
            let placed = |_: &Root| Ok(placement.clone());
            let plans = roots
                .plan(&table, Probing::Open, placed)
                .expect("everybody may look");
            let needs = roots
                .needs(&table, Probing::Open, placed)
                .expect("everybody may look");
            let emulated: BTreeSet<_> = plans.emulated().map(|(key, _)| key.clone()).collect();
            assert_eq!(
                &needs.proc.missing | &needs.proc.replaced,
                emulated,
                "{each} each"
            );
            let replaced = needs.proc.replaced.iter().map(SysctlKey::path);
            assert!(replaced.eq(["sys/kernel/ostype"]), "{each} each");
            let overmounts = needs.proc.overmounts.iter().map(String::as_str);
            assert!(overmounts.eq(plans.proc.overmounts()), "{each} each");
        }
    }
}
