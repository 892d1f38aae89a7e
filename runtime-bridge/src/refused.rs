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

/// Those of `keys` that may not be opened for writing in `procfs`, from the calling process's namespaces.
pub fn refused(keys: &BTreeSet<SysctlKey>, procfs: &Root) -> BTreeSet<SysctlKey> {
    let is_refused = |key: &&SysctlKey| {
        procfs
            .open_for_writing(key)
            .is_err_and(|error| is_refusal(&error))
    };
    keys.iter().filter(is_refused).cloned().collect()
}

/// The procfs that a runtime of this kind writes to. `None` where it can't be had: runc takes the `/proc` then that it mounts in the
/// container, which is not there yet.
pub fn written_through(kind: Kind) -> Option<Root> {
    let around = Root::procfs("/proc");
    match kind {
        Kind::Crun => around.ok(),
        // runc 1.1 writes to the container's. What the hook does in its place there is the same write, a little earlier.
        Kind::Runc | Kind::Youki | Kind::Unknown => {
            Root::fresh_procfs().or_else(|_| around?.unshadowed()).ok()
        }
    }
}
