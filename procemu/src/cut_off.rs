//! Before something is taken off: from a mount with peers it would go in their mount namespaces too.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use crate::mount::{self, make_slave};
use crate::mountinfo;
use crate::root::Root;

/// Makes what the mounts whose roots `handles` are lie on, below `root`, slaves where it is in a peer group. An attach had
/// them cut off; whoever shares all mounts later (`mount --make-rshared /`) has them in a new one.
pub(crate) fn cut_off(root: &Root, handles: &[&OwnedFd]) -> io::Result<()> {
    let other = |error: crate::Error| io::Error::other(error.line());
    let mounts = mountinfo::read().map_err(other)?;
    let point = root.mountpoint_in(&mounts).map_err(other)?;
    let by_id = |id: u64| mounts.iter().find(|mount| mount.id == id);
    for handle in handles {
        // A kernel that tells no id tells nothing.
        let parent = mount::id(handle)
            .ok()
            .and_then(by_id)
            .and_then(|mount| by_id(mount.parent));
        let Some(parent) = parent.filter(|parent| parent.shared) else {
            continue;
        };
        match parent.point.strip_prefix(&point).ok().and_then(Path::to_str) {
            Some("") => make_slave(root.handle())?,
            Some(path) => make_slave(root.walk(path)?)?,
            None => {}
        }
    }
    Ok(())
}
