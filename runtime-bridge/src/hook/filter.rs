//! The hook's own seccomp filter, with policy `seccomp_hook`: from the moment when it knows its order it makes these system calls and
//! no others. docs/security.md has the same list.

use std::collections::BTreeMap;

use nix::libc::c_long;
use procemu::Error;
use seccompiler::{SeccompAction, SeccompFilter, apply_filter};

macro_rules! calls {
    ($($call:ident),* $(,)?) => {
        &[$((stringify!($call), nix::libc::$call)),*]
    };
}

/// Made after the order is known. What is made before only, to become the sealed copy, is not among them: there is no way from here
/// to another program.
const CALLS: &[(&str, c_long)] = calls![
    SYS_bind,
    SYS_brk,
    SYS_capget,
    SYS_capset,
    SYS_clock_gettime,
    SYS_clone,
    SYS_clone3,
    SYS_close,
    SYS_exit,
    SYS_exit_group,
    SYS_fchmod,
    SYS_fchmodat,
    SYS_fcntl,
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fsopen,
    SYS_fstat,
    SYS_fstatfs,
    SYS_futex,
    SYS_getdents64,
    SYS_getpid,
    SYS_getrandom,
    SYS_getsockopt,
    SYS_gettid,
    SYS_linkat,
    SYS_listen,
    SYS_lseek,
    SYS_madvise,
    SYS_memfd_create,
    SYS_mkdirat,
    SYS_mknodat,
    SYS_mmap,
    SYS_mount,
    SYS_mount_setattr,
    SYS_move_mount,
    SYS_mprotect,
    SYS_mremap,
    SYS_msgctl,
    SYS_munmap,
    SYS_newfstatat,
    SYS_open_tree,
    SYS_openat,
    SYS_openat2,
    SYS_pidfd_open,
    SYS_prctl,
    SYS_pread64,
    SYS_prlimit64,
    SYS_pwrite64,
    SYS_read,
    SYS_readlinkat,
    SYS_restart_syscall,
    SYS_rseq,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_sched_getaffinity,
    SYS_semctl,
    SYS_set_robust_list,
    SYS_setgroups,
    SYS_setns,
    SYS_setresgid,
    SYS_setresuid,
    SYS_setsockopt,
    SYS_shmctl,
    SYS_sigaltstack,
    SYS_socket,
    SYS_statx,
    SYS_symlinkat,
    SYS_sysinfo,
    SYS_umount2,
    SYS_uname,
    SYS_unshare,
    SYS_wait4,
    SYS_write,
];

/// Which the C library has no names for yet: their numbers are as far from that one's on every architecture (the kernel's
/// scripts/syscall.tbl).
const NEWER: &[(&str, c_long)] = &[
    ("SYS_statmount", nix::libc::SYS_mount_setattr + 15),
    ("SYS_listmount", nix::libc::SYS_mount_setattr + 16),
];

/// The same by the names that older architectures have for them.
#[cfg(target_arch = "x86_64")]
const OLDER: &[(&str, c_long)] = calls![SYS_readlink, SYS_poll];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[(&str, c_long)] = calls![SYS_ppoll];

/// Lets this process, and those that it makes, do nothing else any more: other calls answer EPERM.
///
/// # Errors
/// If there can be no filter, on this architecture or this kernel.
pub(super) fn begin() -> Result<(), Error> {
    let failed = |error: &dyn std::fmt::Display| Error::input(format!("policy seccomp_hook: {error}"));
    let rules: BTreeMap<i64, Vec<_>> = CALLS
        .iter()
        .chain(NEWER)
        .chain(OLDER)
        .map(|(_, number)| (*number, Vec::new()))
        .collect();
    let architecture = std::env::consts::ARCH
        .try_into()
        .map_err(|error: seccompiler::BackendError| failed(&error))?;
    let refused = SeccompAction::Errno(nix::libc::EPERM.unsigned_abs());
    let filter = SeccompFilter::new(rules, refused, SeccompAction::Allow, architecture)
        .and_then(seccompiler::BpfProgram::try_from)
        .map_err(|error| failed(&error))?;
    apply_filter(&filter).map_err(|error| failed(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_page_has_the_same_list() {
        let page = include_str!("../../../docs/security.md");
        let list = page
            .split_once("<!-- system calls of the hook -->")
            .and_then(|(_, rest)| rest.split_once("<!-- end -->"));
        let (list, _) = list.expect("the page has a list");
        let lines = list
            .lines()
            .filter(|line| line.starts_with("| `") && !line.contains("(before)"));
        let listed: BTreeSet<&str> = lines
            .flat_map(|line| {
                line.split('|')
                    .nth(1)
                    .unwrap_or_default()
                    .split('`')
                    .skip(1)
                    .step_by(2)
            })
            .collect();
        // The page is written on x86_64.
        if cfg!(target_arch = "x86_64") {
            let allowed = CALLS
                .iter()
                .chain(NEWER)
                .chain(OLDER)
                .map(|(name, _)| name.trim_start_matches("SYS_"));
            assert_eq!(allowed.collect::<BTreeSet<_>>(), listed);
        }
    }
}
