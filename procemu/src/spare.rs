//! The spare: a second, unshadowed mount of procfs inside procfs itself, or of sysfs inside sysfs.
//!
//! A container with a user namespace gets its own procfs only where the kernel finds one mount of it in the same mount
//! namespace that nothing covers (`mount_too_revealing` in the kernel's fs/namespace.c), and an overmount covers. The same
//! holds for sysfs.
//!
//! It lies inside because that is a mount that is cut off from its peers anyway: anywhere else it would propagate to the
//! host.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use nix::mount::MsFlags;
use rustix::fs::{FileType, fstat};
use rustix::mount::OpenTreeFlags;

use crate::cut_off::cut_off;
use crate::error::{Error, Result};
use crate::filesystem::Filesystem;
use crate::mount::{by_fd, clone, make_slaves, move_to, take_off, take_off_name};
use crate::mount_tree;
use crate::mountinfo::{self, Mount};
use crate::plan::Plan;
use crate::root::{Root, list};

/// In procfs the first is always there, always empty; the kernel keeps it for programs that look for it (fs/proc/proc_tty.c). In
/// gVisor `bus` is empty.
const IN_PROC: [&str; 4] = ["tty/ldisc", "bus", "driver", "fs"];

/// In sysfs no folder is. These are empty on most machines (drivers/base/swnode.c, drivers/iommu/iommu.c), or in gVisor, and
/// nobody takes what lies in them for a device.
const IN_SYS: [&str; 4] = [
    "kernel/software_nodes",
    "kernel/iommu_groups",
    "power",
    "firmware",
];

/// The folders that are empty, or may be, on most kernels.
fn usual(filesystem: Filesystem) -> &'static [&'static str] {
    match filesystem {
        Filesystem::Proc => &IN_PROC,
        Filesystem::Sys => &IN_SYS,
    }
}

/// The folder for a spare, where there is none yet: nothing that `plan` covers.
pub(crate) fn place(root: &Root, plan: &Plan, mounts: &[Mount]) -> Result<Option<String>> {
    match existing(root, mounts) {
        Some(_) => Ok(None),
        None => empty_folder(root, plan).map(Some),
    }
}

/// Mounts the spare on `folder`; gives its handle. The mount that the folder lies on must be cut off from its peers, or others
/// would see it.
pub(crate) fn mount(root: &Root, folder: &str, mounts: &[Mount]) -> Result<OwnedFd> {
    let kind = root.filesystem().name();
    let failed = |call: &str, e: std::io::Error| {
        Error::call(format!("spare {kind}: {call}({})", root.show(folder)), e)
    };
    let on = root.folder(folder).map_err(|e| failed("open", e))?;
    // Opened before there is something to take off: that must not fail for want of a descriptor.
    let (above, name) = folder.rsplit_once('/').unwrap_or(("", folder));
    let above = root.folder(above).map_err(|e| failed("open", e))?;
    let flags = match must_keep_mounts(root, mounts) {
        true => OpenTreeFlags::AT_RECURSIVE,
        false => OpenTreeFlags::empty(),
    };
    let cloned = clone(root.handle(), flags)
        // In a user namespace what the parent mounted below /proc is locked to it and comes along or not at all.
        .or_else(|_| clone(root.handle(), OpenTreeFlags::AT_RECURSIVE));
    cloned
        .and_then(|tree| move_to(&tree, &on))
        .or_else(|_| classic(root, &on, mounts))
        .map_err(|e| failed("mount", e))?;
    let handle = root.folder(folder).map_err(|e| {
        take_off_name(&above, name);
        failed("open", e)
    })?;
    // What a recursive clone brought along has peers; a clone of procfs, which is private, has none.
    make_slaves(&handle)
        .inspect_err(|_| take_off(&handle).unwrap_or_default())
        .map_err(|e| failed("mount(MS_SLAVE|MS_REC)", e))?;
    Ok(handle)
}

/// Takes the spare off.
pub(crate) fn unmount(root: &Root) -> Result<()> {
    let mounts = mount_tree::of([root.handle()]).unwrap_or_default();
    let Some(folder) = existing(root, &mounts) else {
        return Ok(());
    };
    root.folder(&folder)
        .and_then(|handle| {
            cut_off(root, &[&handle])?;
            take_off(&handle)
        })
        .map_err(|e| Error::call(format!("detach: umount2({}, MNT_DETACH)", root.show(&folder)), e))
}

/// The same with mount(2), where the new interface is missing.
fn classic(root: &Root, on: &OwnedFd, mounts: &[Mount]) -> std::io::Result<()> {
    let bind = |flags| {
        nix::mount::mount(
            Some(&*by_fd(root.handle())),
            &*by_fd(on),
            None::<&str>,
            flags,
            None::<&str>,
        )
    };
    let recursive = MsFlags::MS_BIND | MsFlags::MS_REC;
    let first = if must_keep_mounts(root, mounts) {
        recursive
    } else {
        MsFlags::MS_BIND
    };
    Ok(bind(first).or_else(|_| bind(recursive))?)
}

/// Whether a clone without the mounts below `/proc` would show what they hide.
fn must_keep_mounts(root: &Root, mounts: &[Mount]) -> bool {
    let hides = |point: PathBuf| mountinfo::hides(mounts, &point, root.filesystem().kind());
    root.mountpoint_in(mounts).map_or(true, hides)
}

/// The folder of a spare that is already mounted.
fn existing(root: &Root, mounts: &[Mount]) -> Option<String> {
    let is_spare = |path: &String| {
        let is_root = || -> std::io::Result<bool> {
            let fd = root.folder(path)?;
            Ok(root.is_same(&fd)? && fstat(&fd)?.st_ino == fstat(root.handle())?.st_ino)
        };
        is_root().unwrap_or(false)
    };
    let point = root.mountpoint_in(mounts).ok()?;
    let whole = |mount: &&Mount| {
        mount.fs == root.filesystem().kind() && mount.root.as_os_str() == "/" && mount.point != point
    };
    let mut below = mounts
        .iter()
        .filter(whole)
        .filter_map(|mount| Some(mount.point.strip_prefix(&point).ok()?.to_str()?.to_owned()));
    below.find(is_spare)
}

/// A folder for a short-lived mount while `plan` is carried out: an empty one, else the spare's own.
pub(crate) fn spot(root: &Root, plan: &Plan) -> Result<String> {
    // Looked for among the mounts as they are now: the spare may just have been mounted.
    let existing = || existing(root, &mount_tree::of([root.handle()]).ok()?);
    empty_folder(root, plan).or_else(|error| existing().ok_or(error))
}

fn empty_folder(root: &Root, plan: &Plan) -> Result<String> {
    let free = |path: &String| !plan.crosses(path) && is_empty(root, path);
    let mut found = usual_in(root).chain(others(root)).filter(free);
    found.next().ok_or_else(|| {
        let name = root.filesystem().name();
        Error::place(format!(
            "{} has no empty folder for a spare {name}; one such as {} is needed",
            root.shown().display(),
            root.show(usual(root.filesystem())[0])
        ))
    })
}

fn is_empty(root: &Root, path: &str) -> bool {
    let empty = || -> std::io::Result<bool> {
        let folder = root.folder(path)?;
        // Mountpoints of sysfs, which are for others, take no entries (`make_empty_dir_inode` in fs/libfs.c).
        let takes = root.filesystem().is_proc() || fstat(&folder)?.st_mode & 0o200 != 0;
        Ok(takes && root.is_same(&folder)? && list(folder.as_fd())?.is_empty())
    };
    empty().unwrap_or(false)
}

fn usual_in(root: &Root) -> impl Iterator<Item = String> {
    usual(root.filesystem()).iter().map(|path| (*path).to_owned())
}

/// Every folder of the root and one level below: outside `/proc/sys` and of no process, or outside `/sys/fs`. Looked for only
/// when asked for the first: in procfs it costs a listing of every process.
fn others(root: &Root) -> impl Iterator<Item = String> {
    let in_proc = root.filesystem().is_proc();
    let left_out = if in_proc { "sys" } else { "fs" };
    let folders = move |path: &str| -> Vec<String> {
        let listed = root
            .folder(path)
            .and_then(|fd| list(fd.as_fd()))
            .unwrap_or_default();
        let kept = listed.into_iter().filter(|(name, kind)| {
            *kind == FileType::Directory
                && name != left_out
                && !(in_proc && name.starts_with(|c: char| c.is_ascii_digit()))
        });
        let mut names: Vec<String> = kept.map(|(name, _)| name).collect();
        names.sort_unstable();
        names
    };
    std::iter::once(())
        .flat_map(move |()| folders(""))
        .flat_map(move |top| {
            let below = folders(&top).into_iter().map(|name| format!("{top}/{name}"));
            below.chain([top.clone()]).collect::<Vec<_>>()
        })
}
