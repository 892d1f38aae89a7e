//! Files that are all ours, in a folder where others may have theirs.

use runtime_bridge::install::{apply_all, files_of_ours};
use runtime_bridge::node;
use runtime_bridge::report::chain;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

/// Puts these files there, as they were asked for and no others of ours.
fn put(folder: &Path, files: &[(&str, &str)]) -> Result<(), String> {
    let files: Vec<_> = files
        .iter()
        .map(|(name, text)| (OsString::from(name), (*text).to_owned()))
        .collect();
    let edits = files_of_ours(folder, &files).map_err(|error| chain(&error))?;
    apply_all(&edits).map_err(|error| chain(&error))
}

/// The names of the files that the node gets or loses, in order.
fn order(folder: &Path, files: &[(&str, &str)]) -> Result<Vec<String>, String> {
    let files: Vec<_> = files
        .iter()
        .map(|(name, text)| (OsString::from(name), (*text).to_owned()))
        .collect();
    let edits = node::edits(folder, &files).map_err(|error| chain(&error))?;
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    Ok(edits.iter().map(|edit| name(edit.path())).collect())
}

fn listed(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.contains(".procemu-"))
        .collect();
    names.sort();
    names
}

#[test]
fn they_come_change_and_go() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("procemu");
    put(&folder, &[("a", "1"), ("b", "2")]).unwrap();
    fs::write(folder.join("theirs"), "3").unwrap();
    put(&folder, &[("a", "4")]).unwrap();
    assert_eq!(listed(&folder), ["a", "theirs"]);
    assert_eq!(fs::read_to_string(folder.join("a")).unwrap(), "4");
    put(&folder, &[]).unwrap();
    assert_eq!(listed(&folder), ["theirs"]);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
}

#[test]
fn what_others_made_or_changed_is_refused_and_nothing_is_changed() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    fs::write(folder.join("theirs"), "1").unwrap();
    let said = put(folder, &[("a", "1"), ("theirs", "2")]).unwrap_err();
    assert!(said.contains("theirs is not as runtime-bridge left it"), "{said}");
    assert_eq!(listed(folder), ["theirs"]);
    // The same by chance is no quarrel.
    put(folder, &[("a", "1"), ("theirs", "1")]).unwrap();

    fs::write(folder.join("a"), "by hand").unwrap();
    for files in [&[("a", "2")][..], &[]] {
        assert!(
            put(folder, files)
                .unwrap_err()
                .contains("/a is not as runtime-bridge left it")
        );
    }
    assert_eq!(fs::read_to_string(folder.join("a")).unwrap(), "by hand");
    fs::remove_file(folder.join("a")).unwrap();
    put(folder, &[("a", "2")]).unwrap();
}

#[test]
fn what_was_killed_half_way_is_done_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    put(folder, &[("a", "1")]).unwrap();
    put(folder, &[("a", "2")]).unwrap();
    // The copies of `3` were written, the file was not; and of another file not all was.
    fs::write(folder.join("a.procemu-before"), "2").unwrap();
    fs::write(folder.join("a.procemu-after"), "3").unwrap();
    fs::write(folder.join("a.procemu-new"), "hal").unwrap();
    put(folder, &[("a", "4")]).unwrap();
    assert_eq!(fs::read_to_string(folder.join("a")).unwrap(), "4");
    assert!(!folder.join("a.procemu-new").exists());
    put(folder, &[]).unwrap();
    assert_eq!(fs::read_dir(folder).unwrap().count(), 0);
}

#[test]
fn where_one_cannot_be_written_none_is() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    put(folder, &[("a", "1"), ("b", "1")]).unwrap();
    fs::create_dir(folder.join("b.procemu-new")).unwrap();
    put(folder, &[("a", "2"), ("b", "2")]).unwrap_err();
    fs::remove_dir(folder.join("b.procemu-new")).unwrap();
    for name in ["a", "b"] {
        assert_eq!(fs::read_to_string(folder.join(name)).unwrap(), "1");
    }
    put(folder, &[("a", "3"), ("b", "3")]).unwrap();
}

#[test]
fn a_node_gets_no_files_with_which_no_container_would_start() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    let table = |name| folder.join(name).display().to_string();
    let bridge = format!(
        "tables = [\"{}\", \"{}\"]",
        table("site.toml"),
        table("zone.toml")
    );
    let good = "[keys.\"kernel/cap_last_cap\"]\nvalue = 40\n";
    let said = order(folder, &[("bridge.toml", &bridge), ("site.toml", "[keys")]).unwrap_err();
    assert!(said.contains("site.toml:1"), "{said}");
    let said = order(folder, &[("bridge.toml", &bridge), ("site.toml", good)]).unwrap_err();
    assert!(
        said.contains("cannot read ") && said.contains("zone.toml"),
        "{said}"
    );
    assert_eq!(fs::read_dir(folder).unwrap().count(), 0);

    // One of them is the node's own.
    fs::write(folder.join("zone.toml"), good).unwrap();
    let files = [("bridge.toml", bridge.as_str()), ("site.toml", good)];
    assert_eq!(order(folder, &files).unwrap(), ["site.toml", "bridge.toml"]);
    put(folder, &files).unwrap();
    // Still named by what stays, or by nothing any more.
    let said = order(folder, &[("bridge.toml", &bridge)]).unwrap_err();
    assert!(said.contains("site.toml"), "{said}");
    assert_eq!(
        order(folder, &[("bridge.toml", "")]).unwrap(),
        ["bridge.toml", "site.toml"]
    );
    assert_eq!(order(folder, &[]).unwrap(), ["bridge.toml", "site.toml"]);
}
