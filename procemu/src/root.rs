//! A verified handle on the root of a procfs or sysfs mount: everything below it is reached from the handle, never by an
//! absolute path.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::{fs, io};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, RawDir, fstat, fstatfs, makedev, openat, readlinkat, statat,
};
use rustix::io::Errno;
use rustix::mount::OpenTreeFlags;

use crate::error::{Error, Result};
use crate::filesystem::Filesystem;
use crate::key::SysctlKey;
use crate::mount::{self, by_fd, clone};
use crate::mountinfo::Mount;
use crate::plan::UNDERLAY;

/// Inode number of a procfs root, `PROC_ROOT_INO` in linux/proc_fs.h, and of a sysfs root. gVisor's are others.
const ROOT_INO: u64 = 1;

/// As many links are followed on one path: the kernel's own limit, `MAXSYMLINKS` in linux/namei.h.
const MAX_LINKS: usize = 40;

/// More entries are read of no folder. The largest of the kernel's own have one for each process or interface.
const MAX_ENTRIES: usize = 1 << 18;

/// The root of a procfs or sysfs mount, proved to be one.
///
/// Paths given to its methods are relative to that root (`sys/kernel/cap_last_cap`). They are walked component by
/// component from the handle; mounts are crossed, since overmounts stack, and so are relative symlinks that stay below the
/// root: those of an overmount around a program, those of sysfs, and `/sys/fs/cgroup/cpuacct` where that is one.
#[derive(Debug)]
pub struct Root {
    filesystem: Filesystem,
    handle: OwnedFd,
    shown: PathBuf,
}

impl Root {
    /// Opens the procfs mounted at `path`, such as `/proc`. The last component may not be a symlink.
    ///
    /// # Errors
    /// `Place` if what is there is not the root of a procfs.
    pub fn procfs(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_at(Filesystem::Proc, CWD, path.as_ref(), path.as_ref().to_path_buf())
    }

    /// Opens the sysfs mounted at `path`, such as `/sys`, in the same way.
    ///
    /// # Errors
    /// `Place` if what is there is not the root of a sysfs.
    pub fn sysfs(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_at(Filesystem::Sys, CWD, path.as_ref(), path.as_ref().to_path_buf())
    }

    /// Opens `proc` or `sys` directly below the folder `rootfs`, which nobody needs to trust: a symlink, or anything but
    /// the root of that file system, is refused.
    ///
    /// # Errors
    /// `Place` if what is there is not the root of `filesystem`.
    pub fn beneath(filesystem: Filesystem, rootfs: impl AsFd, shown: impl AsRef<Path>) -> Result<Self> {
        let name = filesystem.mountpoint().trim_start_matches('/');
        Self::open_at(filesystem, rootfs, Path::new(name), shown.as_ref().join(name))
    }

    /// A new, detached mount of the calling process's procfs: the kernel's own view, with nothing over it.
    ///
    /// # Errors
    /// `Denied` without CAP_SYS_ADMIN over the pid namespace; `System` (ENOSYS) before Linux 5.2.
    pub fn fresh_procfs() -> Result<Self> {
        use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
        let context =
            fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC).map_err(|e| Error::call("fsopen(proc)", e))?;
        fsconfig_create(context.as_fd()).map_err(|e| Error::call("fsconfig(proc, create)", e))?;
        let flags = MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        let root = fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, flags)
            .map_err(|e| Error::call("fsmount(proc)", e))?;
        Self::verified(Filesystem::Proc, root, PathBuf::from("a fresh procfs"))
    }

    /// A detached clone of this mount without what is mounted below it, so that a key is reached past a read-only bind
    /// or a mask over it. What it is written through this way is the kernel's own key, in the caller's namespaces.
    ///
    /// # Errors
    /// `Denied` without CAP_SYS_ADMIN over the mount namespace; `System` (EINVAL) where what is mounted below is locked
    /// to it, (ENOSYS) before Linux 5.2.
    pub fn unshadowed(&self) -> Result<Self> {
        let root = clone(&self.handle, OpenTreeFlags::empty())
            .map_err(|e| Error::call(format!("open_tree({}, OPEN_TREE_CLONE)", self.shown.display()), e))?;
        Self::verified(self.filesystem, root, self.shown.clone())
    }

    fn open_at(filesystem: Filesystem, at: impl AsFd, path: &Path, shown: PathBuf) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let name = filesystem.name();
        let root = openat(at.as_fd(), path, flags, Mode::empty()).map_err(|errno| match errno {
            Errno::NOTDIR | Errno::LOOP => {
                let what = match statat(at.as_fd(), path, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink => "a symlink",
                    _ => "not a folder",
                };
                Error::place(format!(
                    "{} is {what}; it must be the root of a {name} mount",
                    shown.display()
                ))
            }
            Errno::NOENT => Error::place(format!(
                "{} does not exist; it must be a {name} mount",
                shown.display()
            )),
            _ => Error::call(format!("open({})", shown.display()), errno),
        })?;
        Self::verified(filesystem, root, shown)
    }

    fn verified(filesystem: Filesystem, root: OwnedFd, shown: PathBuf) -> Result<Self> {
        let found = Self {
            filesystem,
            handle: root,
            shown,
        };
        let name = filesystem.name();
        let refuse = |what: String| Err(Error::place(format!("{} is {what}", found.shown.display())));
        if !found
            .is_same(&found.handle)
            .map_err(|e| Error::call(format!("fstatfs({})", found.shown.display()), e))?
        {
            return refuse(format!("not {name}; a {name} must be mounted there"));
        }
        let inode = fstat(&found.handle)
            .map_err(|e| Error::call(format!("fstat({})", found.shown.display()), e))?
            .st_ino;
        // A kernel without the fixed inode number is recognised by what only the root has.
        let is_there = |name| statat(&found.handle, name, AtFlags::SYMLINK_NOFOLLOW).is_ok();
        let has_all = match filesystem {
            Filesystem::Proc => is_there("self"),
            Filesystem::Sys => ["class", "devices", "fs"].into_iter().all(is_there),
        };
        if inode != ROOT_INO && !has_all {
            return refuse(format!("inside {name}, not its root"));
        }
        Ok(found)
    }

    /// Which file system it is.
    pub fn filesystem(&self) -> Filesystem {
        self.filesystem
    }

    /// Whether `fd` lies on a file system of this type.
    pub(crate) fn is_same(&self, fd: impl AsFd) -> io::Result<bool> {
        Ok(self.filesystem.is(&fstatfs(fd)?))
    }

    /// Where it was opened, for messages.
    pub fn shown(&self) -> &Path {
        &self.shown
    }

    /// A path below it as a reader would write it, for messages.
    pub fn show(&self, path: &str) -> String {
        self.shown.join(path).display().to_string()
    }

    /// The handle of its root (`O_PATH`).
    pub fn handle(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }

    /// The masks that are mounted below it in this mount namespace (`/dev/null` over a file, an empty read-only tmpfs
    /// over a folder), relative to its root, for [`crate::Placement::Container`].
    ///
    /// # Errors
    /// `System` where mountinfo cannot be read.
    pub fn mounted_masks(&self) -> Result<Vec<String>> {
        let mounts = crate::mountinfo::read()?;
        Ok(crate::mountinfo::masks(&mounts, &self.mountpoint_in(&mounts)?))
    }

    /// Where it is mounted by that table, by its id: who may rename the folders above it can do so at any time.
    pub(crate) fn mountpoint_in(&self, mounts: &[Mount]) -> Result<PathBuf> {
        let own = mount::id_anywhere(&self.handle)
            .ok()
            .and_then(|id| mounts.iter().find(|mount| mount.id == id));
        // In gVisor the numbers are others.
        own.map_or_else(|| self.mountpoint(), |mount| Ok(mount.point.clone()))
    }

    /// Where it is mounted, as the calling process's mountinfo names it.
    pub(crate) fn mountpoint(&self) -> Result<PathBuf> {
        fs::read_link(by_fd(&self.handle)).map_err(|e| Error::call("readlink(/proc/self/fd)", e))
    }

    /// Opens a handle (`O_PATH`) on `path`, the topmost mount there. A symlink in last place is not followed.
    ///
    /// # Errors
    /// The errno of the component that could not be opened.
    pub fn walk(&self, path: &str) -> io::Result<OwnedFd> {
        self.resolve(path, false)?.ok_or_else(|| Errno::INVAL.into())
    }

    /// Opens a handle on the folder `path` (`""` is the root), following a link in last place too.
    ///
    /// # Errors
    /// ENOTDIR if it is not a folder, or the errno of the component that could not be opened.
    pub fn folder(&self, path: &str) -> io::Result<OwnedFd> {
        match self.resolve(path, true)? {
            None => self.handle.try_clone(),
            Some(fd) if is(&fd, FileType::Directory)? => Ok(fd),
            Some(_) => Err(Errno::NOTDIR.into()),
        }
    }

    /// The names in the folder `path`, sorted.
    ///
    /// # Errors
    /// The errno with which it cannot be listed.
    pub fn names(&self, path: &str) -> io::Result<Vec<String>> {
        let entries = list(self.folder(path)?.as_fd())?;
        let mut names: Vec<String> = entries.into_iter().map(|(name, _)| name).collect();
        names.sort();
        Ok(names)
    }

    /// Walks down `path` and the links on it; `None` is the root. No link is followed by the kernel, which would take the
    /// process's root for the place of an absolute one.
    fn resolve(&self, path: &str, follows_last: bool) -> io::Result<Option<OwnedFd>> {
        let mut handles: Vec<OwnedFd> = Vec::new();
        let mut rest: Vec<String> = names(path).map(str::to_owned).collect();
        if rest.iter().any(|name| name == "..") {
            return Err(Errno::INVAL.into());
        }
        let mut links = 0;
        while let Some(name) = rest.pop() {
            if name == ".." {
                // Above the root there is nothing that is ours to open.
                handles.pop().ok_or(Errno::LOOP)?;
                continue;
            }
            let dir = handles.last().map_or(self.handle(), AsFd::as_fd);
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let next = openat(dir, &*name, flags, Mode::empty())?;
            let is_last = rest.is_empty();
            if (follows_last || !is_last) && is(&next, FileType::Symlink)? {
                let target = link_target(dir, &name)?;
                links += 1;
                if links > MAX_LINKS || target.starts_with('/') {
                    return Err(Errno::LOOP.into());
                }
                rest.extend(names(&target).map(str::to_owned));
            } else if is_last || is(&next, FileType::Directory)? {
                handles.push(next);
            } else {
                return Err(Errno::NOTDIR.into());
            }
        }
        Ok(handles.pop())
    }

    /// Opens `path` as a reader would, links of ours followed.
    ///
    /// # Errors
    /// The errno of the open; `InvalidInput` for what is neither a regular file nor a mask.
    pub(crate) fn open_file(&self, path: &str, access: OFlags) -> io::Result<fs::File> {
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        self.open_in(self.folder(parent)?, path, access)
    }

    /// The same where the folder that `path` lies in is open already: `dir`.
    pub(crate) fn open_in(&self, dir: impl AsFd, path: &str, access: OFlags) -> io::Result<fs::File> {
        let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
        // The kernel would follow a link out of here: what is mounted below /sys may be anybody's.
        let target = || self.resolve(path, true)?.ok_or_else(|| Errno::ISDIR.into());
        if access.contains(OFlags::PATH) {
            return target().map(fs::File::from);
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut found = openat(dir, name, flags, Mode::empty())?;
        if is(&found, FileType::Symlink)? {
            found = target()?;
        }
        // A volume may put a device or a FIFO there, and there are devices that do something when they are opened. /dev/null is a mask.
        let stat = fstat(&found)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {}
            FileType::CharacterDevice if stat.st_rdev == makedev(1, 3) => {}
            _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")),
        }
        let flags = access | OFlags::CLOEXEC | OFlags::NONBLOCK;
        Ok(openat(CWD, by_fd(&found), flags, Mode::empty())?.into())
    }

    /// Whether the file at `path` is the kernel's own, not one of an overmount.
    pub(crate) fn is_kernels(&self, path: &str) -> io::Result<bool> {
        Ok(self
            .filesystem
            .is_kernels(&fstatfs(self.open_file(path, OFlags::PATH)?)?))
    }

    /// Whether `key` is there and the kernel's own, not a file of an overmount.
    ///
    /// # Errors
    /// The errno with which it cannot be looked at.
    pub fn has_own(&self, key: &SysctlKey) -> Result<bool> {
        match self.is_kernels(key.path()) {
            Ok(own) => Ok(own),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::call(format!("open({})", self.show(key.path())), error)),
        }
    }

    /// Opens `key` for writing; nothing is written by that.
    ///
    /// # Errors
    /// The errno with which the kernel refuses it.
    pub fn open_for_writing(&self, key: &SysctlKey) -> Result<fs::File> {
        self.open_file(key.path(), OFlags::WRONLY)
            .map_err(|e| Error::call(format!("open for writing({})", self.show(key.path())), e))
    }

    /// The same without crossing a mount or following a link: what is opened is the key of this very procfs. Walked, since
    /// `openat2` with `RESOLVE_NO_XDEV` is missing before Linux 5.6.
    ///
    /// # Errors
    /// EXDEV where something is mounted over it, or the errno with which the kernel refuses it.
    pub fn open_own_for_writing(&self, key: &SysctlKey) -> Result<fs::File> {
        let open = || -> io::Result<fs::File> {
            let mount = mount::id_anywhere(&self.handle)?;
            let mut at = self.handle.try_clone()?;
            for name in key.path().split('/') {
                // A link is opened itself, and has nothing below it.
                at = openat(
                    &at,
                    name,
                    OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
                    Mode::empty(),
                )?;
                if mount::id_anywhere(&at)? != mount {
                    return Err(Errno::XDEV.into());
                }
            }
            let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
            Ok(openat(CWD, by_fd(&at), flags, Mode::empty())?.into())
        };
        open().map_err(|e| Error::call(format!("open for writing({})", self.show(key.path())), e))
    }

    /// Every file below `sys`, relative to the root, with its permission bits; links of an overmount are followed,
    /// and what an overmount keeps for them to lead to is left out.
    ///
    /// # Errors
    /// `System` or `Denied` where a folder cannot be listed.
    pub fn keys(&self) -> Result<Vec<(String, u32)>> {
        let mut keys = Vec::new();
        let mut folders = vec!["sys".to_owned()];
        while let Some(folder) = folders.pop() {
            let failed = |call: &str, e: io::Error| Error::call(format!("{call}({})", self.show(&folder)), e);
            let dir = self.folder(&folder).map_err(|e| failed("open", e))?;
            let mut entries = list(dir.as_fd()).map_err(|e| failed("getdents", e))?;
            entries.sort_unstable_by(|a, b| b.0.cmp(&a.0));
            for (name, _) in entries {
                if name == UNDERLAY {
                    continue;
                }
                let Ok(stat) = statat(&dir, &*name, AtFlags::empty()) else {
                    continue;
                };
                let path = format!("{folder}/{name}");
                match FileType::from_raw_mode(stat.st_mode) {
                    FileType::Directory => folders.push(path),
                    _ => keys.push((path, stat.st_mode & 0o7777)),
                }
            }
        }
        Ok(keys)
    }

    /// Reads `path` whole, as bytes (a key holds what its writer put there), at most 1 MiB of it.
    ///
    /// # Errors
    /// The errno of the open or the read.
    pub fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        whole(self.open_file(path, OFlags::RDONLY)?)
    }

    /// The same where the folder that `path` lies in is open already: `dir`.
    pub(crate) fn read_in(&self, dir: impl AsFd, path: &str) -> io::Result<Vec<u8>> {
        whole(self.open_in(dir, path, OFlags::RDONLY)?)
    }
}

fn whole(file: fs::File) -> io::Result<Vec<u8>> {
    use std::io::Read;
    // The length of such a file is not known before: with room for most, one reading takes it.
    let mut bytes = Vec::with_capacity(1 << 10);
    file.take(1 << 20).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The names on a path, the last first.
fn names(path: &str) -> impl Iterator<Item = &str> {
    path.rsplit('/').filter(|name| !matches!(*name, "" | "."))
}

pub(crate) fn is(fd: &OwnedFd, kind: FileType) -> io::Result<bool> {
    Ok(FileType::from_raw_mode(fstat(fd)?.st_mode) == kind)
}

/// A folder's entries (neither `.` nor `..`) with their type as the folder tells it. EFBIG where it has no end: a file system in
/// user space that somebody mounts below `/proc` may give entries for ever.
pub(crate) fn list(dir: BorrowedFd<'_>) -> io::Result<Vec<(String, FileType)>> {
    let readable = openat(
        dir,
        ".",
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    // Room for a folder of procfs in one reading.
    let mut buffer = Vec::with_capacity(1 << 15);
    let mut found = RawDir::new(readable, buffer.spare_capacity_mut());
    let mut entries = Vec::new();
    while let Some(entry) = found.next() {
        let entry = match entry {
            // The folder went while it was read.
            Err(Errno::NOENT) => break,
            Err(Errno::INTR) => continue,
            entry => entry?,
        };
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        let name = std::str::from_utf8(name).map_err(|_| io::Error::from(Errno::ILSEQ))?;
        if entries.len() == MAX_ENTRIES {
            return Err(Errno::FBIG.into());
        }
        entries.push((name.to_owned(), entry.file_type()));
    }
    Ok(entries)
}

/// A symlink's target as text.
pub(crate) fn link_target(dir: BorrowedFd<'_>, name: &str) -> io::Result<String> {
    use std::os::unix::ffi::OsStrExt;
    let target = readlinkat(dir, name, Vec::new())?;
    let target = OsStr::from_bytes(target.to_bytes());
    target
        .to_str()
        .map(str::to_owned)
        .ok_or_else(|| Errno::ILSEQ.into())
}
