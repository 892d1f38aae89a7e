//! A security module that denies writing, as AppArmor does.

use super::{Bed, Script, TestResult, need};

const DENY: &str = include_str!("deny.pl");

/// What AppArmor's profile for LXC denies: to it, a file of a procfs that is mounted nowhere is one of sysfs.
pub const DETACHED: &str = "^/sys/";

/// Gives `script` what `denied` of `lib.sh` needs.
///
/// # Errors
/// Skips the test where nothing can be denied.
pub fn with_denial(bed: &Bed, script: Script) -> TestResult<Script> {
    if !cfg!(target_arch = "x86_64") {
        return need::skip("needs x86_64, for whose system calls deny.pl is written");
    }
    need::command("perl")?;
    Ok(script.env("DENY", bed.file("deny.pl", DENY)?))
}
