//! Building with the new mount interface: every tree stays detached until it is whole.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{StatFs, fstatfs};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

use super::folders::Folders;
use super::{Order, Part, Piece, has_gone, parts};
use crate::error::{Error, Result};
use crate::filesystem::Filesystem;
use crate::plan::Step;
use crate::root::Root;
use crate::sys;

const NOSUID: u64 = libc::MOUNT_ATTR_NOSUID;
const NODEV: u64 = libc::MOUNT_ATTR_NODEV;
const NOEXEC: u64 = libc::MOUNT_ATTR_NOEXEC;
const RDONLY: u64 = libc::MOUNT_ATTR_RDONLY;

/// One detached tree for each part of the plan.
pub(super) fn build(order: &Order<'_>) -> Result<Vec<Piece>> {
    let tmpfs = tmpfs(order)?;
    // Where the kernel lacks mount_setattr(2), it is to be known before anything else is done in vain.
    set(&tmpfs, NOSUID | NODEV | NOEXEC, false, "", order.root)?;
    // Not in place of `tmpfs`, with whose handle the whole tmpfs would go.
    let content = order.snapshot.write(tmpfs.as_fd(), order.source)?;
    parts(order.plan)
        .into_iter()
        .map(|part| piece(order.root, &content, &part))
        .collect()
}

fn tmpfs(order: &Order<'_>) -> Result<OwnedFd> {
    let (size, inodes) = order.snapshot.limits();
    let (size, inodes) = (size.to_string(), inodes.to_string());
    let context =
        fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).map_err(|e| Error::call("fsopen(tmpfs)", e))?;
    let set = |key: &str, value: &str| {
        fsconfig_set_string(context.as_fd(), key, value)
            .map_err(|e| Error::call(format!("fsconfig(tmpfs, {key}={value})"), e))
    };
    set("source", order.source)?;
    set("size", &size)?;
    set("nr_inodes", &inodes)?;
    set("mode", "0755")?;
    if let Some(label) = &order.options.label {
        set("context", label)?;
    }
    fsconfig_create(context.as_fd()).map_err(|e| Error::call("fsconfig(tmpfs, create)", e))?;
    let flags = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, flags)
        .map_err(|e| Error::call("fsmount(tmpfs)", e))
}

fn piece(root: &Root, content: &OwnedFd, part: &Part<'_>) -> Result<Piece> {
    let tree = clone(content, part.at, root)?;
    let takes_writes = matches!(part.steps, [Step::Replace { writable: true, .. }]);
    let read_only = if takes_writes { 0 } else { RDONLY };
    set(&tree, read_only | NOSUID | NODEV | NOEXEC, false, part.at, root)?;
    // Where every original is to be read-only, one call at the end does it for all.
    let at_once = part.steps.iter().all(|step| match step {
        Step::Pass { read_only, .. } | Step::Underlay { read_only, .. } => *read_only,
        _ => true,
    });
    let mut passed = false;
    let mut from = Folders::default();
    for step in part.steps {
        let (path, original, is_folder, read_only) = match step {
            Step::Underlay { path, read_only } => (
                path,
                clone(from.open(root, part.at)?, "", root)?,
                true,
                *read_only,
            ),
            Step::Pass {
                path,
                folder,
                read_only,
            } => {
                let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
                match clone(from.open(root, parent)?, name, root) {
                    Err(error) if has_gone(&error) => continue,
                    original => (path, original?, *folder, *read_only),
                }
            }
            _ => continue,
        };
        restrict(&original, path, is_folder, read_only && !at_once, root)?;
        match graft(&original, &tree, part.at, path, root) {
            Err(error) if has_gone(&error) => continue,
            grafted => grafted?,
        }
        passed = true;
    }
    if at_once && passed {
        set(&tree, RDONLY, true, part.at, root)?;
    }
    for step in part.steps {
        if let Step::Emulate { key, writable: true } = step {
            // The folder is read-only as a mount; a key that takes writes is a mount of its own on itself.
            let file = clone(content, key.path(), root)?;
            graft(&file, &tree, part.at, key.path(), root)?;
        }
    }
    Ok(Piece {
        target: part.at.to_owned(),
        tree,
    })
}

/// A detached clone of `path` below `from` (`""`: of `from` itself), with everything mounted below it; a symlink is not
/// followed.
fn clone(from: &OwnedFd, path: &str, root: &Root) -> Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE
        | OpenTreeFlags::AT_SYMLINK_NOFOLLOW
        | OpenTreeFlags::AT_EMPTY_PATH
        | OpenTreeFlags::AT_NO_AUTOMOUNT;
    open_tree(from, path, flags).map_err(|e| {
        Error::call(
            format!("open_tree({}, OPEN_TREE_CLONE|AT_RECURSIVE)", root.show(path)),
            e,
        )
    })
}

/// Takes from a passed-through original what it must not have. What is mounted below a folder (a mask, say) follows;
/// below a file there is nothing.
fn restrict(original: &OwnedFd, path: &str, is_folder: bool, read_only: bool, root: &Root) -> Result<()> {
    let attributes = NOSUID | NOEXEC | if read_only { RDONLY } else { 0 };
    let found = fstatfs(original).map_err(|e| Error::call(format!("fstatfs({})", root.show(path)), e))?;
    // Not for what is another file system, nor below: a mask is a device, and NODEV would turn reading nothing from it into an
    // error.
    let own = if root.filesystem().is(&found) { NODEV } else { 0 };
    if is_folder {
        set(original, attributes, true, path, root)?;
        return if own == 0 {
            Ok(())
        } else {
            set(original, own, false, path, root)
        };
    }
    // Most of procfs is mounted so already, private too, and there are many files.
    if root.filesystem() == Filesystem::Proc && (attributes | own) & !attributes_of(&found) == 0 {
        return Ok(());
    }
    set(original, attributes | own, false, path, root)
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

/// Also takes the mount out of its peer group, if it came from one.
fn set(mount: &OwnedFd, attributes: u64, recursive: bool, path: &str, root: &Root) -> Result<()> {
    let (propagation, name) = match root.filesystem() {
        Filesystem::Proc => (libc::MS_PRIVATE, "MS_PRIVATE"),
        // What is mounted elsewhere later arrives.
        Filesystem::Sys => (libc::MS_SLAVE, "MS_SLAVE"),
    };
    sys::mount_setattr(mount, attributes, propagation, recursive).map_err(|e| {
        Error::call(
            format!("mount_setattr({}, {attributes:#x}, {name})", root.show(path)),
            e,
        )
    })
}

/// Mounts `what` in `tree`, the clone of the snapshot's folder `at`, on the node at `path`.
fn graft(what: &OwnedFd, tree: &OwnedFd, at: &str, path: &str, root: &Root) -> Result<()> {
    let below = path
        .strip_prefix(at)
        .and_then(|rest| rest.strip_prefix('/'))
        .unwrap_or(path);
    move_mount(what, "", tree, below, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .map_err(|e| Error::call(format!("move_mount({}, snapshot)", root.show(path)), e))
}
