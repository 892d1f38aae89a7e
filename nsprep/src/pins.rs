//! Mount namespaces with a name: each is pinned by a bind of its file in the state folder, so that it outlives the program
//! that made it and others can join it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::Flock;
use nix::libc;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::statfs::{FsType, fstatfs};
use runtime_bridge::progress;

use procemu::errno_text;

use crate::exit::{Exit, Failure};

/// `NSFS_MAGIC` in linux/magic.h.
const NSFS: FsType = FsType(0x6e73_6673);

/// The folder of the pins, locked: as long as this lives, no other `nsprep` makes or takes off one there.
pub struct Pins {
    folder: PathBuf,
    /// Held for its lock, which lies on the folder itself.
    _lock: Flock<File>,
}

/// A folder without pins goes. What cannot go is an empty folder.
impl Drop for Pins {
    fn drop(&mut self) {
        if fs::read_dir(&self.folder).is_ok_and(|mut left| left.next().is_none()) {
            let _ = umount2(&self.folder, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW);
            let _ = fs::remove_dir(&self.folder);
        }
    }
}

/// What is known of one pin.
pub struct Pin {
    /// The namespace's name.
    pub name: String,
    /// The namespace's number, as `readlink /proc/PID/ns/mnt` shows it; none where the pin is stale.
    pub number: Option<u64>,
}

/// Whether `name` can be a namespace's: a file name without anything that would have to be quoted.
///
/// # Errors
/// What would be right.
pub fn parse_name(name: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.len() > 64 || name.starts_with('.') || !name.chars().all(plain) {
        return Err("up to 64 of a-z A-Z 0-9 - _ . are expected, the first no dot".to_owned());
    }
    Ok(name.to_owned())
}

impl Pins {
    /// The pins below the folder `state`, which is made where it is missing.
    ///
    /// # Errors
    /// `Usage` for a folder that others could write to; `Denied` or `Failed` if it cannot be made or locked.
    pub fn make(state: &Path) -> Result<Self, Failure> {
        loop {
            let folder = folder(state)?;
            DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(state)
                .and_then(|()| match DirBuilder::new().mode(0o700).create(&folder) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
                    _ => Ok(()),
                })
                .map_err(|e| failed(&format!("mkdir({})", folder.display()), &e))?;
            if let Some(pins) = Self::existing(state)? {
                return Ok(pins);
            }
        }
    }

    /// The pins below the folder `state`; none where nothing was ever pinned there.
    ///
    /// # Errors
    /// As [`Pins::make`].
    pub fn existing(state: &Path) -> Result<Option<Self>, Failure> {
        let folder = folder(state)?;
        let call = |name: &str| format!("{name}({})", folder.display());
        let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW;
        let open = || OpenOptions::new().read(true).custom_flags(flags).open(&folder);
        let handle = match open() {
            Ok(handle) => handle,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&call("open"), &error)),
        };
        let has = handle.metadata().map_err(|e| failed(&call("fstat"), &e))?;
        if has.uid() != nix::unistd::geteuid().as_raw() || has.mode() & 0o022 != 0 {
            return Err(Failure::usage(format!(
                "{} must belong to the caller, and nobody else may write to it",
                folder.display()
            )));
        }
        let lock = progress::lock(handle, "waiting for another nsprep to have its namespace ready")
            .map_err(|(_, e)| failed(&call("flock"), &e.into()))?;
        // Whoever leaves no pin takes the folder away; then this is the lock of one that nobody else will open.
        let still = fs::symlink_metadata(&folder).is_ok_and(|now| now.ino() == has.ino());
        Ok(still.then_some(Self { folder, _lock: lock }))
    }

    /// The namespace of that name, where there is one.
    ///
    /// # Errors
    /// `Denied` for a pin that is no namespace's.
    pub fn get(&self, name: &str) -> Result<Option<File>, Failure> {
        match self.open(name) {
            Ok(file) if is_namespace(&file) => Ok(Some(file)),
            Ok(_) => Err(Failure {
                exit: Exit::Denied,
                line: format!(
                    "ns {name}: {} is stale, no namespace is pinned there; `nsprep ns remove {name}` takes it away",
                    self.path(name).display()
                ),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed(name, "open", &error)),
        }
    }

    /// Gives the mount namespace `namespace` that name, in the namespace from which it was made: none can hold a pin of
    /// itself. False where the kernel takes it for an older one than the caller's (EINVAL), and nothing is left then.
    ///
    /// # Errors
    /// `Denied` or `Failed` if it cannot be mounted; nothing is left then.
    pub fn pin(&self, name: &str, namespace: &File) -> Result<bool, Failure> {
        self.make_private().map_err(|e| self.failed(name, "mount", &e))?;
        let path = self.path(name);
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o400)
            .open(&path)
            .map_err(|e| self.failed(name, "create", &e))?;
        let source = format!("/proc/self/fd/{}", namespace.as_raw_fd());
        let pinned = mount(
            Some(&*source),
            &path,
            None::<&str>,
            MsFlags::MS_BIND,
            None::<&str>,
        );
        if pinned.is_err() {
            fs::remove_file(&path).map_err(|e| self.failed(name, "unlink", &e))?;
        }
        match pinned {
            Ok(()) => Ok(true),
            Err(nix::Error::EINVAL) => Ok(false),
            Err(errno) => Err(self.failed(name, "mount", &errno.into())),
        }
    }

    /// Takes the name, or what is left of a stale one, away. The namespace ends with its last program.
    ///
    /// # Errors
    /// `Usage` if there is none; `Denied` or `Failed` if it cannot be taken off.
    pub fn remove(&self, name: &str) -> Result<(), Failure> {
        let path = self.path(name);
        let pinned = match self.open(name) {
            Ok(file) => is_namespace(&file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(none(name)),
            Err(error) => return Err(self.failed(name, "open", &error)),
        };
        if pinned {
            umount2(&path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW)
                .map_err(|e| self.failed(name, "umount2", &e.into()))?;
        }
        fs::remove_file(&path).map_err(|e| self.failed(name, "unlink", &e))
    }

    /// All of them, by name.
    ///
    /// # Errors
    /// `Failed` if the folder cannot be read.
    pub fn list(&self) -> Result<Vec<Pin>, Failure> {
        let entries = fs::read_dir(&self.folder)
            .map_err(|e| failed(&format!("getdents({})", self.folder.display()), &e))?;
        let names = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok());
        let mut pins: Vec<Pin> = names
            .map(|name| {
                let file = self.open(&name).ok().filter(is_namespace);
                let number = file.and_then(|file| Some(file.metadata().ok()?.ino()));
                Pin { name, number }
            })
            .collect();
        pins.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(pins)
    }

    /// Makes the folder a private mount: a pin that propagated into the namespace it pins would keep that for ever, so
    /// the kernel refuses it on a shared one.
    fn make_private(&self) -> io::Result<()> {
        let private = || {
            mount(
                None::<&str>,
                &self.folder,
                None::<&str>,
                MsFlags::MS_PRIVATE,
                None::<&str>,
            )
        };
        // EINVAL: it is no mount yet.
        if private().is_err() {
            mount(
                Some(&self.folder),
                &self.folder,
                None::<&str>,
                MsFlags::MS_BIND,
                None::<&str>,
            )?;
            private()?;
        }
        Ok(())
    }

    fn open(&self, name: &str) -> io::Result<File> {
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        OpenOptions::new()
            .read(true)
            .custom_flags(flags)
            .open(self.path(name))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn failed(&self, name: &str, call: &str, error: &io::Error) -> Failure {
        failed(
            &format!("ns {name}: {call}({})", self.path(name).display()),
            error,
        )
    }
}

/// There is no namespace of that name.
pub fn none(name: &str) -> Failure {
    Failure::usage(format!(
        "ns {name}: there is none of that name; `nsprep ns list` shows which there are"
    ))
}

fn folder(state: &Path) -> Result<PathBuf, Failure> {
    if state.is_absolute() {
        Ok(state.join("ns"))
    } else {
        Err(Failure::usage(format!(
            "--state-dir {}: an absolute path is expected",
            state.display()
        )))
    }
}

fn is_namespace(file: &File) -> bool {
    fstatfs(file).is_ok_and(|found| found.filesystem_type() == NSFS)
}

fn failed(what: &str, error: &io::Error) -> Failure {
    let exit = match error.kind() {
        io::ErrorKind::PermissionDenied => Exit::Denied,
        _ => Exit::Failed,
    };
    Failure {
        exit,
        line: format!("{what}: {}", errno_text(error)),
    }
}
