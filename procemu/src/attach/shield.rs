//! A shield for kernels on which a read-only mount keeps nobody from changing a file's mode, owner or length.
//!
//! gVisor's tmpfs is one: root in a container could empty a key by truncate(2) or chmod it, read-only as the mount is. Its
//! overlayfs refuses that, for each of its mounts by itself. So everything is reached through an overlayfs whose upper layer
//! is the tmpfs: keys that take writes are mounts of it too, and may be lent to a container in which they take none.

use std::os::fd::OwnedFd;

use nix::mount::{MsFlags, mount};
use rustix::fs::{AtFlags, Mode, OFlags, chmodat, mkdirat, openat};
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::mount::{bind, by_fd, remount_read_only, take_off};

/// The folder of the tmpfs for the mounts that are made here: empty, and so also the lower layer without which there is no
/// overlayfs.
const SPOT: &str = "shield";

const FOLDER: Mode = Mode::from_raw_mode(0o555);

/// Covers `tmpfs`, the root of a mounted tmpfs with the folder `layer`, by an overlayfs of it where that is needed; gives
/// the root of that, which is to be made read-only, and that folder in it.
///
/// # Errors
/// `System` or `Denied` if what is needed cannot be mounted. What was mounted lies on the tmpfs and goes with it.
pub(super) fn cover(tmpfs: &OwnedFd, layer: &str) -> Result<Option<(OwnedFd, OwnedFd)>> {
    let failed =
        |call: &str, e: std::io::Error| Error::call(format!("shield of the snapshot: {call}({SPOT})"), e);
    mkdirat(tmpfs, SPOT, FOLDER).map_err(|e| failed("mkdir", e.into()))?;
    // The process's umask may be anything, and root may be without CAP_DAC_OVERRIDE.
    chmodat(tmpfs, SPOT, FOLDER, AtFlags::empty()).map_err(|e| failed("chmod", e.into()))?;
    let spot = open(tmpfs, SPOT).map_err(|e| failed("open", e))?;
    if is_protected(tmpfs, &spot, layer).map_err(|e| failed("trying a read-only bind", e))? {
        return Ok(None);
    }
    let data = format!("lowerdir={},upperdir={}", by_fd(&spot), by_fd(tmpfs));
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some(layer), &*by_fd(&spot), Some("overlay"), flags, Some(&*data))
        .map_err(|e| failed("mount overlay", e.into()))?;
    let opened = open(tmpfs, SPOT).and_then(|overlay| {
        let content = open(&overlay, layer)?;
        Ok((overlay, content))
    });
    opened.map(Some).map_err(|e| failed("open", e))
}

/// The topmost mount on the folder of `tmpfs` for mounts that are made in passing.
pub(super) fn spot(tmpfs: &OwnedFd) -> std::io::Result<OwnedFd> {
    open(tmpfs, SPOT)
}

/// Whether a read-only mount of it refuses a change of mode: tried on one that is taken off again, with the mode that
/// the folder has.
fn is_protected(tmpfs: &OwnedFd, spot: &OwnedFd, layer: &str) -> std::io::Result<bool> {
    bind(tmpfs, spot)?;
    let top = open(tmpfs, SPOT)?;
    let tried = remount_read_only(&top).and_then(|()| match chmodat(&top, layer, FOLDER, AtFlags::empty()) {
        Ok(()) => Ok(false),
        Err(Errno::ROFS) => Ok(true),
        // Says nothing.
        Err(errno) => Err(errno.into()),
    });
    take_off(&top)?;
    tried
}

fn open(folder: &OwnedFd, name: &str) -> std::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(folder, name, flags, Mode::empty())?)
}
