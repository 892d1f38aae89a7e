//! Limits that the kernel derives from the machine, and those of credentials.

use std::num::NonZeroU32;
use std::os::unix::fs::MetadataExt;

use nix::unistd::{SysconfVar, sysconf};
use rustix::thread::{CapabilitySet, capability_is_in_bounding_set};

use crate::sys;

/// include/linux/pid.h `PID_MAX_DEFAULT` and `PIDS_PER_CPU_DEFAULT`, include/linux/threads.h `PID_MAX_LIMIT`.
const PID_MAX_DEFAULT: u64 = 0x8000;
const PIDS_PER_CPU: u64 = 1024;
const PID_MAX_LIMIT: u64 = if cfg!(target_pointer_width = "64") {
    4 << 20
} else {
    PID_MAX_DEFAULT
};
/// include/linux/fs.h `NR_FILE`.
const NR_FILE: u64 = 8192;
/// fs/file.c `sysctl_nr_open`.
const NR_OPEN: u64 = 1 << 20;

/// The highest capability that the bounding set knows.
pub(super) fn cap_last_cap() -> Option<u64> {
    // prctl(PR_CAPBSET_READ, n) is EINVAL for those that the kernel does not know. A capability set is 64 bits wide.
    let known = |n: &u64| capability_is_in_bounding_set(CapabilitySet::from_bits_retain(1 << *n)).is_ok();
    (0..64).take_while(known).last()
}

/// The most supplementary groups.
pub(super) fn ngroups_max() -> Option<u64> {
    /// Sixteen times what any Linux since 2.6.4 has allowed.
    const TOO_MANY: u32 = 1 << 20;
    let allowed = |count: u32| NonZeroU32::new(count).and_then(sys::setgroups_would_take);
    let asked = last_that(TOO_MANY, allowed)
        .filter(|&count| count > 0)
        .map(u64::from);
    let by_libc = || sysconf(SysconfVar::NGROUPS_MAX).ok().flatten();
    asked.or_else(|| u64::try_from(by_libc()?).ok())
}

/// The highest number from 1 up to `end` (exclusive) for which `holds`, which is true up to some number and false beyond; 0 if
/// it never is.
pub(super) fn last_that(end: u32, holds: impl Fn(u32) -> Option<bool>) -> Option<u32> {
    let (mut low, mut high) = (0, end);
    while low + 1 < high {
        let middle = low + (high - low) / 2;
        match holds(middle)? {
            true => low = middle,
            false => high = middle,
        }
    }
    Some(low)
}

/// The RAM that the kernel manages, in bytes.
fn total_ram() -> u64 {
    let info = rustix::system::sysinfo();
    // Machine-wide long and int: the casts widen.
    (info.totalram as u64).saturating_mul(u64::from(info.mem_unit).max(1))
}

pub(super) fn threads_max() -> u64 {
    let page = sysconf(SysconfVar::PAGE_SIZE)
        .ok()
        .flatten()
        .map_or(4096, i64::from)
        .unsigned_abs();
    threads_max_of(total_ram(), page, sys::init_process_limit())
}

/// kernel/fork.c `set_max_threads`, told apart from a limit that somebody gave pid 1 by nearness.
fn threads_max_of(ram: u64, page: u64, init_limit: Option<u64>) -> u64 {
    // asm/thread_info.h: 16 KiB on the 64-bit architectures, 8 KiB on the others, at least a page.
    let thread_size = page.max(if cfg!(target_pointer_width = "64") {
        16 << 10
    } else {
        8 << 10
    });
    // FUTEX_TID_MASK, and MIN_THREADS.
    let by_ram = (ram / (thread_size * 8)).clamp(20, 0x3fff_ffff);
    let twice = init_limit.and_then(|limit| limit.checked_mul(2));
    twice
        .filter(|limit| limit.abs_diff(by_ram) <= by_ram / 8)
        .unwrap_or(by_ram)
}

pub(super) fn pid_max() -> Option<u64> {
    let cpus = sysconf(SysconfVar::_NPROCESSORS_CONF).ok().flatten()?;
    Some(pid_max_of(u64::try_from(cpus).ok()?))
}

/// kernel/pid.c `pid_idr_init`.
fn pid_max_of(possible_cpus: u64) -> u64 {
    possible_cpus
        .saturating_mul(PIDS_PER_CPU)
        .clamp(PID_MAX_DEFAULT, PID_MAX_LIMIT)
}

pub(super) fn file_max() -> u64 {
    (total_ram() / 1024 / 10).max(NR_FILE)
}

pub(super) fn nr_open() -> u64 {
    let hard = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    // No limit at all is no news about the key: only the initial user namespace's boot code can have set it.
    hard.unwrap_or(0).max(NR_OPEN)
}

pub(super) fn max_namespaces() -> Option<u64> {
    Some(match in_initial_user_namespace()? {
        true => threads_max() / 2,
        false => i32::MAX as u64,
    })
}

/// Whether every user id means itself, as it does in the initial user namespace alone.
fn in_initial_user_namespace() -> Option<bool> {
    let map = std::fs::read_to_string("/proc/self/uid_map").ok()?;
    Some(map.split_ascii_whitespace().eq(["0", "0", "4294967295"]))
}

pub(super) fn max_inotify_watches() -> u64 {
    /// `sizeof(struct inotify_inode_mark)` and two `struct inode`, as of Linux 6.
    const WATCH_COST: u64 = 1312;
    // A hundredth of the RAM is for watches.
    (total_ram() / 100 / WATCH_COST).clamp(8192, 1 << 20)
}

/// User and group id that stand for those which this user namespace does not know.
pub(super) fn overflow_owner() -> Option<(u64, u64)> {
    if in_initial_user_namespace()? {
        return None;
    }
    // fs/proc/proc_sysctl.c: the initial namespace's root owns it.
    let owner = std::fs::metadata("/proc/sys/kernel").ok()?;
    // Where root is mapped, it shows as 0, mapped to whatever it may be.
    (owner.uid() != 0 && owner.gid() != 0).then(|| (owner.uid().into(), owner.gid().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn threads_follow_the_kernels_formula() {
        assert_eq!(
            threads_max_of(16 * GIB, 4096, None),
            if cfg!(target_pointer_width = "64") {
                131_072
            } else {
                262_144
            }
        );
        assert_eq!(threads_max_of(16 * GIB, 65536, None), 32_768);
        assert_eq!(threads_max_of(0, 4096, None), 20);
        assert_eq!(threads_max_of(u64::MAX, 4096, None), 0x3fff_ffff);
    }

    #[test]
    fn init_tells_the_exact_number_unless_its_limit_is_somebody_elses() {
        let near = threads_max_of(16 * GIB, 16 << 10, None) / 2 - 100;
        assert_eq!(threads_max_of(16 * GIB, 16 << 10, Some(near)), near * 2);
        for foreign in [0, 1024, 4 << 20, u64::MAX] {
            assert_eq!(
                threads_max_of(16 * GIB, 16 << 10, Some(foreign)),
                131_072,
                "{foreign}"
            );
        }
    }

    #[test]
    fn pids_grow_with_the_cpus() {
        assert_eq!(pid_max_of(1), 32_768);
        assert_eq!(pid_max_of(32), 32_768);
        if cfg!(target_pointer_width = "64") {
            assert_eq!(pid_max_of(64), 65_536);
            assert_eq!(pid_max_of(1 << 40), 4 << 20);
        }
    }

    #[test]
    fn a_boundary_is_found_wherever_it_is() {
        for boundary in [0, 1, 2, 500, 998, 999] {
            assert_eq!(last_that(1000, |n| Some(n <= boundary)), Some(boundary));
        }
        assert_eq!(last_that(1000, |_| None), None);
    }
}
