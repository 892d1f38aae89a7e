//! mount(2) and umount2(2) on handles: what every kernel has, and what a handle is named by for it.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use rustix::fs::{StatVfsMountFlags, fstatvfs};

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

/// Makes the mount whose root `at` is, and all below it, private.
pub(crate) fn make_private(at: impl AsFd) -> io::Result<()> {
    propagate(at, MsFlags::MS_PRIVATE | MsFlags::MS_REC)
}

/// Makes the mount whose root `at` is, and nothing below it, one that receives mounts from its peers and sends none.
pub(crate) fn make_slave(at: impl AsFd) -> io::Result<()> {
    propagate(at, MsFlags::MS_SLAVE)
}

/// The same for all below it, too.
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
