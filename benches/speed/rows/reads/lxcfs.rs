//! Debian's lxcfs, as LXC uses it: its file over `/proc/uptime`.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Outcome;
use crate::unpacked::Unpacked;

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(10);

/// The daemon. It ends when this is dropped.
pub struct Lxcfs(Child);

impl Lxcfs {
    /// Starts `program` and moves this process, of one thread, into a new mount namespace where it serves `/proc/uptime`. `folder`
    /// is for its mount. Gives the reason where it cannot run.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(program: &Unpacked, folder: &Path) -> Outcome<Result<Self, String>> {
        if let Err(error) = File::options().read(true).write(true).open("/dev/fuse") {
            return Ok(Err(format!("needs /dev/fuse: {error}")));
        }
        unshare(CloneFlags::CLONE_NEWNS)?;
        mount(
            None::<&str>,
            "/",
            None::<&str>,
            MsFlags::MS_REC | MsFlags::MS_PRIVATE,
            None::<&str>,
        )?;
        let log = folder.with_extension("log");
        let child = program
            .command()
            .arg("-f")
            .arg("-p")
            .arg(folder.with_extension("pid"))
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()?;
        let mut lxcfs = Self(child);
        let served = folder.join("proc/uptime");
        let start = Instant::now();
        while !served.exists() {
            if lxcfs.0.try_wait()?.is_some() || start.elapsed() > PATIENCE {
                let said = fs::read_to_string(&log)?;
                return Err(format!("lxcfs does not start: {}", said.trim()).into());
            }
            sleep(Duration::from_millis(10));
        }
        // It reads the kernel's own itself, in the namespace that it has been started in.
        unshare(CloneFlags::CLONE_NEWNS)?;
        mount(
            Some(&served),
            "/proc/uptime",
            None::<&str>,
            MsFlags::MS_BIND,
            None::<&str>,
        )?;
        Ok(Ok(lxcfs))
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.0.id().cast_signed())
    }
}

impl Drop for Lxcfs {
    fn drop(&mut self) {
        let _ = kill(self.pid(), Signal::SIGKILL);
        let _ = self.0.wait();
    }
}
