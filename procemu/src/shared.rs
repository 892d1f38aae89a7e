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

use nix::sched::{CloneFlags, setns, unshare};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, StatxFlags, fstat, openat, statx};
use rustix::mount::{OpenTreeFlags, open_tree};

use crate::error::{Error, Result};
use crate::key::SysctlKey;
use crate::mount::by_fd;
use crate::mountinfo;
use crate::procfs::Procfs;

/// Keys borrowed from another mount namespace, for [`crate::Options`].
#[derive(Clone, Debug, Default)]
pub struct Shared(BTreeMap<SysctlKey, Arc<OwnedFd>>);

impl Shared {
    /// Which keys.
    pub fn keys(&self) -> impl Iterator<Item = &SysctlKey> {
        self.0.keys()
    }

    /// What `key` reads as now; `None` where it is not shared.
    ///
    /// # Errors
    /// The errno of the open or the read.
    pub fn value(&self, key: &SysctlKey) -> io::Result<Option<Vec<u8>>> {
        let Some(tree) = self.tree(key) else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        File::open(by_fd(tree))?.take(1 << 20).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// The detached mount of `key`'s file. It can be put in one place only.
    pub(crate) fn tree(&self, key: &SysctlKey) -> Option<&OwnedFd> {
        self.0.get(key).map(|tree| &**tree)
    }
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
    pub fn open(proc: &Procfs, pid: u32) -> Result<Self> {
        let failed = |what: &str, errno: rustix::io::Errno| match errno {
            rustix::io::Errno::NOENT | rustix::io::Errno::SRCH => {
                Error::input(format!("pid {pid}: no such process"))
            }
            _ => Error::call(format!("open({})", proc.show(&format!("{pid}{what}"))), errno),
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let process =
            openat(proc.root(), pid.to_string(), flags, Mode::empty()).map_err(|e| failed("", e))?;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let namespace =
            openat(&process, "ns/mnt", flags, Mode::empty()).map_err(|e| failed("/ns/mnt", e))?;
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
        let clones = std::thread::scope(|scope| {
            let started =
                std::thread::Builder::new().spawn_scoped(scope, || self.clones(&keys, &layers));
            let ended = started.map_err(|e| Error::call("clone(CLONE_THREAD)", e))?.join();
            // As the library is built, a panic cannot get here.
            ended.unwrap_or_else(|_| Err(Error::place("the thread panicked")))
        });
        clones.map(Shared).map_err(step)
    }

    fn clones(
        &self,
        keys: &[&SysctlKey],
        layers: &BTreeSet<u64>,
    ) -> Result<BTreeMap<SysctlKey, Arc<OwnedFd>>> {
        // Who shares its root and working folder with other threads may enter no mount namespace.
        unshare(CloneFlags::CLONE_FS).map_err(|e| Error::call("unshare(CLONE_FS)", e))?;
        setns(&self.namespace, CloneFlags::CLONE_NEWNS).map_err(|e| Error::call("setns(mnt)", e).explained())?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(rustix::fs::CWD, "/", flags, Mode::empty()).map_err(|e| Error::call("open(/)", e))?;
        let proc = Procfs::beneath(&root, "/")?;
        let mut clones = BTreeMap::new();
        for key in keys {
            let failed = |call: &str, e: io::Error| Error::call(format!("{call}({})", proc.show(key.path())), e);
            let file = match proc.walk(key.path()) {
                Ok(file) => file,
                Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => continue,
                Err(e) => return Err(failed("open", e)),
            };
            let wanted = StatxFlags::MNT_ID | StatxFlags::TYPE;
            let found = statx(&file, "", AtFlags::EMPTY_PATH, wanted).map_err(|e| failed("statx", e.into()))?;
            if found.stx_mask & StatxFlags::MNT_ID.bits() == 0 {
                return Err(failed("statx(STATX_MNT_ID)", rustix::io::Errno::NOSYS.into()));
            }
            // Nobody vouches for what is mounted there, only for what an attach made.
            let regular = FileType::from_raw_mode(found.stx_mode.into()) == FileType::RegularFile;
            if !regular || !layers.contains(&found.stx_mnt_id) {
                continue;
            }
            let flags =
                OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
            let tree =
                open_tree(&file, "", flags).map_err(|e| failed("open_tree(OPEN_TREE_CLONE)", e.into()))?;
            clones.insert((*key).clone(), Arc::new(tree));
        }
        Ok(clones)
    }

    /// The ids of the mounts that belong to a layer.
    fn layers(&self) -> Result<BTreeSet<u64>> {
        let failed = |e: io::Error| Error::call(format!("read(/proc/{}/mountinfo)", self.pid), e);
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = openat(&self.process, "mountinfo", flags, Mode::empty()).map_err(|e| failed(e.into()))?;
        let mut text = String::new();
        File::from(file).read_to_string(&mut text).map_err(failed)?;
        let mounts = mountinfo::parse(&text);
        let ours = mounts.iter().filter(|mount| mount.layer().is_some());
        Ok(ours.map(|mount| mount.id).collect())
    }
}
