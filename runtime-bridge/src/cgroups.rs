//! What cgroups cannot do here, found by trying.

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::statfs::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, FsType, statfs};
use nix::sys::statvfs::FsFlags;
use procemu::ask_child;
use rustix::fs::{FlockOperation, flock};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
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

/// Whether crun cannot use them: no cgroup can be made, or it cannot be frozen.
///
/// Where none of the file systems at `/sys/fs/cgroup` and in its folders is one of cgroups that takes writes, crun says `could
/// not join cgroup`, or names the first read-only file. Before each `exec` it reads whether the container is frozen
/// (`libcrun_is_container_paused`), which takes cgroup v1's freezer, or cgroup v2's `cgroup.freeze` (Linux 5.2).
pub fn fail_crun() -> bool {
    let root = Path::new(ROOT);
    if kind(root) == Some(CGROUP2_SUPER_MAGIC) {
        return !takes_cgroups(root)
            || in_one(|_| true, |cgroup| !cgroup.join("cgroup.freeze").exists()) == Some(true);
    }
    !folders(root).any(|path| takes_cgroups(&path)) || kind(&root.join("freezer")) != Some(CGROUP_SUPER_MAGIC)
}

fn takes_cgroups(path: &Path) -> bool {
    kind(path).is_some_and(|kind| [CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC].contains(&kind))
        && statfs(path).is_ok_and(|fs| !fs.flags().contains(FsFlags::ST_RDONLY))
}

fn kind(path: &Path) -> Option<FsType> {
    Some(statfs(path).ok()?.filesystem_type())
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
pub fn missing_files(files: &[String]) -> BTreeSet<String> {
    if kind(Path::new(ROOT)) != Some(CGROUP2_SUPER_MAGIC) {
        return BTreeSet::new();
    }
    let has_controllers = |cgroup: &Path| {
        let controllers = controllers(cgroup);
        files.iter().all(|file| has_controller(&controllers, file))
    };
    in_one(has_controllers, |cgroup| missing_in(cgroup, files)).unwrap_or_default()
}

/// Asks a cgroup v2 that `fits`. The root has not all the files that others have; where there is no other, one is made for the
/// question. One that was made by a process that was killed goes before.
fn in_one<T>(fits: impl Fn(&Path) -> bool, ask: impl Fn(&Path) -> T) -> Option<T> {
    let root = Path::new(ROOT);
    let (made, others): (Vec<_>, Vec<_>) = folders(root).partition(|cgroup| is_made(cgroup));
    for left in made {
        // Held by who has made it, as long as that one lives. A cgroup that is not empty stays in any case.
        if hold(&left).is_some() {
            let _ = fs::remove_dir(&left);
        }
    }
    if let Some(cgroup) = others.iter().find(|cgroup| fits(cgroup)) {
        return Some(ask(cgroup));
    }
    let made = root.join(format!("{MADE}{}", std::process::id()));
    fs::create_dir(&made).ok()?;
    let held = hold(&made);
    let answer = held.as_ref().map(|_| ask(&made));
    // Another one took it for left over before it was held: that says nothing.
    let answer = answer.filter(|_| made.exists());
    // Nobody else knows it, so it is empty.
    let _ = fs::remove_dir(&made);
    answer
}

/// What the name of a cgroup that is made for a question begins with.
const MADE: &str = "procemu-";

fn is_made(cgroup: &Path) -> bool {
    let number = cgroup
        .file_name()
        .and_then(OsStr::to_str)
        .and_then(|name| name.strip_prefix(MADE));
    number.is_some_and(|number| number.parse::<u32>().is_ok())
}

/// Locks a folder, if nobody has.
fn hold(folder: &Path) -> Option<File> {
    let folder = File::open(folder).ok()?;
    flock(&folder, FlockOperation::NonBlockingLockExclusive).ok()?;
    Some(folder)
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
