//! Building with the new mount interface: every tree stays detached until it is whole.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{StatFs, fstat, fstatfs};
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
use crate::template::Content;

const NOSUID: u64 = libc::MOUNT_ATTR_NOSUID;
const NODEV: u64 = libc::MOUNT_ATTR_NODEV;
const NOEXEC: u64 = libc::MOUNT_ATTR_NOEXEC;
const RDONLY: u64 = libc::MOUNT_ATTR_RDONLY;

/// One detached tree for each part of the plan. Those that a template has are clones of it.
pub(super) fn build(order: &Order<'_>) -> Result<Vec<Piece>> {
    let (root, label) = (order.root, order.options.label.as_deref());
    let mut template = from_template(order);
    let rest = match &template {
        Some((content, _)) => content.rest(order.snapshot),
        None => order.snapshot.clone(),
    };
    let tmpfs = match rest.is_empty() {
        true => None,
        false => Some(tmpfs(rest.limits(), order.source, label, root)?),
    };
    // Not in place of `tmpfs`, with whose handle the whole tmpfs would go.
    let content = tmpfs
        .as_ref()
        .map(|tmpfs| rest.write(tmpfs.as_fd(), order.source));
    let content = content.transpose()?;
    let mut pieces = Vec::new();
    for part in parts(order.plan) {
        let clone = template.as_mut().and_then(|(_, clones)| clones.remove(part.at));
        let piece = match (clone, &template, &content) {
            (Some(tree), Some((shared, _)), _) => on_clone(root, tree, shared, &part)?,
            (_, _, Some(content)) => piece(root, content, &part)?,
            // All that is in no template is in the rest.
            _ => {
                return Err(Error::place(format!(
                    "{}: is nowhere in the snapshot",
                    root.show(part.at)
                )));
            }
        };
        pieces.push(piece);
    }
    Ok(pieces)
}

type FromTemplate<'a> = (Content<'a>, BTreeMap<&'a str, OwnedFd>);

/// What a template has of the order, where there is one, and nothing of somebody else's lies where it would go.
fn from_template<'a>(order: &Order<'a>) -> Option<FromTemplate<'a>> {
    let templates = order.options.templates.as_ref()?;
    let point = order.root.mountpoint_in(order.mounts).ok()?;
    let content = Content::of(
        order.plan,
        order.snapshot,
        order.source,
        order.options.label.as_deref(),
    )?;
    let device = |fd: &dyn AsFd| fstat(fd.as_fd()).map(|found| found.st_dev);
    let covered = |at: &str| {
        let mut mounts = order.mounts.iter();
        // Also by another file system above it.
        mounts.any(|mount| mount.point.starts_with(point.join(at)))
            || match (order.root.walk(at), device(&order.root.handle())) {
                (Ok(part), Ok(root)) => device(&part) != Ok(root),
                _ => true,
            }
    };
    // Before anything else, as the kernel may lack what any of it needs.
    if content.parts().any(covered) || sys::mount_setattr(order.root.handle(), 0, 0, false).is_err() {
        return None;
    }
    // Whatever is wrong with it, everything can be built without.
    let clones = templates
        .clones(&content)
        .inspect(|_| tracing::debug!("cloning a template"))
        .inspect_err(|error| tracing::debug!(reason = error.line(), "building without a template"))
        .ok()?;
    let clones = content.parts().zip(clones).collect();
    Some((content, clones))
}

/// A tmpfs, not mounted anywhere.
pub(crate) fn tmpfs(
    (size, inodes): (u64, u64),
    source: &str,
    label: Option<&str>,
    root: &Root,
) -> Result<OwnedFd> {
    let (size, inodes) = (size.to_string(), inodes.to_string());
    let context =
        fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).map_err(|e| Error::call("fsopen(tmpfs)", e))?;
    let configure = |key: &str, value: &str| {
        fsconfig_set_string(context.as_fd(), key, value)
            .map_err(|e| Error::call(format!("fsconfig(tmpfs, {key}={value})"), e))
    };
    configure("source", source)?;
    configure("size", &size)?;
    configure("nr_inodes", &inodes)?;
    configure("mode", "0755")?;
    if let Some(label) = label {
        configure("context", label)?;
    }
    fsconfig_create(context.as_fd()).map_err(|e| Error::call("fsconfig(tmpfs, create)", e))?;
    let flags = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let tmpfs = fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, flags)
        .map_err(|e| Error::call("fsmount(tmpfs)", e))?;
    // Where the kernel lacks mount_setattr(2), it is to be known before anything else is done in vain.
    set(&tmpfs, NOSUID | NODEV | NOEXEC, false, "", root)?;
    Ok(tmpfs)
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
        let Some(original) = original(root, &mut from, part, step, at_once)? else {
            continue;
        };
        match graft(&original.tree, &tree, part.at, original.path, root) {
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
        own: Vec::new(),
    })
}

/// The clone `tree` of a template, and what of the part is not in that. It can be put on the clone only when that is mounted.
fn on_clone(root: &Root, tree: OwnedFd, shared: &Content<'_>, part: &Part<'_>) -> Result<Piece> {
    let mut own = Vec::new();
    let mut from = Folders::default();
    for step in part.steps {
        if shared.has_step(part.at, step) {
            continue;
        }
        if let Some(original) = original(root, &mut from, part, step, false)? {
            own.push((original.path.to_owned(), original.tree));
        }
    }
    Ok(Piece {
        target: part.at.to_owned(),
        tree,
        own,
    })
}

/// What a step passes through.
struct Original<'a> {
    path: &'a str,
    tree: OwnedFd,
}

/// A detached clone of what `step` passes through, without what it must not have; but for its being read-only if that comes
/// `later`. `None` where it passes nothing, or that has gone.
fn original<'a>(
    root: &Root,
    from: &mut Folders,
    part: &Part<'_>,
    step: &'a Step,
    later: bool,
) -> Result<Option<Original<'a>>> {
    let (path, tree, is_folder, read_only) = match step {
        Step::Underlay { path, read_only } => (
            path,
            clone_as(from.open(root, part.at)?, "", path, root)?,
            true,
            *read_only,
        ),
        Step::Pass {
            path,
            folder,
            read_only,
        } => {
            let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
            match clone_as(from.open(root, parent)?, name, path, root) {
                Err(error) if has_gone(&error) => return Ok(None),
                original => (path, original?, *folder, *read_only),
            }
        }
        _ => return Ok(None),
    };
    restrict(&tree, path, is_folder, read_only && !later, root)?;
    Ok(Some(Original { path, tree }))
}

/// A detached clone of `path` below `from` (`""`: of `from` itself), with everything mounted below it; a symlink is not
/// followed.
pub(crate) fn clone(from: &OwnedFd, path: &str, root: &Root) -> Result<OwnedFd> {
    clone_as(from, path, path, root)
}

/// The same, where `path` is what `shown` is called below the root.
fn clone_as(from: &OwnedFd, path: &str, shown: &str, root: &Root) -> Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE
        | OpenTreeFlags::AT_SYMLINK_NOFOLLOW
        | OpenTreeFlags::AT_EMPTY_PATH
        | OpenTreeFlags::AT_NO_AUTOMOUNT;
    open_tree(from, path, flags).map_err(|e| {
        Error::call(
            format!("open_tree({}, OPEN_TREE_CLONE|AT_RECURSIVE)", root.show(shown)),
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
pub(crate) fn set(mount: &OwnedFd, attributes: u64, recursive: bool, path: &str, root: &Root) -> Result<()> {
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
pub(crate) fn graft(what: &OwnedFd, tree: &OwnedFd, at: &str, path: &str, root: &Root) -> Result<()> {
    let below = path
        .strip_prefix(at)
        .and_then(|rest| rest.strip_prefix('/'))
        .unwrap_or(path);
    move_mount(what, "", tree, below, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .map_err(|e| Error::call(format!("move_mount({}, snapshot)", root.show(path)), e))
}
