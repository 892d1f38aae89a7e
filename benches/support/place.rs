//! A mount namespace in which a bench may mount what it likes.

use std::io;
use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use tempfile::TempDir;

/// Moves this process, which has one thread, into a mount namespace of its own from which nothing propagates to the
/// host's.
///
/// # Errors
/// Without CAP_SYS_ADMIN.
pub fn enter() -> nix::Result<()> {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS)?;
    let slave = MsFlags::MS_SLAVE | MsFlags::MS_REC;
    mount(None::<&str>, "/", None::<&str>, slave, None::<&str>)
}

/// A folder of its own for one file system, both gone when this is dropped.
pub struct Mounted(TempDir);

impl Mounted {
    /// Mounts a new `kind` (`tmpfs`, `proc`) on a folder called `name` in a new one.
    ///
    /// # Errors
    /// If it cannot be mounted.
    pub fn new(kind: &str, name: &str) -> io::Result<Self> {
        let mounted = Self(tempfile::Builder::new().prefix("procemu-bench-").tempdir()?);
        let at = mounted.0.path().join(name);
        std::fs::create_dir(&at)?;
        mount(Some(kind), &at, Some(kind), MsFlags::empty(), None::<&str>)?;
        Ok(mounted)
    }

    /// The folder that holds the mountpoint.
    pub fn folder(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Best effort: the namespace ends with the process, and all mounts of it with the namespace.
        for entry in std::fs::read_dir(self.0.path()).into_iter().flatten().flatten() {
            let _ = umount2(&entry.path(), MntFlags::MNT_DETACH);
        }
    }
}
