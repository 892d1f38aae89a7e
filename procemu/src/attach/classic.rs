//! Building with mount(2): the whole snapshot is staged on an empty folder of the file system, then bound into
//! place.

use std::os::fd::{AsFd, OwnedFd};

use nix::mount::{MsFlags, mount};
use rustix::fs::{Mode, OFlags, openat};

use super::folders::Folders;
use super::{Order, Piece, has_gone, parts, shield};
use crate::error::{Error, Result};
use crate::filesystem::Filesystem;
use crate::key::SysctlKey;
use crate::mount::{
    bind, by_fd, make_private, make_slaves, move_to, remount, remount_read_only, remount_without, take_off,
    take_off_name,
};
use crate::plan::Step;
use crate::root::Root;

/// The staged snapshot. Dropping it takes the stage off, as far as that can be had on the way out of a failure; what was
/// bound from it stays.
pub(super) struct Stage {
    tmpfs: OwnedFd,
    /// What covers it where a read-only mount alone does not protect it.
    shield: Option<OwnedFd>,
    /// The folder in it, or in the shield, that has the layout of procfs.
    content: OwnedFd,
    pieces: Vec<Piece>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = take_off(&self.tmpfs);
    }
}

impl Stage {
    /// Takes it off, when all its pieces are in place.
    pub(super) fn take_off(self) -> Result<()> {
        take_off(&self.tmpfs).map_err(|e| Error::call("umount2(stage of the snapshot, MNT_DETACH)", e))
    }

    /// Mounts it on the folder `spot` and fills it.
    pub(super) fn build(order: &Order<'_>, spot: &str) -> Result<Self> {
        let (root, plan) = (order.root, order.plan);
        let tmpfs = mount_tmpfs(order, spot)?;
        let filled = || {
            let content = order.snapshot.write(tmpfs.as_fd(), order.source)?;
            Ok(match shield::cover(&tmpfs, order.source)? {
                Some((shield, content)) => (Some(shield), content),
                None => (None, content),
            })
        };
        // There is no stage yet whose end would take it off.
        let (shield, content) = filled().inspect_err(|_: &Error| take_off(&tmpfs).unwrap_or_default())?;
        let mut stage = Self {
            tmpfs,
            shield,
            content,
            pieces: Vec::new(),
        };
        stage.take_in(order)?;
        let mut from = Folders::default();
        for step in &plan.steps {
            match step {
                Step::Underlay { path, read_only } => {
                    let folder = from.open(root, split(path).0)?;
                    stage.pass(folder, root, path, *read_only)?;
                }
                Step::Pass { path, read_only, .. } => {
                    let (folder, name) = split(path);
                    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                    let passed = openat(from.open(root, folder)?, name, flags, Mode::empty())
                        .map_err(|e| Error::call(format!("open({})", root.show(path)), e))
                        .and_then(|original| stage.pass(&original, root, path, *read_only));
                    match passed {
                        Err(error) if has_gone(&error) => {}
                        other => other?,
                    }
                }
                Step::Emulate { key, writable } | Step::Replace { key, writable } => {
                    stage.place(order, key, *writable)?;
                }
                _ => {}
            }
        }
        stage.seal(root)?;
        for part in parts(plan) {
            let tree = stage.open(part.at, root)?;
            stage.pieces.push(Piece {
                target: part.at.to_owned(),
                tree,
                own: Vec::new(),
            });
        }
        Ok(stage)
    }

    pub(super) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    fn open(&self, path: &str, root: &Root) -> Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(&self.content, path, flags, Mode::empty())
            .map_err(|e| Error::call(format!("open(snapshot of {})", root.show(path)), e))
    }

    /// Mounts what is lent, one over the other, where nobody sees it: only what is mounted can be bound. It is cut off from its
    /// peers before a file is looked for in it, or who lends could still put something over the file.
    fn take_in(&self, order: &Order<'_>) -> Result<()> {
        for tree in order.options.shared.trees() {
            shield::spot(&self.tmpfs)
                .and_then(|spot| move_to(tree, &spot))
                .map_err(|e| Error::call("move_mount(shared, stage of the snapshot)", e))?;
            make_private(tree).map_err(|e| Error::call("mount(shared, MS_PRIVATE|MS_REC)", e))?;
        }
        Ok(())
    }

    /// Makes `key` a mount of its own where the stage's will not do: it turns read-only, and what is lent is not on it.
    fn place(&self, order: &Order<'_>, key: &SysctlKey, writable: bool) -> Result<()> {
        let (root, path) = (order.root, key.path());
        let shared = order.options.shared.file(key);
        if shared.is_none() && !writable {
            return Ok(());
        }
        let on = self.open(path, root)?;
        let failed = |call: &str, e: std::io::Error| Error::call(format!("{call}(snapshot {path})"), e);
        let Some(file) = shared else {
            return bind(&on, &on).map_err(|e| failed("mount(MS_BIND)", e));
        };
        file.and_then(|file| bind(&file, &on))
            .map_err(|e| failed("mount(shared, MS_BIND)", e))?;
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        let ro = MsFlags::MS_RDONLY;
        // What is lent comes with the flags that it has where it is from.
        let (dropped, set) = if writable {
            (ro, flags)
        } else {
            (MsFlags::empty(), flags | ro)
        };
        remount_without(&self.open(path, root)?, dropped, set)
            .map_err(|e| failed("mount(MS_REMOUNT|MS_BIND)", e))
    }

    /// Binds `original` on the node at `path` and takes from it what it must not have.
    fn pass(&self, original: &OwnedFd, root: &Root, path: &str, read_only: bool) -> Result<()> {
        let failed = |e: std::io::Error| {
            Error::call(format!("mount({}, snapshot, MS_BIND|MS_REC)", root.show(path)), e)
        };
        bind(original, &self.open(path, root)?).map_err(failed)?;
        let bound = self.open(path, root)?;
        let device = if root.is_same(&bound).map_err(failed)? {
            MsFlags::MS_NODEV
        } else {
            MsFlags::empty()
        };
        let ro = if read_only {
            MsFlags::MS_RDONLY
        } else {
            MsFlags::empty()
        };
        remount(&bound, MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC | device | ro)
            .map_err(|e| Error::call(format!("mount({}, MS_REMOUNT|MS_BIND)", root.show(path)), e))
    }

    /// Makes the stage read-only, and everything on it private: the originals came from peer groups. Those of sysfs become
    /// slaves, in which mounts arrive that are made elsewhere later.
    fn seal(&self, root: &Root) -> Result<()> {
        let failed = |what: &str, e: std::io::Error| {
            Error::call(
                format!("mount(stage below {}, {what})", root.shown().display()),
                e,
            )
        };
        for mount in self.shield.iter().chain([&self.tmpfs]) {
            remount_read_only(mount).map_err(|e| failed("MS_REMOUNT|MS_BIND|MS_RDONLY", e))?;
        }
        match root.filesystem() {
            Filesystem::Proc => make_private(&self.tmpfs).map_err(|e| failed("MS_PRIVATE|MS_REC", e)),
            Filesystem::Sys => make_slaves(&self.tmpfs).map_err(|e| failed("MS_SLAVE|MS_REC", e)),
        }
    }
}

/// The folder that holds `path`, and its name there.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

fn mount_tmpfs(order: &Order<'_>, spot: &str) -> Result<OwnedFd> {
    let root = order.root;
    let open = |path: &str| {
        root.folder(path)
            .map_err(|e| Error::call(format!("open({})", root.show(path)), e))
    };
    let on = open(spot)?;
    // Opened before there is something to take off: that must not fail for want of a descriptor.
    let (above, name) = spot.rsplit_once('/').unwrap_or(("", spot));
    let above = open(above)?;
    let (size, inodes) = order.snapshot.limits();
    let mut data = format!("size={size},nr_inodes={inodes},mode=0755");
    if let Some(label) = &order.options.label {
        data.push_str(&format!(",context=\"{label}\""));
    }
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(
        Some(order.source),
        &*by_fd(&on),
        Some("tmpfs"),
        flags,
        Some(&*data),
    )
    .map_err(|e| Error::call(format!("mount({}, tmpfs, {data})", root.show(spot)), e))?;
    open(spot).inspect_err(|_| take_off_name(&above, name))
}
