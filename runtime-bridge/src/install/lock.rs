//! One at a time: from finding out what is to be changed until it is changed, and the engine runs with it.

use super::InstallError;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, DirBuilder, File, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Held by whoever changes files of engines, or ours on a node. Two pods of one node can be here while one takes the other's place.
#[derive(Debug)]
pub struct Lock {
    _folder: Flock<File>,
}

impl Lock {
    /// Waits for it. The folder below `state_dir` is root's alone: what others can open, they can lock.
    ///
    /// # Errors
    /// If the folder cannot be had.
    pub fn take(state_dir: &Path) -> Result<Self, InstallError> {
        let path = folder(state_dir);
        let failed = |step| {
            let path = path.clone();
            move |source| InstallError::io(step, path, source)
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .map_err(failed("make"))?;
        fs::set_permissions(&path, Permissions::from_mode(0o700)).map_err(failed("chmod"))?;
        let file = File::open(&path).map_err(failed("open"))?;
        let lock = Flock::lock(file, FlockArg::LockExclusive);
        Ok(Self {
            _folder: lock.map_err(|(_, errno)| failed("lock")(errno.into()))?,
        })
    }
}

/// Where the lock is, and the notes of what is still to be done.
pub(super) fn folder(state_dir: &Path) -> PathBuf {
    state_dir.join("restart")
}
