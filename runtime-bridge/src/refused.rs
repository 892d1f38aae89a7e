//! Which sysctls a runtime may not write, found out by opening them as it will. Nothing is written.
//!
//! runc since 1.3.3, and youki, write through a procfs of their own that is mounted nowhere: nothing in a container can lead
//! them elsewhere then. To AppArmor a file in there is `/sys/net/...`, which the profiles of LXC deny
//! (<https://github.com/opencontainers/runc/issues/4968>). crun writes through the `/proc` around it, before it mounts
//! anything; that one is read-only in a container of Docker's or OpenVZ's.

use std::collections::BTreeSet;

use procemu::{Root, SysctlKey};

use crate::runtime::Kind;
use crate::sysctl::is_refusal;

/// Those of `keys` that may not be opened for writing, in the calling process's namespaces.
pub fn refused(keys: &BTreeSet<SysctlKey>, kind: Kind) -> BTreeSet<SysctlKey> {
    if keys.is_empty() {
        return BTreeSet::new();
    }
    // Where none can be had, runc takes the /proc that it mounts in the container, which is not there yet.
    let Some(root) = written_through(kind) else {
        return BTreeSet::new();
    };
    let is_refused = |key: &&SysctlKey| root.open_for_writing(key).is_err_and(|error| is_refusal(&error));
    keys.iter().filter(is_refused).cloned().collect()
}

/// The procfs that a runtime of this kind writes to.
fn written_through(kind: Kind) -> Option<Root> {
    let around = Root::procfs("/proc");
    match kind {
        Kind::Crun => around.ok(),
        // runc 1.1 writes to the container's. What the hook does in its place there is the same write, a little earlier.
        Kind::Runc | Kind::Youki | Kind::Unknown => {
            Root::fresh_procfs().or_else(|_| around?.unshadowed()).ok()
        }
    }
}
