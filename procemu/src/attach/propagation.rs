//! What keeps our mounts from reaching other mount namespaces.
//!
//! Of procfs all is made private. Below `/sys` lie mounts that others go on using together, such as `/sys/fs/bpf`: there
//! only what carries a mount of ours is cut off, and in one direction.

use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};
use rustix::fs::{AtFlags, StatxFlags, statx};

use super::Order;
use crate::error::{Error, Result};
use crate::filesystem::Filesystem;
use crate::mount::{make_private, make_slave};
use crate::mountinfo::{self, Mount};
use crate::procfs::Procfs;

/// The mountpoints of mounts that were in a peer group.
#[derive(Debug, Default)]
pub(super) struct Unshared(Vec<PathBuf>);

impl Unshared {
    /// Cuts off what the plan's mounts go on, if anything of it is in a peer group, to which they would propagate. What only
    /// receives from elsewhere stays as it is.
    pub(super) fn before(&mut self, order: &Order<'_>) -> Result<()> {
        let proc = order.proc;
        match proc.filesystem() {
            Filesystem::Proc => {
                let point = proc.mountpoint()?;
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
                let call = format!("mount({}, MS_PRIVATE|MS_REC)", proc.shown().display());
                make_private(proc.root()).map_err(|errno| Error::call(call, errno))
            }
            Filesystem::Sys => {
                let carriers = order.plan.targets().map(|path| carrier(proc, order.mounts, path));
                let carriers = carriers.collect::<Result<Vec<_>>>()?;
                carriers
                    .into_iter()
                    .try_for_each(|carrier| self.cut_off(proc, carrier))
            }
        }
    }

    /// The same for what is mounted at `path` in passing, or beside the plan: the stage of the classic way, a spare. Of procfs
    /// all is private.
    pub(super) fn before_mount_at(&mut self, proc: &Procfs, path: &str) -> Result<()> {
        if proc.filesystem().is_proc() {
            return Ok(());
        }
        let mounts = mountinfo::read()?;
        self.cut_off(proc, carrier(proc, &mounts, path)?)
    }

    /// Makes `carrier` a slave.
    fn cut_off(&mut self, proc: &Procfs, carrier: &Mount) -> Result<()> {
        if !carrier.shared || self.0.contains(&carrier.point) {
            return Ok(());
        }
        let root = proc.mountpoint()?;
        let path = carrier.point.strip_prefix(&root).ok().and_then(Path::to_str);
        let slave = match path.unwrap_or_default() {
            "" => make_slave(proc.root()),
            path => proc.walk(path).and_then(|fd| make_slave(&fd)),
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
    let kind = order.proc.filesystem().kind();
    for path in order.plan.targets() {
        let carrier = carrier(order.proc, order.mounts, path)?;
        if carrier.fs == kind || carrier.layer().is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The mount that what is put at `path` would lie on.
fn carrier<'a>(proc: &Procfs, mounts: &'a [Mount], path: &str) -> Result<&'a Mount> {
    let at = proc.show(path);
    let handle = if path.is_empty() {
        proc.root().try_clone_to_owned()
    } else {
        // What is mounted on a folder that a link leads to lies there.
        proc.folder(path).or_else(|_| proc.walk(path))
    };
    let handle = handle.map_err(|e| Error::call(format!("open({at})"), e))?;
    let id = statx(&handle, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)
        .ok()
        .filter(|found| found.stx_mask & StatxFlags::MNT_ID.bits() != 0)
        .map(|found| found.stx_mnt_id);
    let found = match id {
        Some(id) => mounts.iter().find(|m| m.id == id),
        None => mountinfo::carrier(mounts, &proc.mountpoint()?.join(path)),
    };
    found.ok_or_else(|| {
        Error::place(format!(
            "{at}: the mount that it lies on is not in /proc/self/mountinfo"
        ))
    })
}
