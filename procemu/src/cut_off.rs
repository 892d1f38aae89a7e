//! Before something is taken off: from a mount with peers it would go in their mount namespaces too.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, StatxFlags, statx};

use crate::mount::make_slave;
use crate::mountinfo;
use crate::procfs::Procfs;

/// Makes what the mounts whose roots `handles` are lie on, below `proc`, slaves where it is in a peer group. An attach had
/// them cut off; whoever shares all mounts later (`mount --make-rshared /`) has them in a new one.
pub(crate) fn cut_off(proc: &Procfs, handles: &[&OwnedFd]) -> io::Result<()> {
    let other = |error: crate::Error| io::Error::other(error.line());
    let mounts = mountinfo::read().map_err(other)?;
    let point = proc.mountpoint().map_err(other)?;
    let by_id = |id: u64| mounts.iter().find(|mount| mount.id == id);
    for handle in handles {
        let parent = mount_id(handle)?
            .and_then(by_id)
            .and_then(|mount| by_id(mount.parent));
        let Some(parent) = parent.filter(|parent| parent.shared) else {
            continue;
        };
        match parent.point.strip_prefix(&point).ok().and_then(Path::to_str) {
            Some("") => make_slave(proc.root())?,
            Some(path) => make_slave(proc.walk(path)?)?,
            None => {}
        }
    }
    Ok(())
}

/// The id of the mount that `handle` lies on; none where the kernel does not tell.
pub(crate) fn mount_id(handle: impl AsFd) -> io::Result<Option<u64>> {
    let found = statx(handle, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?;
    let told = found.stx_mask & StatxFlags::MNT_ID.bits() != 0;
    Ok(told.then_some(found.stx_mnt_id))
}
