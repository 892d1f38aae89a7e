//! What cgroups cannot do here, found by trying.

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::statfs::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, statfs};
use nix::sys::statvfs::FsFlags;
use procemu::ask_child;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Where every runtime looks for them.
const ROOT: &str = "/sys/fs/cgroup";

/// What of a configuration the kernel does not have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lacking {
    /// Cgroup namespaces.
    pub namespace: bool,
    /// Files that `linux.resources.unified` wants written, `memory.oom.group`.
    pub unified: BTreeSet<String>,
}

/// Whether no cgroup can be made: none of the file systems at `/sys/fs/cgroup` and in its folders is one of cgroups and takes
/// writes. crun says `could not join cgroup` there, or names the first read-only file.
pub fn are_missing() -> bool {
    let takes_cgroups = |path: PathBuf| {
        statfs(&path).is_ok_and(|fs| {
            [CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC].contains(&fs.filesystem_type())
                && !fs.flags().contains(FsFlags::ST_RDONLY)
        })
    };
    !takes_cgroups(ROOT.into()) && !folders(Path::new(ROOT)).any(takes_cgroups)
}

/// Whether the kernel has no cgroup namespaces: from Linux 4.6 on it has, gVisor has them with cgroup v2 only.
pub fn have_no_namespaces() -> bool {
    let answer = ask_child(|| {
        let refused = unshare(CloneFlags::CLONE_NEWCGROUP) == Err(Errno::EINVAL);
        vec![u8::from(refused)]
    });
    // A child that cannot be had says nothing about namespaces.
    answer.is_ok_and(|answer| answer == [1])
}

/// Those of `files` that a cgroup v2 lacks although it has their controller.
///
/// The root has none of them, so that another cgroup with these controllers is asked; where there is none, one is made for
/// the question.
pub fn missing_files(files: &[String]) -> BTreeSet<String> {
    let root = Path::new(ROOT);
    if !statfs(root).is_ok_and(|fs| fs.filesystem_type() == CGROUP2_SUPER_MAGIC) {
        return BTreeSet::new();
    }
    let has_controllers = |cgroup: &PathBuf| {
        let controllers = controllers(cgroup);
        files.iter().all(|file| has_controller(&controllers, file))
    };
    if let Some(cgroup) = folders(root).find(has_controllers) {
        return missing_in(&cgroup, files);
    }
    let made = root.join(format!("procemu-{}", std::process::id()));
    if fs::create_dir(&made).is_err() {
        return BTreeSet::new();
    }
    let missing = missing_in(&made, files);
    // Nobody else knows it, so it is empty.
    let _ = fs::remove_dir(&made);
    missing
}

fn missing_in(cgroup: &Path, files: &[String]) -> BTreeSet<String> {
    let controllers = controllers(cgroup);
    let missing = |file: &&String| {
        !file.contains('/') && has_controller(&controllers, file) && !cgroup.join(file).exists()
    };
    files.iter().filter(missing).cloned().collect()
}

fn controllers(cgroup: &Path) -> String {
    fs::read_to_string(cgroup.join("cgroup.controllers")).unwrap_or_default()
}

/// Whether the controller of `file`, `memory` of `memory.max`, is one of `controllers`.
fn has_controller(controllers: &str, file: &str) -> bool {
    let controller = file.split('.').next().unwrap_or_default();
    controllers.split_whitespace().any(|name| name == controller)
}

fn folders(path: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_missing_only_where_its_controller_is_not() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("cgroup.controllers"), "cpu memory\n").unwrap();
        fs::write(dir.path().join("memory.max"), "max\n").unwrap();
        let files = [
            "memory.max",
            "memory.oom.group",
            "io.max",
            "cgroup.freeze",
            "memory/x",
        ]
        .map(str::to_owned);
        assert_eq!(
            missing_in(dir.path(), &files),
            BTreeSet::from(["memory.oom.group".to_owned()])
        );
        fs::remove_file(dir.path().join("cgroup.controllers")).unwrap();
        assert!(missing_in(dir.path(), &files).is_empty());
    }
}
