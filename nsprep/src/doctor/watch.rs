//! Running a command and watching which files of `/proc` and `/sys` it and its children are refused, by ptrace(2).

mod calls;
mod files;
mod signals;
mod tracer;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::process::{Child, Command, ExitStatus};

use nix::libc;
use nix::sys::signal::{Signal, kill, raise};
use nix::unistd::Pid;
use procemu::{SysctlKey, errno_text, wait_for_children};
use rustix::process::{WaitOptions, waitpid};

use super::errno::Refusal;

/// What was refused, and to whom.
pub type Refused = BTreeMap<(SysctlKey, Refusal), Whom>;

/// To whom a key was refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whom {
    /// The programs, as the kernel names them.
    pub programs: BTreeSet<String>,
    /// Whether one that may write what is root's was to write it.
    pub writes: bool,
}

/// What was seen of a command and all that it started.
#[derive(Default)]
pub struct Seen {
    /// What was refused.
    pub refused: Refused,
    /// Which programs ran, as the kernel names them.
    pub programs: BTreeSet<String>,
}

/// How a command was run.
pub struct Watched {
    /// How it ended.
    pub end: End,
    /// What was seen, or why nothing could be.
    pub seen: Result<Seen, String>,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl End {
    fn of(status: i32) -> Self {
        match libc::WIFSIGNALED(status) {
            true => Self::Signal(libc::WTERMSIG(status)),
            false => Self::Code(libc::WEXITSTATUS(status)),
        }
    }

    /// Ends this process in the same way.
    pub fn repeat(self) -> ! {
        let code = match self {
            Self::Code(code) => code,
            Self::Signal(signal) => {
                signals::die_by(signal);
                // One that does not kill this program, or that it knows no name for.
                128 + signal
            }
        };
        std::process::exit(code)
    }
}

/// Runs `command` with everything that this process has, and hands on to it the signals that this process is sent.
///
/// # Errors
/// It cannot be begun.
pub fn watch(command: &[OsString]) -> io::Result<Watched> {
    // Before the child is there, so that none is lost.
    let held = signals::hold()?;
    let mut child = begin(command, held.numbers())?;
    // Not before: to the child they may be ignored, as the caller has it.
    wait_for_children();
    let pid = Pid::from_raw(child.id().cast_signed());
    let stopped = wait_until_stopped(pid)?;
    let seized = match stopped {
        true => tracer::seize(pid).map_err(|error| refused(&error)),
        // It has not come so far, and ends by itself.
        false => Err("its beginning was not seen".to_owned()),
    };
    signals::hand_on(held, pid);
    // Where it is traced, it begins by this; where it is not, too.
    let _ = kill(pid, Signal::SIGCONT);
    match seized {
        Ok(()) => {
            let (end, seen) = tracer::follow(pid)?;
            Ok(Watched { end, seen: Ok(seen) })
        }
        Err(why) => Ok(Watched {
            end: end_of(child.wait()?),
            seen: Err(why),
        }),
    }
}

fn end_of(status: ExitStatus) -> End {
    use std::os::unix::process::ExitStatusExt;
    End::of(status.into_raw())
}

/// This program, which stops itself and then becomes the command.
fn begin(command: &[OsString], release: &str) -> io::Result<Child> {
    Command::new("/proc/self/exe")
        .args(["doctor", &format!("--stopped={release}"), "--"])
        .args(command)
        .spawn()
}

/// In the child: waits for the tracer to have hold of it, with all signals as the caller of its parent had them.
pub fn stop(release: &str) {
    // It cannot fail for a signal that there is.
    let _ = raise(Signal::SIGSTOP);
    signals::release(release);
}

/// Whether it is stopped, and not at its end already.
fn wait_until_stopped(pid: Pid) -> io::Result<bool> {
    let pid = rustix::process::Pid::from_raw(pid.as_raw()).ok_or(io::ErrorKind::InvalidInput)?;
    loop {
        match waitpid(Some(pid), WaitOptions::UNTRACED) {
            Ok(Some((_, status))) if status.stopped() => return Ok(true),
            Ok(_) => return Ok(false),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Who may have refused, as far as that can be told.
fn refused(error: &io::Error) -> String {
    let scope = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    let by = match scope.trim() {
        "" | "0" | "1" => "a seccomp filter, a security module or a sandbox refuses it".to_owned(),
        scope => format!("kernel.yama.ptrace_scope is {scope}"),
    };
    format!("ptrace(PTRACE_SEIZE): {}: {by}", errno_text(error))
}
