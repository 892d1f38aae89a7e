//! The folder that templates are kept in: files, each of which pins a mount namespace.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::{Pid, geteuid};
use rustix::fs::{CWD, FsWord, OFlags, fstat, fstatfs};

use super::build::build;
use super::{Content, enter, open};
use crate::error::{Error, Result};
use crate::mount::by_fd;
use crate::mountinfo;

/// `NSFS_MAGIC` in linux/magic.h.
const NSFS: FsWord = 0x6e73_6673;

/// On how many processors to build one, at most.
const TRIES: usize = 16;

/// A machine has a few tables. With more templates than this, all are taken off and begun again.
const MOST: usize = 16;

/// The namespace of the template with `content`, of which `text` is the text. The calling thread is in the namespace `engine`, where
/// `folder` is. Who asks first gets none: to build one costs more than to do without, and a machine may never have two containers.
///
/// # Errors
/// For one that nobody asked for before, that could not be built, now or once before, or that another process is building.
pub(super) fn find_or_make(
    folder: &Path,
    content: &Content<'_>,
    text: &str,
    engine: &OwnedFd,
) -> Result<OwnedFd> {
    let path = folder.join(name(text));
    if let Some(_handle) = open_folder(folder)? {
        if let Found::Pin(namespace) = find(&path)? {
            return Ok(namespace);
        }
    }
    make_folder(folder)?;
    let _lock = lock(folder)?.ok_or_else(|| Error::place("another process has the folder"))?;
    // Whoever had the lock before may have built it.
    match find(&path)? {
        Found::Pin(namespace) => return Ok(namespace),
        Found::Failed => return Err(Error::place("it could not be built before")),
        Found::Asked => {}
        Found::Nothing => {
            make_room(folder)?;
            create(&path)?;
            return Err(Error::place("nobody asked for it before"));
        }
    }
    make_private(folder)?;
    let failed = |call: &str, e: io::Error| Error::call(format!("{call}({})", path.display()), e);
    let mut file = OpenOptions::new()
        .write(true)
        .open(&path)
        .map_err(|e| failed("open", e))?;
    file.write_all(FAILED).map_err(|e| failed("write", e))?;
    tracing::debug!(pin = %path.display(), "building a template");
    let made = make(&path, content, text, engine);
    if !made.as_ref().is_err_and(fails_again) {
        // Below the pin: without that it is as if it had been asked for.
        file.set_len(0).map_err(|e| failed("ftruncate", e))?;
    }
    made
}

/// Whether the kernel would say the same to the next one that asks: it lacks something, not this container alone.
fn fails_again(error: &Error) -> bool {
    matches!(
        error.errno(),
        None | Some(libc::ENOSYS | libc::EINVAL | libc::EPERM | libc::EOPNOTSUPP | libc::ENOTTY)
    )
}

/// Takes the template with this text off.
pub(super) fn forget(folder: &Path, text: &str) -> Result<()> {
    match lock(folder)? {
        Some(_lock) => take_off(&folder.join(name(text))),
        // Whoever has it builds one, or takes all off.
        None => Ok(()),
    }
}

/// Makes room for one more: first goes what is no template, but has been asked for, or could not be built.
fn make_room(folder: &Path) -> Result<()> {
    if entries(folder)?.len() < MOST {
        return Ok(());
    }
    for old in entries(folder)? {
        if !matches!(find(&old), Ok(Found::Pin(_))) {
            take_off(&old)?;
        }
    }
    match entries(folder)?.len() < MOST {
        true => Ok(()),
        false => empty(folder),
    }
}

/// A kernel pins no namespace that it takes for an older one than the caller's (EINVAL). From Linux 6.18 on the numbers by which it
/// tells are dealt out to the processors in batches, so another processor may do.
fn make(path: &Path, content: &Content<'_>, text: &str, engine: &OwnedFd) -> Result<OwnedFd> {
    let this = Pid::from_raw(0);
    let allowed = sched_getaffinity(this).map_err(|e| Error::call("sched_getaffinity", e))?;
    let each = (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu).unwrap_or(false));
    let alone = each.filter_map(|cpu| {
        let mut set = CpuSet::new();
        set.set(cpu).ok().map(|()| set)
    });
    for processors in std::iter::once(allowed).chain(alone).take(TRIES) {
        // Where that is refused, this try is like any other.
        let _ = sched_setaffinity(this, &processors);
        let namespace = build(content, text)?;
        enter(engine)?;
        let source = by_fd(namespace.as_fd());
        match mount(Some(&*source), path, None::<&str>, MsFlags::MS_BIND, None::<&str>) {
            Ok(()) => return Ok(namespace),
            Err(nix::Error::EINVAL) => {}
            Err(errno) => return Err(Error::call(format!("mount({}, MS_BIND)", path.display()), errno)),
        }
    }
    Err(Error::place(
        "the kernel pins no namespace that is made on any processor",
    ))
}

/// Takes all in `folder` off, and the folder, as far as it is nobody else's. Waits for nobody: whoever builds has the lock.
pub(super) fn clear(folder: &Path) -> Result<()> {
    let Some(_lock) = lock(folder)? else {
        return Ok(());
    };
    let shown = folder.display();
    empty(folder)?;
    // What somebody else has mounted in it would go with it.
    let mounts = mountinfo::read()?;
    if mounts
        .iter()
        .any(|mount| mount.point != folder && mount.point.starts_with(folder))
    {
        return Ok(());
    }
    // The mount that keeps the pins to this namespace. The lock is a handle on it.
    match umount2(folder, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
        Ok(()) | Err(nix::Error::EINVAL) => {}
        Err(errno) => return Err(Error::call(format!("umount2({shown}, MNT_DETACH)"), errno)),
    }
    empty(folder)?;
    match fs::remove_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => {
            Err(Error::call(format!("rmdir({shown})"), error))
        }
        _ => Ok(()),
    }
}

/// What is there of one template.
enum Found {
    Pin(OwnedFd),
    /// It could not be built.
    Failed,
    /// Somebody needed it.
    Asked,
    Nothing,
}

/// What the file of a template has that could not be built, until all are taken off; an empty one has only been asked for.
const FAILED: &[u8] = b"failed\n";

fn find(path: &Path) -> Result<Found> {
    let failed = |call: &str, errno| Error::call(format!("{call}({})", path.display()), errno);
    match open(CWD, path, OFlags::NOFOLLOW | OFlags::NONBLOCK) {
        Ok(file) => {
            if fstatfs(&file).map_err(|e| failed("fstatfs", e))?.f_type == NSFS {
                return Ok(Found::Pin(file));
            }
            match fstat(&file).map_err(|e| failed("fstat", e))?.st_size {
                0 => Ok(Found::Asked),
                _ => Ok(Found::Failed),
            }
        }
        Err(error) if error.errno() == Some(libc::ENOENT) => Ok(Found::Nothing),
        Err(error) => Err(error),
    }
}

fn create(path: &Path) -> Result<()> {
    let created = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    created.map_err(|e| Error::call(format!("create({})", path.display()), e))?;
    Ok(())
}

fn name(text: &str) -> String {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// The files of templates in the folder. What has another name is nobody's here.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |e| Error::call(format!("getdents({})", folder.display()), e);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let is_ours = name.len() == 16 && name.as_encoded_bytes().iter().all(u8::is_ascii_hexdigit);
        if is_ours && !entry.file_type().map_err(failed)?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn make_folder(folder: &Path) -> Result<()> {
    let parent = folder.parent().unwrap_or(Path::new("/"));
    let made = DirBuilder::new().recursive(true).mode(0o755).create(parent);
    let made = made.and_then(|()| match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    });
    made.map_err(|e| Error::call(format!("mkdir({})", folder.display()), e))
}

/// The folder. `None` where there is none.
///
/// # Errors
/// `Place` for one that somebody else could have put a pin in.
fn open_folder(folder: &Path) -> Result<Option<File>> {
    let handle = match open(CWD, folder, OFlags::DIRECTORY | OFlags::NOFOLLOW) {
        Err(error) if error.errno() == Some(libc::ENOENT) => return Ok(None),
        opened => File::from(opened?),
    };
    let has = handle
        .metadata()
        .map_err(|e| Error::call(format!("fstat({})", folder.display()), e))?;
    if has.uid() != geteuid().as_raw() || has.mode() & 0o022 != 0 {
        return Err(Error::place(format!(
            "{} must belong to the caller, and nobody else may write to it",
            folder.display()
        )));
    }
    Ok(Some(handle))
}

/// The lock of whoever builds or takes off. `None` where there is no folder, or somebody else has it.
fn lock(folder: &Path) -> Result<Option<Flock<File>>> {
    let failed = |call: &str, e: io::Error| Error::call(format!("{call}({})", folder.display()), e);
    let Some(handle) = open_folder(folder)? else {
        return Ok(None);
    };
    let inode = handle.metadata().map_err(|e| failed("fstat", e))?.ino();
    match Flock::lock(handle, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => {
            // Whoever takes all off takes the folder away; then this is the lock of one that nobody else will open.
            let still = fs::symlink_metadata(folder).is_ok_and(|now| now.ino() == inode);
            Ok(still.then_some(lock))
        }
        Err((_, nix::Error::EWOULDBLOCK)) => Ok(None),
        Err((_, errno)) => Err(failed("flock", errno.into())),
    }
}

/// Takes all templates off; clones stay what they are.
fn empty(folder: &Path) -> Result<()> {
    entries(folder)?.iter().try_for_each(|old| take_off(old))
}

fn take_off(old: &Path) -> Result<()> {
    let _ = umount2(old, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW);
    fs::remove_file(old).map_err(|e| Error::call(format!("unlink({})", old.display()), e))
}

/// Makes the folder a private mount: the kernel refuses a pin that would propagate into the namespace that it pins.
fn make_private(folder: &Path) -> Result<()> {
    let change = |source: Option<&Path>, flags| mount(source, folder, None::<&str>, flags, None::<&str>);
    let failed = |e| Error::call(format!("mount({}, MS_PRIVATE)", folder.display()), e);
    // EINVAL: it is no mount yet.
    if change(None, MsFlags::MS_PRIVATE).is_err() {
        change(Some(folder), MsFlags::MS_BIND).map_err(failed)?;
        change(None, MsFlags::MS_PRIVATE).map_err(failed)?;
    }
    Ok(())
}
