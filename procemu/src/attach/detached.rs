//! Building with the new mount interface: every tree stays detached until it is whole.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{StatFs, fstatfs};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

use super::{Options, Part, Piece, parts};
use crate::error::{Error, Result};
use crate::plan::{Plan, Step};
use crate::procfs::{Procfs, is_proc};
use crate::snapshot::Snapshot;
use crate::sys;

const NOSUID: u64 = libc::MOUNT_ATTR_NOSUID;
const NODEV: u64 = libc::MOUNT_ATTR_NODEV;
const NOEXEC: u64 = libc::MOUNT_ATTR_NOEXEC;
const RDONLY: u64 = libc::MOUNT_ATTR_RDONLY;

/// One detached tree for each part of the plan.
pub(super) fn build(
    proc: &Procfs,
    plan: &Plan,
    snapshot: &Snapshot,
    options: &Options,
) -> Result<Vec<Piece>> {
    let tmpfs = tmpfs(snapshot, options)?;
    // Not in place of `tmpfs`, with whose handle the whole tmpfs would go.
    let content = snapshot.write(tmpfs.as_fd(), &options.source)?;
    parts(plan)
        .into_iter()
        .map(|part| piece(proc, &content, &part))
        .collect()
}

fn tmpfs(snapshot: &Snapshot, options: &Options) -> Result<OwnedFd> {
    let (size, inodes) = snapshot.limits();
    let (size, inodes) = (size.to_string(), inodes.to_string());
    let context =
        fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).map_err(|e| Error::call("fsopen(tmpfs)", e))?;
    let set = |key: &str, value: &str| {
        fsconfig_set_string(context.as_fd(), key, value)
            .map_err(|e| Error::call(format!("fsconfig(tmpfs, {key}={value})"), e))
    };
    set("source", &options.source)?;
    set("size", &size)?;
    set("nr_inodes", &inodes)?;
    set("mode", "0555")?;
    if let Some(label) = &options.label {
        set("context", label)?;
    }
    fsconfig_create(context.as_fd()).map_err(|e| Error::call("fsconfig(tmpfs, create)", e))?;
    let flags = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, flags)
        .map_err(|e| Error::call("fsmount(tmpfs)", e))
}

fn piece(proc: &Procfs, content: &OwnedFd, part: &Part<'_>) -> Result<Piece> {
    let tree = clone(content, part.at, proc)?;
    let takes_writes = matches!(part.steps, [Step::Replace { writable: true, .. }]);
    let read_only = if takes_writes { 0 } else { RDONLY };
    // First of all: where the kernel lacks mount_setattr(2), nothing else was done in vain.
    set(&tree, read_only | NOSUID | NODEV | NOEXEC, false, part.at, proc)?;
    let mut parent: Option<(&str, OwnedFd)> = None;
    for step in part.steps {
        match step {
            Step::Underlay { path, read_only } => {
                let folder = proc.folder(part.at);
                let folder = folder.map_err(|e| Error::call(format!("open({})", proc.show(part.at)), e))?;
                let original =
                    clone(&folder, "", proc).map_err(|e| e.during(format!("passing {}", part.at)))?;
                restrict(&original, path, true, *read_only, proc)?;
                graft(&original, &tree, part.at, path, proc)?;
            }
            Step::Pass {
                path,
                folder: is_folder,
                read_only,
            } => {
                let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
                if parent.as_ref().is_none_or(|(at, _)| *at != folder) {
                    let fd = proc.folder(folder);
                    parent = Some((
                        folder,
                        fd.map_err(|e| Error::call(format!("open({})", proc.show(folder)), e))?,
                    ));
                }
                // Set just above.
                let Some((_, from)) = &parent else { continue };
                let original = clone(from, name, proc).map_err(|e| e.during(format!("passing {path}")))?;
                restrict(&original, path, *is_folder, *read_only, proc)?;
                graft(&original, &tree, part.at, path, proc)?;
            }
            Step::Emulate { key, writable: true } => {
                // The folder is read-only as a mount; a key that takes writes is a mount of its own on itself.
                let file = clone(content, key.path(), proc)?;
                graft(&file, &tree, part.at, key.path(), proc)?;
            }
            _ => {}
        }
    }
    Ok(Piece {
        target: part.at.to_owned(),
        tree,
    })
}

/// A detached clone of `path` below `from` (`""`: of `from` itself), with everything mounted below it; a symlink is not
/// followed.
fn clone(from: &OwnedFd, path: &str, proc: &Procfs) -> Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE
        | OpenTreeFlags::AT_SYMLINK_NOFOLLOW
        | OpenTreeFlags::AT_EMPTY_PATH
        | OpenTreeFlags::AT_NO_AUTOMOUNT;
    open_tree(from, path, flags).map_err(|e| {
        Error::call(
            format!("open_tree({}, OPEN_TREE_CLONE|AT_RECURSIVE)", proc.show(path)),
            e,
        )
    })
}

/// Takes from a passed-through original what it must not have. What is mounted below a folder (a mask, say) follows;
/// below a file there is nothing.
fn restrict(original: &OwnedFd, path: &str, is_folder: bool, read_only: bool, proc: &Procfs) -> Result<()> {
    let attributes = NOSUID | NOEXEC | if read_only { RDONLY } else { 0 };
    let found = fstatfs(original).map_err(|e| Error::call(format!("fstatfs({})", proc.show(path)), e))?;
    // Not for what is no procfs, nor below: a mask is a device, and NODEV would turn reading nothing from it into an
    // error.
    let own = if is_proc(&found) { NODEV } else { 0 };
    if is_folder {
        set(original, attributes, true, path, proc)?;
        return if own == 0 {
            Ok(())
        } else {
            set(original, own, false, path, proc)
        };
    }
    // Most of procfs is mounted so already, and there are many files.
    if (attributes | own) & !attributes_of(&found) == 0 {
        return Ok(());
    }
    set(original, attributes | own, false, path, proc)
}

/// What a mount is known not to allow. Whether it is read-only is not told apart from its file system's being so, which
/// may change.
fn attributes_of(found: &StatFs) -> u64 {
    let pairs = [
        (libc::ST_NOSUID, NOSUID),
        (libc::ST_NODEV, NODEV),
        (libc::ST_NOEXEC, NOEXEC),
    ];
    let set = pairs.iter().filter(|(flag, _)| found.f_flags as u64 & *flag != 0);
    set.fold(0, |all, (_, attribute)| all | attribute)
}

fn set(mount: &OwnedFd, attributes: u64, recursive: bool, path: &str, proc: &Procfs) -> Result<()> {
    sys::mount_setattr(mount, attributes, recursive).map_err(|e| {
        Error::call(
            format!("mount_setattr({}, {attributes:#x}, MS_PRIVATE)", proc.show(path)),
            e,
        )
    })
}

/// Mounts `what` in `tree`, the clone of the snapshot's folder `at`, on the node at `path`.
fn graft(what: &OwnedFd, tree: &OwnedFd, at: &str, path: &str, proc: &Procfs) -> Result<()> {
    let below = path
        .strip_prefix(at)
        .and_then(|rest| rest.strip_prefix('/'))
        .unwrap_or(path);
    move_mount(what, "", tree, below, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .map_err(|e| Error::call(format!("move_mount({}, snapshot)", proc.show(path)), e))
}
