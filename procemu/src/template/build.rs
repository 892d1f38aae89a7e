//! Building a template: its tree, in a mount namespace that has nothing else.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{fchdir, pivot_root};
use rustix::fs::{CWD, IFlags, Mode, OFlags, ioctl_setflags, openat};

use super::namespaces::refuse_namespaced;
use super::{CONTENT, Content, open};
use crate::attach::detached::{clone, graft, set, tmpfs};
use crate::error::{Error, Result};
use crate::mount::move_to;
use crate::root::Root;

/// A new mount namespace with the tree of `content` and nothing else, which the calling thread is in then; its file. The originals
/// are those of `/proc`, without what is mounted there.
///
/// # Errors
/// For any call that fails.
pub(super) fn build(content: &Content<'_>, text: &str) -> Result<OwnedFd> {
    unshare(CloneFlags::CLONE_NEWNS).map_err(|e| Error::call("unshare(CLONE_NEWNS)", e))?;
    let namespace = open(CWD, Path::new("/proc/thread-self/ns/mnt"), OFlags::empty())?;
    change("/", MsFlags::MS_PRIVATE | MsFlags::MS_REC)?;
    move_in(&tree(content, text)?)?;
    // The file system, for whoever is given a mount of it and may remount that. It sets the flags of this mount anew.
    let none = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    change("/", MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY | none)?;
    Ok(namespace)
}

fn tree(content: &Content<'_>, text: &str) -> Result<OwnedFd> {
    let proc = Root::procfs("/proc")?.unshadowed()?;
    refuse_namespaced(&proc, &content.passed().collect::<Vec<_>>())?;
    let snapshot = content.snapshot();
    let (size, inodes) = snapshot.limits();
    let room = (size + (text.len() as u64).next_multiple_of(4096), inodes + 1);
    let tree = tmpfs(room, content.layer(), content.label(), &proc)?;
    write(&tree, text)?;
    snapshot.write(tree.as_fd(), content.layer())?;
    // Who has CAP_SYS_ADMIN in the mount namespace of a clone, as a container has that joins its pid namespace, can make mount and file
    // system writable. Files all containers share must not follow.
    snapshot.freeze(tree.as_fd(), content.layer())?;
    for path in content.passed() {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let folder = proc
            .folder(parent)
            .map_err(|e| Error::call(format!("open({})", proc.show(parent)), e))?;
        let original = clone(&folder, name, &proc)?;
        graft(
            &original,
            &tree,
            "",
            &format!("{}/{path}", content.layer()),
            &proc,
        )?;
    }
    let all =
        libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOEXEC;
    set(&tree, all, true, "", &proc)?;
    Ok(tree)
}

fn write(tree: &OwnedFd, text: &str) -> Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = openat(tree, CONTENT, flags, Mode::from_raw_mode(0o400))
        .map_err(|e| Error::call("create(content)", e))?;
    let file = File::from(file);
    (&file)
        .write_all(text.as_bytes())
        .map_err(|e| Error::call("write(content)", e))?;
    ioctl_setflags(&file, IFlags::IMMUTABLE).map_err(|e| Error::call("ioctl(content, FS_IOC_SETFLAGS)", e))
}

/// Makes `tree` all that the thread's mount namespace has.
fn move_in(tree: &OwnedFd) -> Result<()> {
    let root = open(CWD, Path::new("/"), OFlags::PATH)?;
    move_to(tree, &root).map_err(|e| Error::call("move_mount(template, /)", e))?;
    fchdir(tree).map_err(|e| Error::call("fchdir(template)", e))?;
    pivot_root(".", ".").map_err(|e| Error::call("pivot_root(., .)", e))?;
    umount2(".", MntFlags::MNT_DETACH).map_err(|e| Error::call("umount2(., MNT_DETACH)", e))
}

fn change(path: &str, flags: MsFlags) -> Result<()> {
    mount(None::<&str>, path, None::<&str>, flags, None::<&str>)
        .map_err(|e| Error::call(format!("mount({path}, {flags:?})"), e))
}
