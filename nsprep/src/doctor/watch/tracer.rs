//! Following a process and all that it starts from stop to stop. All of it in one thread: to the kernel that one is the tracer.

use std::collections::HashMap;
use std::fs;
use std::io;

use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::unistd::Pid;
use procemu::trace;
use rustix::process::{WaitOptions, wait};

use super::calls::{self, About};
use super::files;
use super::{End, Seen};
use crate::doctor::errno::Refusal;

/// `__WALL`: threads and children of every kind.
const ALL: WaitOptions = WaitOptions::from_bits_retain(0x4000_0000);

/// What a stop by a system call is told by, with `PTRACE_O_TRACESYSGOOD`.
const SYSCALL: i32 = libc::SIGTRAP | 0x80;

/// `PTRACE_EVENT_STOP` of linux/ptrace.h, which libc has as another type.
const EVENT_STOP: i32 = 128;

/// Takes hold of a process, which then is not bound to live only as long as this one.
pub fn seize(pid: Pid) -> io::Result<()> {
    if !calls::ARE_KNOWN {
        return Err(io::Error::from_raw_os_error(libc::ENOSYS));
    }
    let options = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEEXEC;
    Ok(ptrace::seize(pid, options)?)
}

/// Follows `first` to its end. What it has started and left goes on, no longer watched.
pub fn follow(first: Pid) -> io::Result<(End, Seen)> {
    let mut seen = Seen::default();
    // Threads between entry to and exit from a system call.
    let mut inside: HashMap<Pid, Option<About>> = HashMap::new();
    loop {
        let (pid, status) = match wait(ALL) {
            Ok(Some((pid, status))) => (Pid::from_raw(pid.as_raw_nonzero().get()), status.as_raw()),
            Ok(None) | Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        if libc::WIFEXITED(status) || libc::WIFSIGNALED(status) {
            inside.remove(&pid);
            if pid == first {
                return Ok((End::of(status), seen));
            }
            continue;
        }
        if !libc::WIFSTOPPED(status) {
            continue;
        }
        let (signal, event) = (libc::WSTOPSIG(status), status >> 16);
        let moved = match (signal, event) {
            (SYSCALL, _) => {
                match inside.remove(&pid) {
                    None => drop(inside.insert(pid, calls::entered(pid))),
                    Some(about) => note(pid, about, &mut seen),
                }
                trace::go_on(pid.as_raw(), 0)
            }
            // A group stop tells its signal, any other of these stops SIGTRAP.
            (signal, EVENT_STOP) if signal != libc::SIGTRAP => trace::stay_stopped(pid.as_raw()),
            (_, libc::PTRACE_EVENT_EXEC) => {
                // The thread that called it has the number of the first thread now, still in that call.
                if let Ok(former) = ptrace::getevent(pid) {
                    let former = i32::try_from(former).unwrap_or_default();
                    inside.remove(&Pid::from_raw(former));
                }
                inside.insert(pid, None);
                seen.programs.insert(name(pid));
                trace::go_on(pid.as_raw(), 0)
            }
            (_, 1..) => trace::go_on(pid.as_raw(), 0),
            (signal, _) => trace::go_on(pid.as_raw(), signal),
        };
        match moved {
            // Killed in its stop: its end is told next.
            Err(error) if error.raw_os_error() != Some(libc::ESRCH) => return Err(error),
            _ => {}
        }
    }
}

/// Notes what the call at whose exit `pid` is was refused.
fn note(pid: Pid, about: Option<About>, seen: &mut Seen) {
    let Some(about) = about else { return };
    let Some(refusal) = calls::failed(pid).and_then(Refusal::of) else {
        return;
    };
    let (key, writes) = match about {
        About::Path {
            folder,
            address,
            writes,
        } => (files::key_at(pid, folder, address), writes),
        About::Written { file } => (files::key_open(pid, file), true),
    };
    if let Some(key) = key {
        let whom = seen.refused.entry((key, refusal)).or_default();
        whom.programs.insert(name(pid));
        whom.writes |= writes && is_root(pid);
    }
}

/// Whether it is root here, to whom the files of a table belong.
fn is_root(pid: Pid) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    // Real, effective, saved, of the file system.
    ids.and_then(|ids| ids.split_whitespace().nth(3)) == Some("0")
}

/// As the kernel names it.
fn name(pid: Pid) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim_end().to_owned()
}
