//! Mounts in a rootfs that nobody trusts: each mountpoint is opened below it, and mounted on by its handle.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};
use rustix::fs::{Mode, OFlags, ResolveFlags, mkdirat, openat2};
use rustix::io::Errno;
use rustix::mount::mount_bind_recursive;

use crate::Outcome;
use crate::config::Mount;

/// Options that are flags of mount(2), and whether they set it.
const FLAGS: [(&str, bool, MsFlags); 8] = [
    ("bind", true, MsFlags::MS_BIND),
    ("rbind", true, MsFlags::MS_BIND.union(MsFlags::MS_REC)),
    ("ro", true, MsFlags::MS_RDONLY),
    ("rw", false, MsFlags::MS_RDONLY),
    ("nosuid", true, MsFlags::MS_NOSUID),
    ("nodev", true, MsFlags::MS_NODEV),
    ("noexec", true, MsFlags::MS_NOEXEC),
    ("strictatime", true, MsFlags::MS_STRICTATIME),
];

/// Mounts what config.json lists, but for cgroups.
pub fn all(rootfs: &File, mounts: &[Mount]) -> Outcome<()> {
    for wanted in mounts.iter().filter(|mount| mount.r#type != "cgroup") {
        let at = &wanted.destination;
        let (mut flags, mut data) = (MsFlags::empty(), Vec::new());
        for option in &wanted.options {
            match FLAGS.iter().find(|(name, ..)| name == option) {
                Some((_, set, flag)) => flags.set(*flag, *set),
                None => data.push(option.as_str()),
            }
        }
        let on = mountpoint(rootfs, at)?;
        let (kind, data) = (Some(wanted.r#type.as_str()), data.join(","));
        mount(Some(&wanted.source), &path(&on), kind, flags, Some(data.as_str()))
            .map_err(|e| format!("mount on {}: {e}", at.display()))?;
        // The kernel takes no attributes with a bind.
        let attributes = flags.difference(MsFlags::MS_REC);
        if flags.contains(MsFlags::MS_BIND) && attributes != MsFlags::MS_BIND {
            change(rootfs, at, attributes)?;
        }
    }
    Ok(())
}

/// Makes `at` of the container read-only; one that is not there need not be.
pub fn read_only(rootfs: &File, at: &Path) -> Outcome<()> {
    let Some(on) = beneath(rootfs, at)? else {
        return Ok(());
    };
    mount_bind_recursive(path(&on), path(&on)).map_err(|e| format!("bind {}: {e}", at.display()))?;
    let attributes = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    change(rootfs, at, MsFlags::MS_BIND | MsFlags::MS_RDONLY | attributes)
}

/// Covers `at` of the container, if it is there, with what is empty.
pub fn mask(rootfs: &File, at: &Path) -> Outcome<()> {
    let Some(on) = beneath(rootfs, at)? else {
        return Ok(());
    };
    let (nothing, kind) = (None::<&str>, Some("tmpfs"));
    let covered = match File::from(on.try_clone()?).metadata()?.is_dir() {
        true => mount(kind, &path(&on), kind, MsFlags::MS_RDONLY, Some("size=0")),
        false => mount(Some("/dev/null"), &path(&on), nothing, MsFlags::MS_BIND, nothing),
    };
    Ok(covered.map_err(|e| format!("mask {}: {e}", at.display()))?)
}

/// Gives the mount that is at `at` now other attributes.
fn change(rootfs: &File, at: &Path, attributes: MsFlags) -> Outcome<()> {
    let (nothing, flags) = (None::<&str>, attributes | MsFlags::MS_REMOUNT);
    let on = beneath(rootfs, at)?.ok_or_else(|| format!("{}: has gone", at.display()))?;
    Ok(mount(nothing, &path(&on), nothing, flags, nothing)
        .map_err(|e| format!("remount {}: {e}", at.display()))?)
}

/// `at`, made as a folder where nothing is there.
fn mountpoint(rootfs: &File, at: &Path) -> Outcome<OwnedFd> {
    if let Some(found) = beneath(rootfs, at)? {
        return Ok(found);
    }
    let (Some(parent), Some(name)) = (at.parent(), at.file_name()) else {
        return Err(format!("mount on {}: is no place for one", at.display()).into());
    };
    mkdirat(mountpoint(rootfs, parent)?, name, Mode::from_raw_mode(0o755))
        .map_err(|e| format!("mkdir {}: {e}", at.display()))?;
    beneath(rootfs, at)?.ok_or_else(|| format!("{}: has gone", at.display()).into())
}

/// `at` as the container will see it, if it is there: no link of the image leads out of the rootfs.
fn beneath(rootfs: &File, at: &Path) -> Outcome<Option<OwnedFd>> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    match openat2(rootfs, at, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve) {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(errno) => Err(format!("open {} in the container: {errno}", at.display()).into()),
    }
}

fn path(handle: &OwnedFd) -> PathBuf {
    format!("/proc/self/fd/{}", handle.as_raw_fd()).into()
}
