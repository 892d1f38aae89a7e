//! What keeps our mounts from reaching other mount namespaces.
//!
//! Of procfs all is made private. Below `/sys` lie mounts that others go on using together, such as `/sys/fs/bpf`: there
//! only what carries a mount of ours is cut off, and in one direction.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use super::Order;
use crate::error::{Error, Result};
use crate::filesystem::Filesystem;
use crate::mount::{self, make_private, make_shared, make_slave};
use crate::mount_tree;
use crate::mountinfo::{self, Mount};
use crate::root::Root;

/// Mounts that were in a peer group: their ids, and handles on their roots.
#[derive(Debug, Default)]
pub(super) struct Unshared(Vec<(u64, OwnedFd)>);

impl Unshared {
    /// Cuts off what the plan's mounts go on, if anything of it is in a peer group, to which they would propagate. What only
    /// receives from elsewhere stays as it is.
    pub(super) fn before(&mut self, order: &Order<'_>) -> Result<()> {
        let root = order.root;
        match root.filesystem() {
            Filesystem::Proc => {
                let point = root.mountpoint_in(order.mounts)?;
                let shared = below(root, order.mounts, &point).into_iter().filter(|m| m.shared);
                let shared: Vec<_> = shared.collect();
                if shared.is_empty() {
                    return Ok(());
                }
                let held = shared.into_iter().filter_map(|m| hold(root, &point, m).ok());
                self.0 = held.collect();
                let call = format!("mount({}, MS_PRIVATE|MS_REC)", root.shown().display());
                make_private(root.handle()).map_err(|errno| Error::call(call, errno))
            }
            Filesystem::Sys => {
                let carriers = order.plan.targets().map(|path| carrier(root, order.mounts, path));
                let carriers = carriers.collect::<Result<Vec<_>>>()?;
                let point = root.mountpoint_in(order.mounts)?;
                carriers
                    .into_iter()
                    .try_for_each(|carrier| self.cut_off(root, &point, carrier))
            }
        }
    }

    /// The same for what is mounted at `path` in passing, or beside the plan: the stage of the classic way, a spare. Of procfs
    /// all is private.
    pub(super) fn before_mount_at(&mut self, root: &Root, path: &str) -> Result<()> {
        if root.filesystem().is_proc() {
            return Ok(());
        }
        let mounts = mount_tree::of([root.handle()])?;
        let point = root.mountpoint_in(&mounts)?;
        self.cut_off(root, &point, carrier(root, &mounts, path)?)
    }

    /// Makes `carrier` a slave; `root` is mounted at `point`.
    fn cut_off(&mut self, root: &Root, point: &Path, carrier: &Mount) -> Result<()> {
        if !carrier.shared || self.0.iter().any(|(id, _)| *id == carrier.id) {
            return Ok(());
        }
        let held = hold(root, point, carrier).and_then(|held| {
            make_slave(&held.1)?;
            Ok(held)
        });
        let call = format!("mount({}, MS_SLAVE)", carrier.point.display());
        self.0.push(held.map_err(|errno| Error::call(call, errno))?);
        Ok(())
    }

    /// Adds those of `other`.
    pub(super) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Shares them again.
    pub(super) fn restore(&self) {
        for (_, handle) in &self.0 {
            // Best effort on the way out of a failure that is already being reported.
            let _ = make_shared(handle);
        }
    }
}

/// The mount of `root`, which is at `point`, and those below it.
fn below<'a>(root: &Root, mounts: &'a [Mount], point: &Path) -> Vec<&'a Mount> {
    let id = mount::id_anywhere(root.handle()).ok();
    match id.filter(|id| mounts.iter().any(|mount| mount.id == *id)) {
        Some(id) => mountinfo::tree(mounts, id),
        None => mounts.iter().filter(|m| m.point.starts_with(point)).collect(),
    }
}

/// A handle on the root of `mount`, which is `root`'s, at `point`, or one below it. A path would lead elsewhere once an image's
/// folder was swapped for a link.
fn hold(root: &Root, point: &Path, mount: &Mount) -> io::Result<(u64, OwnedFd)> {
    let path = mount.point.strip_prefix(point).ok().and_then(Path::to_str);
    let handle = match path.ok_or(io::ErrorKind::NotFound)? {
        "" => root.handle().try_clone_to_owned()?,
        path => root.walk(path)?,
    };
    Ok((mount.id, handle))
}

/// Refuses to put something on `target`, the topmost mount at `path`, if that is in a peer group: what was cut off is not what is there now.
/// In a volume below `/sys` others mount and unmount at any time. Of procfs all is private, so nothing comes.
pub(super) fn refuse_shared(root: &Root, path: &str, target: &OwnedFd) -> Result<()> {
    if root.filesystem().is_proc() {
        return Ok(());
    }
    // A kernel that tells no id tells nothing.
    let Ok(id) = mount::id(target) else {
        return Ok(());
    };
    match mount_tree::of([target.as_fd()])?
        .iter()
        .find(|mount| mount.id == id)
    {
        Some(mount) if !mount.shared => Ok(()),
        _ => Err(Error::place(format!(
            "{}: its mounts change while it is looked at",
            root.show(path)
        ))),
    }
}

/// Whether something is put on the file system itself, or on an overmount, and not only on others that are mounted below
/// it, such as cgroups: what covers those is no reason for the kernel to refuse a new sysfs.
pub(super) fn covers(order: &Order<'_>) -> Result<bool> {
    let kind = order.root.filesystem().kind();
    for path in order.plan.targets() {
        let carrier = carrier(order.root, order.mounts, path)?;
        if carrier.fs == kind || carrier.layer().is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The mount that what is put at `path` would lie on.
fn carrier<'a>(root: &Root, mounts: &'a [Mount], path: &str) -> Result<&'a Mount> {
    let at = root.show(path);
    let handle = if path.is_empty() {
        root.handle().try_clone_to_owned()
    } else {
        // What is mounted on a folder that a link leads to lies there.
        root.folder(path).or_else(|_| root.walk(path))
    };
    let handle = handle.map_err(|e| Error::call(format!("open({at})"), e))?;
    let found = match mount::id(&handle) {
        Ok(id) => mounts.iter().find(|m| m.id == id),
        Err(_) => mountinfo::carrier(mounts, &root.mountpoint_in(mounts)?.join(path)),
    };
    found.ok_or_else(|| {
        Error::place(format!(
            "{at}: the mount that it lies on is not in /proc/self/mountinfo"
        ))
    })
}
