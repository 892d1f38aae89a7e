//! What to say of a call that the kernel refused with EPERM.

use caps::{CapSet, Capability};

/// `call`, and in front of it, where `errno` is EPERM, what it was refused for want of.
pub(crate) fn explained(errno: i32, call: &str) -> String {
    match refusal() {
        Some(why) if errno == libc::EPERM => format!("{why}: {call}"),
        _ => call.to_owned(),
    }
}

fn refusal() -> Option<&'static str> {
    match caps::has_cap(None, CapSet::Effective, Capability::CAP_SYS_ADMIN) {
        Ok(false) => Some("this process lacks CAP_SYS_ADMIN"),
        // It has it in a user namespace that does not own the mounts, or a filter stands before it.
        Ok(true) => {
            Some("CAP_SYS_ADMIN does not reach (a user namespace, a seccomp filter, a security module)")
        }
        Err(_) => None,
    }
}
