//! The file of a bundle on disk: read whole, replaced whole.

use super::BundleError;
use crate::state_file::largest_file;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{Mode, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use rustix::fs::{FlockOperation, flock};
use rustix::io::retry_on_intr;
use std::fs::{File, Metadata};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};

/// The file that makes a folder a bundle.
pub(super) const FILE: &str = "config.json";

/// What it is called while it is written.
const NEW: &str = ".config.json.procemu";

/// The most that is read, in bytes: some thousand times what engines write.
const MAX_BYTES: u64 = 16 << 20;

/// An open bundle. All access goes through the folder's handle: whoever may rename folders above it cannot make us
/// write elsewhere.
#[derive(Debug)]
pub(super) struct Bundle {
    dir: OwnedFd,
    /// Of `config.json`, for messages.
    pub(super) path: PathBuf,
    meta: Metadata,
    pub(super) text: String,
}

impl Bundle {
    pub(super) fn open(dir: &Path) -> Result<Self, BundleError> {
        let path = dir.join(FILE);
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOCTTY | OFlag::O_NONBLOCK;
        // O_PATH: the root of a user namespace, as a hook, may enter the bundle that containerd made, and not list it.
        let folder = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let handle = openat(AT_FDCWD, dir, folder, Mode::empty())
            .map_err(|errno| failed("open the bundle", dir)(errno.into()))?;
        let file = File::from(
            openat(&handle, FILE, flags | OFlag::O_NOFOLLOW, Mode::empty())
                .map_err(|errno| failed("open", &path)(errno.into()))?,
        );
        let meta = file.metadata().map_err(failed("stat", &path))?;
        if !meta.is_file() {
            return Err(BundleError::NotAFile(path));
        }
        let mut bytes =
            Vec::with_capacity(usize::try_from(meta.len().min(MAX_BYTES)).unwrap_or_default() + 1);
        // Limited by what is read, not by what stat says: the file may still be growing.
        file.take(MAX_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(failed("read", &path))?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(BundleError::TooLarge(path));
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self {
                dir: handle,
                path,
                meta,
                text,
            }),
            Err(error) => Err(BundleError::NotText {
                path,
                source: error.utf8_error(),
            }),
        }
    }

    /// Puts `text` into the place of `config.json`, with its owner and mode.
    pub(super) fn replace(&self, text: &str) -> Result<(), BundleError> {
        if largest_file().is_some_and(|limit| text.len() as u64 > limit) {
            return Err(self.failed_new("write")(io::ErrorKind::FileTooLarge.into()));
        }
        let file = self.temporary()?;
        let written = self
            .fill(&file, text)
            .map_err(|(step, source)| BundleError::Io {
                step,
                path: self.path.with_file_name(NEW),
                source,
            })
            .and_then(|()| {
                renameat(&self.dir, NEW, &self.dir, FILE)
                    .map_err(|errno| failed("replace", &self.path)(errno.into()))
            });
        if written.is_err() {
            // The first error is the one to tell.
            let _ = unlinkat(&self.dir, NEW, UnlinkatFlags::NoRemoveDir);
        }
        written
    }

    /// A new file in the bundle, locked for as long as it is open.
    ///
    /// It has one name for all writers, so that what one leaves behind that is killed is in the way of the next, which takes it
    /// away: a file without a lock is nobody's. Of two writers the later one waits.
    fn temporary(&self) -> Result<File, BundleError> {
        let open = |flags: OFlag| {
            let flags = flags | OFlag::O_WRONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
            openat(&self.dir, NEW, flags, Mode::S_IRUSR | Mode::S_IWUSR)
        };
        loop {
            let (file, is_new) = match open(OFlag::O_CREAT | OFlag::O_EXCL) {
                Err(Errno::EEXIST) => (open(OFlag::empty()), false),
                created => (created, true),
            };
            let claimed = match file {
                // Gone in between.
                Err(Errno::ENOENT) if !is_new => continue,
                Err(errno) => return Err(self.failed_new("create")(errno.into())),
                Ok(file) => self.claim(file.into()),
            };
            match claimed {
                Ok(Some(file)) => return Ok(file),
                Ok(None) => continue,
                Err(error) => {
                    if is_new {
                        // The first error is the one to tell.
                        let _ = unlinkat(&self.dir, NEW, UnlinkatFlags::NoRemoveDir);
                    }
                    return Err(error);
                }
            }
        }
    }

    /// Locks a file that had the name when it was opened; `None` where it is not to be written. What was left behind goes.
    fn claim(&self, file: File) -> Result<Option<File>, BundleError> {
        lock(&file).map_err(self.failed_new("lock"))?;
        let found = file.metadata().map_err(self.failed_new("stat"))?;
        let named = match fstatat(&self.dir, NEW, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(named) => named,
            Err(Errno::ENOENT) => return Ok(None),
            Err(errno) => return Err(self.failed_new("stat")(errno.into())),
        };
        // Who had it before has renamed it into place, or taken it away.
        if (named.st_dev, named.st_ino) != (found.dev(), found.ino()) {
            return Ok(None);
        }
        if found.len() == 0 && found.nlink() == 1 && found.is_file() {
            return Ok(Some(file));
        }
        unlinkat(&self.dir, NEW, UnlinkatFlags::NoRemoveDir)
            .map_err(|errno| self.failed_new("remove")(errno.into()))?;
        Ok(None)
    }

    fn failed_new(&self, step: &'static str) -> impl Fn(io::Error) -> BundleError + use<> {
        failed(step, &self.path.with_file_name(NEW))
    }

    fn fill(&self, mut file: &File, text: &str) -> Result<(), (&'static str, io::Error)> {
        let own = file.metadata().map_err(|error| ("stat", error))?;
        if (own.uid(), own.gid()) != (self.meta.uid(), self.meta.gid()) {
            fchown(file, Some(self.meta.uid()), Some(self.meta.gid())).map_err(|error| ("chown", error))?;
        }
        file.set_permissions(self.meta.permissions())
            .map_err(|error| ("chmod", error))?;
        file.write_all(text.as_bytes())
            .map_err(|error| ("write", error))?;
        file.sync_all().map_err(|error| ("sync", error))
    }
}

/// Waits for who has it, which is over at the latest when that one ends.
fn lock(file: &File) -> io::Result<()> {
    Ok(retry_on_intr(|| flock(file, FlockOperation::LockExclusive))?)
}

fn failed(step: &'static str, path: &Path) -> impl Fn(io::Error) -> BundleError + use<> {
    let path = path.to_owned();
    move |source| BundleError::Io {
        step,
        path: path.clone(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::chain;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn refused(dir: &Path) -> String {
        chain(&Bundle::open(dir).expect_err("refused")).replace(&dir.display().to_string(), "B")
    }

    #[test]
    fn the_file_is_replaced_with_its_mode_and_nothing_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        std::fs::write(&path, "{}").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let before = std::fs::metadata(&path).unwrap();
        let bundle = Bundle::open(dir.path()).unwrap();
        assert_eq!(bundle.text, "{}");
        bundle.replace("{\"a\":1}").unwrap();
        let after = std::fs::metadata(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"a\":1}");
        assert_eq!(
            (after.mode(), after.uid(), after.gid()),
            (before.mode(), before.uid(), before.gid())
        );
        assert_ne!(after.ino(), before.ino());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_left_behind_goes_and_a_locked_one_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let (path, new) = (dir.path().join(FILE), dir.path().join(NEW));
        std::fs::write(&path, "{}").unwrap();
        // Also one that is another name of something else.
        std::fs::write(dir.path().join("other"), "other").unwrap();
        for leave in [
            |new: &Path| std::fs::write(new, "left"),
            |new: &Path| std::fs::write(new, ""),
            |new: &Path| std::fs::hard_link(new.with_file_name("other"), new),
        ] {
            leave(&new).unwrap();
            Bundle::open(dir.path()).unwrap().replace("[]").unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "[]");
            assert!(!new.exists());
        }
        assert_eq!(
            std::fs::read_to_string(dir.path().join("other")).unwrap(),
            "other"
        );
        let bundle = Bundle::open(dir.path()).unwrap();
        let first = bundle.temporary().unwrap();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| bundle.replace("second").unwrap());
            bundle.fill(&first, "first").unwrap();
            assert!(!second.is_finished());
            renameat(&bundle.dir, NEW, &bundle.dir, FILE).unwrap();
            drop(first);
        });
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "second");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_failed_replacement_leaves_all_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        std::fs::write(&path, "{}").unwrap();
        let bundle = Bundle::open(dir.path()).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir_all(path.join("full")).unwrap();
        let message = chain(&bundle.replace("[]").unwrap_err());
        assert!(
            message.starts_with("cannot replace ") && message.contains("config.json: "),
            "{message}"
        );
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_config_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        assert_eq!(
            refused(dir.path()),
            "cannot open B/config.json: no such file or directory"
        );
        std::fs::create_dir(&path).unwrap();
        assert_eq!(refused(dir.path()), "B/config.json is not a regular file");
        std::fs::remove_dir(&path).unwrap();
        symlink("/etc/passwd", &path).unwrap();
        assert_eq!(
            refused(dir.path()),
            "cannot open B/config.json: too many levels of symbolic links"
        );
        std::fs::remove_file(&path).unwrap();
        File::create(&path).unwrap().set_len(MAX_BYTES + 1).unwrap();
        assert_eq!(refused(dir.path()), "B/config.json has more than 16 MiB");
        std::fs::write(&path, b"{\"a\":\"\xff\"}").unwrap();
        assert!(refused(dir.path()).starts_with("B/config.json is not UTF-8: invalid utf-8 sequence"));
        assert_eq!(refused(&path), "cannot open the bundle B: not a directory");
    }
}
