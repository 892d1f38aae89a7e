//! Whether originals belong to a namespace, asked of the kernel: `crate::namespaced` knows those of the kernels so far.

use std::os::fd::AsFd;

use nix::sched::{CloneFlags, unshare};
use rustix::fs::{AtFlags, statat};

use crate::child::ask_child;
use crate::error::{Error, Result};
use crate::root::Root;

/// Refuses `paths`, relative to `proc`, if one is not the same file in other namespaces. procfs makes an inode for each table of keys,
/// and a namespace that keys belong to has a table of its own (fs/proc/proc_sysctl.c, `proc_sys_lookup` and `proc_sys_make_inode`).
///
/// # Errors
/// `Place` for one that is not the same, or where that cannot be told.
pub(super) fn refuse_namespaced(proc: &Root, paths: &[&str]) -> Result<()> {
    let here = inodes(proc, paths);
    // The pid namespace is a new one for children only.
    let there = ask_child(|| {
        let all = CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWIPC
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWCGROUP;
        match unshare(all) {
            Ok(()) => ask_child(|| inodes(proc, paths)).unwrap_or_default(),
            Err(_) => Vec::new(),
        }
    });
    let there = there.map_err(|e| Error::call("fork", e))?;
    match here == there {
        true => Ok(()),
        false => Err(Error::place("originals that may belong to a namespace")),
    }
}

/// One number each, 0 for what is not there.
fn inodes(proc: &Root, paths: &[&str]) -> Vec<u8> {
    let inode = |path: &&str| {
        let found = statat(proc.handle().as_fd(), *path, AtFlags::SYMLINK_NOFOLLOW);
        found.map_or(0, |found| found.st_ino).to_ne_bytes()
    };
    paths.iter().flat_map(inode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_a_namespace_are_told_from_the_kernels() {
        let proc = Root::procfs("/proc").unwrap();
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: needs root, to make namespaces");
            return;
        }
        refuse_namespaced(
            &proc,
            &["sys/kernel/panic", "sys/vm/swappiness", "sys/kernel/hostname"],
        )
        .unwrap();
        for namespaced in ["sys/kernel/shmmni", "sys/net/core/somaxconn"] {
            refuse_namespaced(&proc, &["sys/kernel/panic", namespaced]).unwrap_err();
        }
    }
}
