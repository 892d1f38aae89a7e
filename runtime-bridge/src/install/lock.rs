//! One at a time: from finding out what is to be changed until it is changed, and the engine runs with it.

use super::InstallError;
use crate::progress;
use nix::fcntl::Flock;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Held by whoever changes files of engines, or ours on a node. Two pods of one node can be here while one takes the other's place.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    /// Held for its lock, which lies on the folder itself.
    _folder: Flock<File>,
}

/// A folder without notes goes.
impl Drop for Lock {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.path);
    }
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
        loop {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&path)
                .map_err(failed("make"))?;
            let open = || {
                fs::set_permissions(&path, Permissions::from_mode(0o700))?;
                File::open(&path)
            };
            let file = match open() {
                // Whoever had it before took the folder away.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                opened => opened.map_err(failed("open"))?,
            };
            let opened = file.metadata().map_err(failed("stat"))?.ino();
            let lock = progress::lock(file, "waiting for another run of runtime-bridge")
                .map_err(|(_, errno)| failed("lock")(errno.into()))?;
            // Else this is the lock of one that nobody will open again.
            if fs::symlink_metadata(&path).is_ok_and(|now| now.ino() == opened) {
                return Ok(Self { path, _folder: lock });
            }
        }
    }
}

/// Where the lock is, and the notes of what is still to be done.
pub(super) fn folder(state_dir: &Path) -> PathBuf {
    state_dir.join("restart")
}
