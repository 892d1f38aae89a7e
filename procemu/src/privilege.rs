//! What to say of a call that the kernel refused with EPERM.

use caps::{CapSet, Capability};

/// Why a mount or namespace call was not permitted, and what would help; in front of the call in an error's line.
pub(crate) fn refusal() -> &'static str {
    match caps::has_cap(None, CapSet::Effective, Capability::CAP_SYS_ADMIN) {
        Ok(false) => "this process lacks CAP_SYS_ADMIN: ",
        // It has it in a user namespace that does not own the mounts, or a filter stands before it.
        Ok(true) => {
            "CAP_SYS_ADMIN is there but does not reach (a user namespace, a seccomp filter or a security module): "
        }
        Err(_) => "",
    }
}
