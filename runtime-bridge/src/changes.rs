//! One line for each container that was changed, in a file of its own in the state directory.
//!
//! The runtime's `--log` file is no place for it: it goes with the container, and podman takes what it has for an error, whatever its
//! level.

use crate::report::{Level, line, one_line};
use crate::rewrite::Change;
use crate::state_file::largest_file;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use serde_json::Value;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The file.
const NAME: &str = "changes.log";

/// What was there before it.
const OLDER: &str = "changes.log.1";

/// How large it becomes: some thousand containers. The older one is as large.
const MOST: u64 = 1 << 20;

/// Where the file is, and what its lines are about.
pub(crate) struct Changes<'a> {
    /// `None` = nobody wants to know.
    pub(crate) state_dir: Option<&'a PathBuf>,
    pub(crate) container: &'a OsStr,
    pub(crate) runtime: &'a Path,
    pub(crate) bundle: &'a Path,
}

impl Changes<'_> {
    /// Adds a line that has all of `changes`, if there are any.
    pub(crate) fn note_all(&self, changes: &[Change]) {
        if !changes.is_empty() {
            let changes: Vec<_> = changes.iter().map(Change::to_string).collect();
            self.note(Level::Info, &changes.join("; "));
        }
    }

    /// Adds a line. Where it cannot be written, as by users who are not root, there is none: no container fails for it.
    pub(crate) fn note(&self, level: Level, message: &str) {
        tracing::info!(container = %self.container.display(), "{message}");
        let Some(state_dir) = self.state_dir else {
            return;
        };
        let quoted = |text: &OsStr| Value::from(one_line(text.to_string_lossy().into_owned()));
        // From within the engine's folder, it may be a relative path.
        let bundle = std::path::absolute(self.bundle).unwrap_or_else(|_| self.bundle.to_owned());
        let fields = vec![
            ("container", quoted(self.container)),
            ("runtime", quoted(self.runtime.as_os_str())),
            ("bundle", quoted(bundle.as_os_str())),
        ];
        let message = one_line(message.to_owned());
        let line = line(false, level.name(), &message, fields, SystemTime::now());
        if let Err(error) = append(state_dir, &line) {
            tracing::debug!(file = %state_dir.join(NAME).display(), %error, "changes are not noted");
        }
    }
}

/// One write, so that lines of several writers do not mix.
fn append(state_dir: &Path, line: &str) -> io::Result<()> {
    let path = state_dir.join(NAME);
    let mut file = match open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new().recursive(true).mode(0o700).create(state_dir)?;
            open(&path)?
        }
        opened => opened?,
    };
    if file.metadata()?.len() >= MOST {
        file = begin_anew(file, path, state_dir)?;
    }
    let length = file.metadata()?.len() + line.len() as u64;
    if largest_file().is_some_and(|limit| length > limit) {
        return Err(Errno::EFBIG.into());
    }
    file.write_all(line.as_bytes())
}

/// Who has the lock of a file that is too large renames it; who has not goes on with it.
fn begin_anew(file: File, path: PathBuf, state_dir: &Path) -> io::Result<File> {
    let full = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(full) => full,
        Err((file, Errno::EAGAIN)) => return Ok(file),
        Err((_, errno)) => return Err(errno.into()),
    };
    // Whoever had the lock before may have done it.
    if fs::symlink_metadata(&path)?.ino() == full.metadata()?.ino() {
        fs::rename(&path, state_dir.join(OLDER))?;
    }
    open(&path)
}

/// For root's eyes alone: names of containers are no secret, but not everybody's business either.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    File::options()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(flags.bits())
        .open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_an_end() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("new/state");
        let at = |name: &str| fs::read_to_string(state.join(name)).unwrap_or_default();
        let full = "x".repeat(MOST as usize - 1) + "\n";
        for line in ["first\n", &full, "second\n", "third\n"] {
            append(&state, line).unwrap();
        }
        assert_eq!(at(NAME), "second\nthird\n");
        assert_eq!(at(OLDER), format!("first\n{full}"));
        append(&state, &full).unwrap();
        append(&state, "fourth\n").unwrap();
        assert_eq!(at(NAME), "fourth\n");
        assert_eq!(at(OLDER), format!("second\nthird\n{full}"));
        assert_eq!(fs::read_dir(&state).unwrap().count(), 2);
    }

    #[test]
    fn one_who_writes_does_not_wait_for_one_who_renames() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(NAME), "x".repeat(MOST as usize)).unwrap();
        let held = Flock::lock(open(&dir.path().join(NAME)).unwrap(), FlockArg::LockExclusive);
        append(dir.path(), "line\n").unwrap();
        assert!(!dir.path().join(OLDER).exists());
        drop(held.unwrap());
        append(dir.path(), "next\n").unwrap();
        assert_eq!(fs::read_to_string(dir.path().join(NAME)).unwrap(), "next\n");
    }

    #[test]
    fn no_link_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("other"), "").unwrap();
        std::os::unix::fs::symlink("other", dir.path().join(NAME)).unwrap();
        assert!(append(dir.path(), "line\n").is_err());
        assert_eq!(fs::read_to_string(dir.path().join("other")).unwrap(), "");
    }
}
