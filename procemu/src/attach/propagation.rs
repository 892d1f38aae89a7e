//! What keeps our mounts from reaching other mount namespaces.
//!
//! Of procfs all is made private. Below `/sys` lie mounts that others go on using together, such as `/sys/fs/bpf`: there
//! only what carries a mount of ours is cut off, and in one direction.

use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};

use super::Order;
use crate::error::{Error, Result};
use crate::filesystem::Filesystem;
use crate::mount::{self, make_private, make_slave};
use crate::mountinfo::{self, Mount};
use crate::root::Root;

/// The mountpoints of mounts that were in a peer group.
#[derive(Debug, Default)]
pub(super) struct Unshared(Vec<PathBuf>);

impl Unshared {
    /// Cuts off what the plan's mounts go on, if anything of it is in a peer group, to which they would propagate. What only
    /// receives from elsewhere stays as it is.
    pub(super) fn before(&mut self, order: &Order<'_>) -> Result<()> {
        let root = order.root;
        match root.filesystem() {
            Filesystem::Proc => {
                let point = root.mountpoint()?;
                let shared = |m: &&Mount| m.shared && m.point.starts_with(&point);
                self.0 = order
                    .mounts
                    .iter()
                    .filter(shared)
                    .map(|m| m.point.clone())
                    .collect();
                if self.0.is_empty() {
                    return Ok(());
                }
                let call = format!("mount({}, MS_PRIVATE|MS_REC)", root.shown().display());
                make_private(root.handle()).map_err(|errno| Error::call(call, errno))
            }
            Filesystem::Sys => {
                let carriers = order.plan.targets().map(|path| carrier(root, order.mounts, path));
                let carriers = carriers.collect::<Result<Vec<_>>>()?;
                carriers
                    .into_iter()
                    .try_for_each(|carrier| self.cut_off(root, carrier))
            }
        }
    }

    /// The same for what is mounted at `path` in passing, or beside the plan: the stage of the classic way, a spare. Of procfs
    /// all is private.
    pub(super) fn before_mount_at(&mut self, root: &Root, path: &str) -> Result<()> {
        if root.filesystem().is_proc() {
            return Ok(());
        }
        let mounts = mountinfo::read()?;
        self.cut_off(root, carrier(root, &mounts, path)?)
    }

    /// Makes `carrier` a slave.
    fn cut_off(&mut self, root: &Root, carrier: &Mount) -> Result<()> {
        if !carrier.shared || self.0.contains(&carrier.point) {
            return Ok(());
        }
        let point = root.mountpoint()?;
        let path = carrier.point.strip_prefix(&point).ok().and_then(Path::to_str);
        let slave = match path.unwrap_or_default() {
            "" => make_slave(root.handle()),
            path => root.walk(path).and_then(|fd| make_slave(&fd)),
        };
        let call = format!("mount({}, MS_SLAVE)", carrier.point.display());
        slave.map_err(|errno| Error::call(call, errno))?;
        self.0.push(carrier.point.clone());
        Ok(())
    }

    /// Adds those of `other`.
    pub(super) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Shares them again.
    pub(super) fn restore(&self) {
        for point in &self.0 {
            // Best effort on the way out of a failure that is already being reported.
            let _ = mount(
                None::<&str>,
                point as &Path,
                None::<&str>,
                MsFlags::MS_SHARED,
                None::<&str>,
            );
        }
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
        Err(_) => mountinfo::carrier(mounts, &root.mountpoint()?.join(path)),
    };
    found.ok_or_else(|| {
        Error::place(format!(
            "{at}: the mount that it lies on is not in /proc/self/mountinfo"
        ))
    })
}
