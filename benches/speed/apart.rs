//! A pid and a mount namespace for the process that measures: when it ends, however it does, nothing that it started or mounted is left.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitStatus};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, Signal};

use crate::Outcome;

/// Runs this program again, as the first process of new namespaces; ends it on SIGINT and SIGTERM.
///
/// # Errors
/// If it cannot be run; without the right to it, `EPERM`.
pub fn supervise() -> Outcome<ExitStatus> {
    let name = format!("procemu-bench-{}", std::process::id());
    let folder = tempfile::Builder::new().prefix(&format!("{name}.")).tempdir()?;
    unshare(CloneFlags::CLONE_NEWPID)?;
    let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGCHLD]);
    signals.thread_block()?;
    let mut child = Command::new(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .arg("--inside")
        .arg(&name)
        .arg(folder.path())
        .spawn()?;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if signals.wait()? != Signal::SIGCHLD {
            child.kill()?;
        }
    };
    for hierarchy in hierarchies() {
        remove_cgroups(&hierarchy, &name);
    }
    Ok(status)
}

/// In the new process: its own procfs, `/run` and scratch folder.
///
/// # Errors
/// If they cannot be mounted.
pub fn settle(folder: &Path) -> Outcome {
    set_pdeathsig(Signal::SIGKILL)?;
    unshare(CloneFlags::CLONE_NEWNS)?;
    let slave = MsFlags::MS_SLAVE | MsFlags::MS_REC;
    mount(None::<&str>, "/", None::<&str>, slave, None::<&str>)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(
        Some("proc"),
        "/proc",
        Some("proc"),
        flags | MsFlags::MS_NOEXEC,
        None::<&str>,
    )?;
    for place in [Path::new("/run"), folder] {
        mount(Some("tmpfs"), place, Some("tmpfs"), flags, Some("mode=0755"))?;
    }
    // crun 1.8 takes a mixed cgroup v1 and v2 machine for one it cannot handle.
    match umount2("/sys/fs/cgroup/unified", MntFlags::MNT_DETACH) {
        Ok(()) | Err(Errno::ENOENT | Errno::EINVAL) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// The hierarchies of cgroup v1, and the folder that they or v2 are in.
fn hierarchies() -> Vec<std::path::PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let below = fs::read_dir(root).into_iter().flatten().flatten();
    let below = below.map(|entry| entry.path()).filter(|path| path.is_dir());
    below.chain([root.to_owned()]).collect()
}

/// Of a run that was ended: a cgroup goes by rmdir alone, after those in it.
fn remove_cgroups(hierarchy: &Path, name: &str) {
    for entry in fs::read_dir(hierarchy).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(name) {
            remove_cgroup(&entry.path());
        }
    }
}

fn remove_cgroup(path: &Path) {
    let below = fs::read_dir(path).into_iter().flatten().flatten();
    for folder in below.map(|entry| entry.path()).filter(|path| path.is_dir()) {
        remove_cgroup(&folder);
    }
    // What is still in it ends in a moment.
    for _ in 0..100 {
        match fs::remove_dir(path) {
            Err(error) if error.raw_os_error() == Some(Errno::EBUSY as i32) => {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            _ => return,
        }
    }
}
