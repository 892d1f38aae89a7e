//! Mounts by their handles: mount(2) and umount2(2), which every kernel has, and of the new interface what is needed in
//! more than one place.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::{fs, io};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use rustix::fs::{AtFlags, StatVfsMountFlags, StatxFlags, fstatvfs, statx};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};

/// The name by which mount(2) and umount2(2) can take a handle.
pub(crate) fn by_fd(fd: impl AsFd) -> String {
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())
}

/// Binds `source`, with all that is mounted below it, on `target`.
pub(crate) fn bind(source: impl AsFd, target: impl AsFd) -> io::Result<()> {
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    Ok(mount(
        Some(&*by_fd(source)),
        &*by_fd(target),
        None::<&str>,
        flags,
        None::<&str>,
    )?)
}

/// The id, as in mountinfo, of the mount that `at` lies on. ENOSYS where the kernel does not tell (before Linux 5.8).
pub(crate) fn id(at: impl AsFd) -> io::Result<u64> {
    let found = statx(at, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?;
    match found.stx_mask & StatxFlags::MNT_ID.bits() {
        0 => Err(Errno::NOSYS.into()),
        _ => Ok(found.stx_mnt_id),
    }
}

/// The same, asked of fdinfo where statx does not tell.
pub(crate) fn id_anywhere(at: impl AsFd) -> io::Result<u64> {
    id(&at).or_else(|unknown| {
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", at.as_fd().as_raw_fd()))?;
        let mut ids = info.lines().filter_map(|line| line.strip_prefix("mnt_id:"));
        ids.next().and_then(|id| id.trim().parse().ok()).ok_or(unknown)
    })
}

/// A detached clone of the mount at `at`, from there down; without what is mounted below it, unless `flags` has
/// `AT_RECURSIVE`.
pub(crate) fn clone(at: impl AsFd, flags: OpenTreeFlags) -> io::Result<OwnedFd> {
    let clone =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    Ok(open_tree(at, "", clone | flags)?)
}

/// Puts the detached mount `tree` on `target`.
pub(crate) fn move_to(tree: impl AsFd, target: impl AsFd) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(move_mount(tree, "", target, "", flags)?)
}

/// Makes the mount whose root `at` is, and all below it, private.
pub(crate) fn make_private(at: impl AsFd) -> io::Result<()> {
    propagate(at, MsFlags::MS_PRIVATE | MsFlags::MS_REC)
}

/// Makes the mount whose root `at` is, and nothing below it, one that receives mounts from its peers and sends none.
pub(crate) fn make_slave(at: impl AsFd) -> io::Result<()> {
    propagate(at, MsFlags::MS_SLAVE)
}

/// Makes the mount whose root `at` is, and nothing below it, one with a peer group of its own.
pub(crate) fn make_shared(at: impl AsFd) -> io::Result<()> {
    propagate(at, MsFlags::MS_SHARED)
}

/// Makes the mount whose root `at` is, and all below it, slaves.
pub(crate) fn make_slaves(at: impl AsFd) -> io::Result<()> {
    propagate(at, MsFlags::MS_SLAVE | MsFlags::MS_REC)
}

fn propagate(at: impl AsFd, flags: MsFlags) -> io::Result<()> {
    Ok(mount(
        None::<&str>,
        &*by_fd(at),
        None::<&str>,
        flags,
        None::<&str>,
    )?)
}

/// Takes the mount whose root `at` is off, with all that is mounted below it, as soon as nobody uses it. Nowhere else:
/// what is unmounted below a mount with peers, such as a cgroup that was passed through, would go from those too.
pub(crate) fn take_off(at: impl AsFd) -> io::Result<()> {
    make_slaves(&at)?;
    Ok(umount2(&*by_fd(at), MntFlags::MNT_DETACH)?)
}

/// The same for what was just mounted on `name` in `folder` and cannot be opened: on the way out of that failure.
pub(crate) fn take_off_name(folder: impl AsFd, name: &str) {
    let path = format!("{}/{name}", by_fd(folder));
    let slave = MsFlags::MS_SLAVE | MsFlags::MS_REC;
    let _ = mount(None::<&str>, &*path, None::<&str>, slave, None::<&str>);
    let _ = umount2(&*path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW);
}

/// Makes the mount whose root `at` is read-only.
pub(crate) fn remount_read_only(at: impl AsFd) -> io::Result<()> {
    remount(at, MsFlags::MS_RDONLY)
}

/// Adds `flags` to a mount, keeping those it has: the kernel would take their absence for an attempt to drop them.
pub(crate) fn remount(at: impl AsFd, flags: MsFlags) -> io::Result<()> {
    remount_without(at, MsFlags::empty(), flags)
}

/// The same, but for the flags in `dropped`.
pub(crate) fn remount_without(at: impl AsFd, dropped: MsFlags, flags: MsFlags) -> io::Result<()> {
    let has = fstatvfs(&at)?.f_flag;
    let mut all = flags | MsFlags::MS_REMOUNT | MsFlags::MS_BIND;
    for (flag, mount_flag) in [
        (StatVfsMountFlags::RDONLY, MsFlags::MS_RDONLY),
        (StatVfsMountFlags::NOSUID, MsFlags::MS_NOSUID),
        (StatVfsMountFlags::NODEV, MsFlags::MS_NODEV),
        (StatVfsMountFlags::NOEXEC, MsFlags::MS_NOEXEC),
        (StatVfsMountFlags::NOATIME, MsFlags::MS_NOATIME),
        (StatVfsMountFlags::NODIRATIME, MsFlags::MS_NODIRATIME),
        (StatVfsMountFlags::RELATIME, MsFlags::MS_RELATIME),
    ] {
        all.set(
            mount_flag,
            (has.contains(flag) && !dropped.contains(mount_flag)) || flags.contains(mount_flag),
        );
    }
    Ok(mount(None::<&str>, &*by_fd(at), None::<&str>, all, None::<&str>)?)
}
