//! The limits of System V IPC.

use crate::sys;

/// One of the message queue limits.
pub(super) fn msg(limit: fn(sys::MsgLimits) -> i32) -> Option<u64> {
    // The kernel keeps these in an int and prints them as one; a negative one cannot be set.
    u64::try_from(limit(sys::msg_limits()?)).ok()
}

/// The four semaphore limits on one line, in the key's order (ipc/ipc_sysctl.c `sem_ctls`).
pub(super) fn sem() -> Option<String> {
    let limits = sys::sem_limits()?;
    Some(format!(
        "{}\t{}\t{}\t{}",
        limits.msl, limits.mns, limits.opm, limits.mni
    ))
}
