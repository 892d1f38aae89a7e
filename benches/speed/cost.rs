//! What one run of something takes, by the clock and of the processors.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

use crate::Outcome;

/// What one run took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// User and system time, in seconds.
    pub cpu: f64,
    /// From start to end, in seconds.
    pub wall: f64,
}

impl std::ops::Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            cpu: self.cpu + other.cpu,
            wall: self.wall + other.wall,
        }
    }
}

impl std::ops::Sub for Cost {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            cpu: self.cpu - other.cpu,
            wall: self.wall - other.wall,
        }
    }
}

/// What `work` takes in all processes that end in it, those left to us among them; it leaves none running.
///
/// # Errors
/// What `work` fails with.
pub fn of_processes(work: impl FnOnce() -> Outcome) -> Outcome<Cost> {
    counted(WaitPidFlag::empty(), work)
}

/// The same beside processes that stay.
///
/// # Errors
/// What `work` fails with.
pub fn beside_others(work: impl FnOnce() -> Outcome) -> Outcome<Cost> {
    counted(WaitPidFlag::WNOHANG, work)
}

fn counted(waiting: WaitPidFlag, work: impl FnOnce() -> Outcome) -> Outcome<Cost> {
    reap(waiting)?;
    let before = children()?;
    let start = Instant::now();
    work()?;
    let wall = start.elapsed().as_secs_f64();
    // A container's first process is left to us, as to an engine's shim.
    reap(waiting)?;
    Ok(Cost {
        cpu: (children()? - before).as_secs_f64(),
        wall,
    })
}

fn reap(waiting: WaitPidFlag) -> Outcome {
    loop {
        match waitpid(None, Some(waiting)) {
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return Ok(()),
            Ok(_) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

fn children() -> nix::Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = |time: nix::sys::time::TimeVal| {
        Duration::from_secs(time.tv_sec() as u64) + Duration::from_micros(time.tv_usec() as u64)
    };
    Ok(micros(usage.user_time()) + micros(usage.system_time()))
}

/// Runs `command` to its end, without output and, unless it is given one, without input.
///
/// # Errors
/// If it fails, with what it said on standard error.
pub fn run(command: &mut Command) -> Outcome {
    command.stdout(Stdio::null());
    // A file, not a pipe: a container's process keeps it open.
    let mut said = tempfile::tempfile()?;
    let status = command.stderr(said.try_clone()?).status()?;
    if status.success() {
        return Ok(());
    }
    let mut text = String::new();
    std::io::Seek::rewind(&mut said)?;
    std::io::Read::read_to_string(&mut said, &mut text)?;
    Err(format!("{command:?}: {status}: {}", text.trim()).into())
}
