//! Building with the new mount interface: every tree stays detached until it is whole.

use std::os::fd::{AsFd, OwnedFd};

use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

use super::{Options, Part, Piece, parts};
use crate::error::{Error, Result};
use crate::plan::{Plan, Step};
use crate::procfs::{Procfs, is_procfs};
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
    snapshot.write(tmpfs.as_fd())?;
    parts(plan)
        .into_iter()
        .map(|part| piece(proc, &tmpfs, &part))
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

fn piece(proc: &Procfs, tmpfs: &OwnedFd, part: &Part<'_>) -> Result<Piece> {
    let tree = clone(tmpfs, part.at, proc)?;
    let mut read_only = RDONLY;
    let mut parent: Option<(&str, OwnedFd)> = None;
    for step in part.steps {
        match step {
            Step::Underlay { path } => {
                let folder = proc.folder(part.at);
                let folder = folder.map_err(|e| Error::call(format!("open({})", proc.show(part.at)), e))?;
                let original =
                    clone(&folder, "", proc).map_err(|e| e.during(format!("passing {}", part.at)))?;
                restrict(&original, path, false, proc)?;
                graft(&original, &tree, part.at, path, proc)?;
            }
            Step::Pass { path, read_only, .. } => {
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
                restrict(&original, path, *read_only, proc)?;
                graft(&original, &tree, part.at, path, proc)?;
            }
            Step::Emulate { key, writable: true } => {
                // The folder is read-only as a mount; a key that takes writes is a mount of its own on itself.
                let file = clone(tmpfs, key.path(), proc)?;
                graft(&file, &tree, part.at, key.path(), proc)?;
            }
            Step::Replace { writable, .. } if *writable => read_only = 0,
            _ => {}
        }
    }
    set(&tree, read_only | NOSUID | NODEV | NOEXEC, false, part.at, proc)?;
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

/// Takes from a passed-through original what it must not have. What is mounted below it (a mask, say) follows.
fn restrict(original: &OwnedFd, path: &str, read_only: bool, proc: &Procfs) -> Result<()> {
    let attributes = NOSUID | NOEXEC | if read_only { RDONLY } else { 0 };
    set(original, attributes, true, path, proc)?;
    // Not below: a mask is a device, and NODEV would turn reading nothing from it into an error.
    if is_procfs(original).map_err(|e| Error::call(format!("fstatfs({})", proc.show(path)), e))? {
        set(original, NODEV, false, path, proc)?;
    }
    Ok(())
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
