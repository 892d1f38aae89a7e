//! Two requests of ptrace(2) for which no crate has a safe function that takes every signal: for diagnostics.

use std::io;

use nix::unistd::Pid;

use crate::sys;

/// Lets the tracee `pid`, which is stopped, go on to its next entry to or exit from a system call, and gives it `signal` (0 for
/// none; real-time signals too). ptrace(2), `PTRACE_SYSCALL`.
///
/// # Errors
/// ESRCH where it is no tracee of this thread, or not stopped: it may have been killed.
pub fn go_on(pid: i32, signal: i32) -> io::Result<()> {
    Ok(sys::trace_syscall(Pid::from_raw(pid), signal)?)
}

/// Leaves the tracee `pid`, which was seized and is in a group stop, stopped until it gets SIGCONT. ptrace(2), `PTRACE_LISTEN`.
///
/// # Errors
/// As [`go_on`]; EIO where it is in no group stop.
pub fn stay_stopped(pid: i32) -> io::Result<()> {
    Ok(sys::trace_listen(Pid::from_raw(pid))?)
}
