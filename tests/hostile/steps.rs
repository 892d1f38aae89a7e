//! A program that is stopped at each of its system calls in turn, where a folder is exchanged for a link: every moment of a race,
//! none left to chance.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::swap::exchange;
use super::table::Mounts;

/// What is done at one system call of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attack {
    /// Before which of its calls that see files, counted from the first that opens a handle; none where there are fewer.
    pub at: u64,
    /// Whether it is undone before the call after that.
    pub back: bool,
    /// Whether the first move_mount(2) fails with EIO, so that all has to be undone.
    pub fails: bool,
}

/// How one run ended.
pub struct Ended {
    /// How many such calls it made.
    pub calls: u64,
    /// How many mounts of ours there were at its end.
    pub mounts: usize,
    /// Whether it said that it did its work.
    pub done: bool,
}

/// Runs the shell script `script`, which prepares a mount namespace, stops itself, and becomes the program. `one` and `other` are
/// exchanged as `attack` says. `point` is where the container's procfs is mounted.
///
/// # Errors
/// What the program did that it must not: anything but mounts on that procfs; or it cannot be traced.
pub fn run(script: &str, one: &Path, other: &Path, point: &str, attack: Attack) -> io::Result<Ended> {
    let child = Command::new("unshare")
        .args(["--mount", "--propagation", "slave", "sh", "-euc", script])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let mut traced = Traced::take(child)?;
    let (mut calls, mut swapped, mut failing, mut entering) = (0, false, attack.fails, false);
    let mut looks = false;
    let mut outcome = None;
    let before = Mounts::of(&traced.pid.to_string())?;
    let on = before
        .at(point)
        .ok_or_else(|| io::Error::other("no procfs there"))?;
    loop {
        ptrace::syscall(traced.pid, traced.signal.take())?;
        match waitpid(traced.pid, Some(WaitPidFlag::__WALL))? {
            WaitStatus::PtraceSyscall(_) => {
                entering = !entering;
                if !entering || !traced.is_program {
                    continue;
                }
                let call = Call::of(traced.pid)?;
                looks |= call.opens_a_handle();
                if !looks || call.sees_no_file() {
                    continue;
                }
                if calls == attack.at || (swapped && attack.back) {
                    exchange(one, other)?;
                    swapped = !swapped;
                }
                calls += 1;
                if failing && call.moves_a_mount() {
                    failing = false;
                    fail(traced.pid)?;
                    entering = false;
                }
            }
            WaitStatus::PtraceEvent(_, _, event) if event == ptrace::Event::PTRACE_EVENT_EXEC as i32 => {
                traced.is_program = true;
            }
            WaitStatus::PtraceEvent(_, _, event) if event == ptrace::Event::PTRACE_EVENT_EXIT as i32 => {
                // Its namespaces are there for as long as it stands here.
                let after = Mounts::of(&traced.pid.to_string())?;
                let status = i32::try_from(ptrace::getevent(traced.pid)?).map_err(io::Error::other)?;
                outcome = Some((after.ours(&before, on), status));
            }
            WaitStatus::Stopped(_, signal) => traced.signal = Some(signal).filter(|s| *s != Signal::SIGTRAP),
            WaitStatus::Exited(..) | WaitStatus::Signaled(..) => break,
            _ => {}
        }
    }
    if swapped {
        exchange(one, other)?;
    }
    let (mounts, status) = outcome.ok_or_else(|| io::Error::other("it ended unseen"))?;
    let mounts = mounts.map_err(|why| io::Error::other(format!("{attack:?}: {why}")))?;
    Ok(Ended {
        calls,
        mounts,
        done: ExitStatus::from_raw(status).success(),
    })
}

/// A process that is traced from where it has stopped itself. It is killed with its tracer.
struct Traced {
    pid: Pid,
    /// Whether the script has become the program.
    is_program: bool,
    /// To be given to it when it goes on.
    signal: Option<Signal>,
}

impl Traced {
    fn take(child: Child) -> io::Result<Self> {
        let pid = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
        // Stopped, or it never will be.
        match waitpid(pid, Some(WaitPidFlag::WUNTRACED))? {
            WaitStatus::Stopped(..) => {}
            other => return Err(io::Error::other(format!("the preparation ended: {other:?}"))),
        }
        let options = Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_TRACEEXEC
            | Options::PTRACE_O_TRACEEXIT
            | Options::PTRACE_O_EXITKILL;
        ptrace::seize(pid, options)?;
        // It says once more that it has stopped.
        waitpid(pid, Some(WaitPidFlag::__WALL))?;
        kill(pid, Signal::SIGCONT)?;
        Ok(Self {
            pid,
            is_program: false,
            signal: None,
        })
    }
}

/// A system call that is about to be made.
struct Call {
    number: i64,
    third: u64,
}

impl Call {
    #[cfg(target_arch = "x86_64")]
    fn of(pid: Pid) -> io::Result<Self> {
        let registers = ptrace::getregs(pid)?;
        Ok(Self {
            number: registers.orig_rax as i64,
            third: registers.rdx,
        })
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn of(_: Pid) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// What comes before the first has nothing to do with the container: libraries, the bundle.
    fn opens_a_handle(&self) -> bool {
        self.number == libc::SYS_openat && self.third & libc::O_PATH as u64 != 0
    }

    /// Whether it makes no difference if the folder is exchanged before it or before the next: memory, descriptors.
    fn sees_no_file(&self) -> bool {
        [
            libc::SYS_brk,
            libc::SYS_close,
            libc::SYS_fcntl,
            libc::SYS_fstat,
            libc::SYS_getdents64,
            libc::SYS_lseek,
            libc::SYS_mmap,
            libc::SYS_mremap,
            libc::SYS_munmap,
            libc::SYS_read,
            libc::SYS_write,
        ]
        .contains(&self.number)
    }

    fn moves_a_mount(&self) -> bool {
        self.number == libc::SYS_move_mount
    }
}

/// Lets the call that `pid` is about to make fail with EIO, and stops after it.
#[cfg(target_arch = "x86_64")]
fn fail(pid: Pid) -> io::Result<()> {
    let mut registers = ptrace::getregs(pid)?;
    registers.orig_rax = u64::MAX;
    ptrace::setregs(pid, registers)?;
    ptrace::syscall(pid, None)?;
    waitpid(pid, Some(WaitPidFlag::__WALL))?;
    registers.rax = (-i64::from(libc::EIO)) as u64;
    Ok(ptrace::setregs(pid, registers)?)
}

#[cfg(not(target_arch = "x86_64"))]
fn fail(_: Pid) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
