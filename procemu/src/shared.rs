//! Keys shared between mount namespaces: files that one attach put in place, shown by another.
//!
//! What the kernel keeps for a network or IPC namespace is one value for all who are in it, whatever they have mounted. An
//! emulated key is a file; it is one value for two mount namespaces only if both show the same file. A clone of the mount is
//! enough for that, and the kernel counts: the file is gone with the last mount of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use nix::sched::{CloneFlags, setns};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, fstat, openat, statat};
use rustix::io::Errno;
use rustix::mount::OpenTreeFlags;

use crate::error::{Error, Result};
use crate::filesystem::Filesystem;
use crate::key::SysctlKey;
use crate::mount::{self, by_fd, clone};
use crate::mountinfo;
use crate::namespace::in_thread;
use crate::root::Root;

/// Keys borrowed from another mount namespace, for [`crate::Options`].
#[derive(Clone, Debug, Default)]
pub struct Shared {
    /// Detached mounts of the folders that they are in: gVisor clones and moves mounts of folders only.
    trees: Vec<Arc<OwnedFd>>,
    /// In which tree a key is, under its own name, and the id of its file.
    keys: BTreeMap<SysctlKey, (usize, Id)>,
}

impl Shared {
    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// What `key` reads as now; `None` where it is not shared.
    ///
    /// # Errors
    /// The errno of the open or the read.
    pub fn value(&self, key: &SysctlKey) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = self.file(key) else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        File::open(by_fd(&file?))?.take(1 << 20).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// All trees.
    pub(crate) fn trees(&self) -> impl Iterator<Item = &OwnedFd> {
        self.trees.iter().map(|tree| &**tree)
    }

    /// A handle on the file of `key`; `None` where it is not shared. Who lends a folder may be able to put something else
    /// there in the meantime.
    pub(crate) fn file(&self, key: &SysctlKey) -> Option<io::Result<OwnedFd>> {
        let (tree, id) = self.keys.get(key)?;
        let tree = self.trees.get(*tree)?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = || {
            let file = openat(tree, name(key), flags, Mode::empty())?;
            match file_id(&file)? {
                Some(found) if found == *id => Ok(file),
                _ => Err(Errno::STALE.into()),
            }
        };
        Some(open())
    }
}

/// Device and inode of a regular file.
type Id = (u64, u64);

fn file_id(file: &OwnedFd) -> io::Result<Option<Id>> {
    let stat = fstat(file)?;
    let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    Ok(regular.then_some((stat.st_dev, stat.st_ino)))
}

fn name(key: &SysctlKey) -> &str {
    key.path().rsplit_once('/').map_or(key.path(), |(_, name)| name)
}

/// A process in whose mount namespace a snapshot is attached, and whose keys can be borrowed.
#[derive(Debug)]
pub struct Lender {
    /// `/proc/<pid>`: it never comes to mean another process.
    process: OwnedFd,
    namespace: OwnedFd,
    pid: u32,
}

impl Lender {
    /// Opens the process that `proc` numbers `pid`.
    ///
    /// # Errors
    /// `Input` if there is no such process; `Denied` if its namespaces may not be looked at.
    pub fn open(proc: &Root, pid: u32) -> Result<Self> {
        let failed = |what: &str, errno: Errno| match errno {
            Errno::NOENT | Errno::SRCH => Error::input(format!("pid {pid}: no such process")),
            _ => Error::call(format!("open({})", proc.show(&format!("{pid}{what}"))), errno),
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let process =
            openat(proc.handle(), pid.to_string(), flags, Mode::empty()).map_err(|e| failed("", e))?;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let namespace = openat(&process, "ns/mnt", flags, Mode::empty()).map_err(|e| failed("/ns/mnt", e))?;
        Ok(Self {
            process,
            namespace,
            pid,
        })
    }

    /// The inode number of its mount namespace, which tells it from a later process of the same number.
    ///
    /// # Errors
    /// `System` if it cannot be looked at.
    pub fn namespace(&self) -> Result<u64> {
        let stat = fstat(&self.namespace);
        Ok(stat
            .map_err(|e| Error::call(format!("fstat(/proc/{}/ns/mnt)", self.pid), e))?
            .st_ino)
    }

    /// Whether anything is attached there at all.
    ///
    /// # Errors
    /// `System` if its mounts cannot be read.
    pub fn has_layers(&self) -> Result<bool> {
        Ok(!self.layers()?.is_empty())
    }

    /// Clones of those of `keys` that are files put there by an attach; all others are left out.
    ///
    /// The caller's own namespaces, root and working folder stay what they are: a thread does it.
    ///
    /// # Errors
    /// `Place` if there is no procfs at `/proc` there; `Denied` without CAP_SYS_ADMIN over that mount namespace;
    /// `System` for any other failed call, with ENOSYS before Linux 5.8.
    pub fn lend<'a>(&self, keys: impl IntoIterator<Item = &'a SysctlKey>) -> Result<Shared> {
        let step = |error: Error| error.during(format!("borrow keys of pid {}", self.pid));
        let layers = self.layers().map_err(step)?;
        let keys: Vec<&SysctlKey> = keys.into_iter().collect();
        let lent = in_thread(|| self.clones(&keys, &layers));
        lent.map_err(step)
    }

    fn clones(&self, keys: &[&SysctlKey], layers: &BTreeSet<u64>) -> Result<Shared> {
        setns(&self.namespace, CloneFlags::CLONE_NEWNS)
            .map_err(|e| Error::call("setns(mnt)", e).explained())?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(CWD, "/", flags, Mode::empty()).map_err(|e| Error::call("open(/)", e))?;
        let proc = Root::beneath(Filesystem::Proc, &root, "/")?;
        let mut shared = Shared::default();
        for key in keys {
            let failed =
                |e: io::Error| Error::call(format!("clone the mount of {}", proc.show(key.path())), e);
            let Some(file) = layer_file(&proc, key, layers).map_err(failed)? else {
                continue;
            };
            let is_in = |tree: &OwnedFd| id_of(tree, name(key)).is_ok_and(|id| id == file);
            let known = shared.trees.iter().position(|tree| is_in(tree));
            let tree = match known {
                Some(tree) => tree,
                None => {
                    let folder = proc.folder(key.parent()).map_err(failed)?;
                    // Where the key replaces one of the kernel's, its file is mounted in the folder.
                    let mut tree = clone(&folder, OpenTreeFlags::empty()).map_err(failed)?;
                    if !is_in(&tree) {
                        tree = clone(&folder, OpenTreeFlags::AT_RECURSIVE).map_err(failed)?;
                    }
                    if !is_in(&tree) {
                        return Err(Error::place(format!(
                            "{} changes while it is looked at",
                            proc.show(key.path())
                        )));
                    }
                    shared.trees.push(Arc::new(tree));
                    shared.trees.len() - 1
                }
            };
            shared.keys.insert((*key).clone(), (tree, file));
        }
        Ok(shared)
    }

    /// The ids of the mounts that belong to a layer.
    fn layers(&self) -> Result<BTreeSet<u64>> {
        let failed = |e: io::Error| Error::call(format!("read(/proc/{}/mountinfo)", self.pid), e);
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = openat(&self.process, "mountinfo", flags, Mode::empty()).map_err(|e| failed(e.into()))?;
        let mut text = Vec::new();
        File::from(file).read_to_end(&mut text).map_err(failed)?;
        let mounts = mountinfo::parse(text);
        let ours = mounts.iter().filter(|mount| mount.layer().is_some());
        Ok(ours.map(|mount| mount.id).collect())
    }
}

/// The id of the file of `key`, if it is a regular file on a mount that an attach made. Nobody vouches for anything else.
fn layer_file(proc: &Root, key: &SysctlKey, layers: &BTreeSet<u64>) -> io::Result<Option<Id>> {
    let file = match proc.walk(key.path()) {
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        other => other?,
    };
    if !layers.contains(&mount::id(&file)?) {
        return Ok(None);
    }
    file_id(&file)
}

fn id_of(folder: &OwnedFd, name: &str) -> io::Result<Id> {
    let stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok((stat.st_dev, stat.st_ino))
}
