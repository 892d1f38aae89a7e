//! How long the kernel is up, as its own files count it.

use nix::unistd::{SysconfVar, sysconf};
use rustix::time::{ClockId, clock_gettime};

/// Ticks of USER_HZ since boot, the time that the machine slept included, as in `/proc/uptime`.
pub(crate) fn ticks() -> u64 {
    let up = clock_gettime(ClockId::Boottime);
    // proc(5): sysconf(_SC_CLK_TCK), 100 on nearly every machine.
    let hz = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
    let ticks =
        i128::from(up.tv_sec) * i128::from(hz) + i128::from(up.tv_nsec) * i128::from(hz) / 1_000_000_000;
    u64::try_from(ticks).unwrap_or_default()
}
