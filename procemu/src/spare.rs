//! The spare: a second, unshadowed mount of procfs inside procfs itself.
//!
//! A container with a user namespace gets its own procfs only where the kernel finds one mount of it in the same mount
//! namespace that nothing covers (`mount_too_revealing` in the kernel's fs/namespace.c), and an overmount covers.
//!
//! It lies below `/proc` because that is the only mount that is made private: anywhere else it would propagate to the
//! host.

use std::os::fd::{AsFd, OwnedFd};

use nix::mount::MsFlags;
use rustix::fs::{FileType, fstat};
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};

use crate::error::{Error, Result};
use crate::mount::{by_fd, take_off, take_off_name};
use crate::mountinfo;
use crate::plan::{Plan, Step};
use crate::procfs::{Procfs, is_procfs, list};

/// Always there, always empty: the kernel keeps it for programs that look for it (fs/proc/proc_tty.c).
const PREFERRED: &str = "tty/ldisc";

/// Mounts the spare where there is none yet and `plan` puts nothing; gives its folder and handle if it did. `proc` must be
/// private, or others would see it.
pub(crate) fn mount(proc: &Procfs, plan: &Plan) -> Result<Option<(String, OwnedFd)>> {
    if existing(proc).is_some() {
        return Ok(None);
    }
    let folder = empty_folder(proc, plan)?;
    let failed = |call: &str, e: std::io::Error| {
        Error::call(format!("spare procfs: {call}({})", proc.show(&folder)), e)
    };
    let on = proc.folder(&folder).map_err(|e| failed("open", e))?;
    // Opened before there is something to take off: that must not fail for want of a descriptor.
    let (above, name) = folder.rsplit_once('/').unwrap_or(("", &folder));
    let above = proc.folder(above).map_err(|e| failed("open", e))?;
    let mut flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    if must_keep_mounts(proc) {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    let cloned = open_tree(proc.root(), "", flags)
        // In a user namespace what the parent mounted below /proc is locked to it and comes along or not at all.
        .or_else(|_| open_tree(proc.root(), "", flags | OpenTreeFlags::AT_RECURSIVE));
    let to = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    let moved = cloned.and_then(|tree| move_mount(&tree, "", &on, "", to));
    moved
        .or_else(|_| classic(proc, &on))
        .map_err(|e| failed("mount", e))?;
    let handle = proc.folder(&folder).map_err(|e| {
        take_off_name(&above, name);
        failed("open", e)
    })?;
    Ok(Some((folder, handle)))
}

/// Takes the spare off.
pub(crate) fn unmount(proc: &Procfs) -> Result<()> {
    let Some(folder) = existing(proc) else {
        return Ok(());
    };
    proc.folder(&folder)
        .and_then(|handle| take_off(&handle))
        .map_err(|e| Error::call(format!("detach: umount2({}, MNT_DETACH)", proc.show(&folder)), e))
}

/// The same with mount(2), where the new interface is missing.
fn classic(proc: &Procfs, on: &OwnedFd) -> std::io::Result<()> {
    let bind = |flags| {
        nix::mount::mount(
            Some(&*by_fd(proc.root())),
            &*by_fd(on),
            None::<&str>,
            flags,
            None::<&str>,
        )
    };
    let recursive = MsFlags::MS_BIND | MsFlags::MS_REC;
    let first = if must_keep_mounts(proc) {
        recursive
    } else {
        MsFlags::MS_BIND
    };
    Ok(bind(first).or_else(|_| bind(recursive))?)
}

/// Whether a clone without the mounts below `/proc` would show what they hide.
fn must_keep_mounts(proc: &Procfs) -> bool {
    match (proc.mountpoint(), mountinfo::read()) {
        (Ok(point), Ok(mounts)) => mountinfo::hides(&mounts, &point),
        _ => true,
    }
}

/// The folder of a spare that is already mounted.
fn existing(proc: &Procfs) -> Option<String> {
    let is_spare = |path: &String| {
        let is_root = || -> std::io::Result<bool> {
            let fd = proc.folder(path)?;
            Ok(is_procfs(&fd)? && fstat(&fd)?.st_ino == fstat(proc.root())?.st_ino)
        };
        is_root().unwrap_or(false)
    };
    // While one of the usual folders is empty there is none elsewhere.
    usual().find(is_spare).or_else(|| {
        let none = usual().any(|path| is_empty(proc, &path));
        if none { None } else { others(proc).find(is_spare) }
    })
}

/// A folder for a short-lived mount while `plan` is carried out: an empty one, else the spare's own.
pub(crate) fn spot(proc: &Procfs, plan: &Plan) -> Result<String> {
    empty_folder(proc, plan).or_else(|error| existing(proc).ok_or(error))
}

fn empty_folder(proc: &Procfs, plan: &Plan) -> Result<String> {
    let free = |path: &String| !covers(plan, path) && is_empty(proc, path);
    let mut found = usual().chain(others(proc)).filter(free);
    found.next().ok_or_else(|| {
        Error::place(format!(
            "{} has no empty folder for a spare procfs; one such as /proc/{PREFERRED} is needed",
            proc.shown().display()
        ))
    })
}

/// Whether the plan mounts on the folder at `path`, or on one above it.
fn covers(plan: &Plan, path: &str) -> bool {
    plan.steps.iter().any(|step| match step {
        Step::Overmount { folder } => path
            .strip_prefix(folder.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        _ => false,
    })
}

fn is_empty(proc: &Procfs, path: &str) -> bool {
    proc.folder(path)
        .and_then(|fd| Ok(is_procfs(&fd)? && list(fd.as_fd())?.is_empty()))
        .unwrap_or(false)
}

/// The folders that are empty, or may be, on most kernels; `bus` is so in gVisor.
fn usual() -> impl Iterator<Item = String> {
    [PREFERRED, "bus", "driver", "fs"].into_iter().map(str::to_owned)
}

/// Every folder of procfs's root and one level below, outside `/proc/sys` and of no process. Looked for only when asked for the
/// first: it costs a listing of every process.
fn others(proc: &Procfs) -> impl Iterator<Item = String> {
    let folders = |path: &str| -> Vec<String> {
        let listed = proc
            .folder(path)
            .and_then(|fd| list(fd.as_fd()))
            .unwrap_or_default();
        let kept = listed.into_iter().filter(|(name, kind)| {
            *kind == FileType::Directory && name != "sys" && !name.starts_with(|c: char| c.is_ascii_digit())
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
