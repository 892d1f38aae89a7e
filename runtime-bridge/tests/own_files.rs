//! Files that are all ours, in a folder where others may have theirs.

use runtime_bridge::install::files_of_ours;
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
    edits
        .iter()
        .try_for_each(|edit| edit.apply())
        .map_err(|error| chain(&error))
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
