//! Attaching a snapshot to a procfs or a sysfs: all of it, or nothing.

mod classic;
pub(crate) mod detached;
mod folders;
mod propagation;
mod shield;

use std::os::fd::OwnedFd;

use crate::error::{Error, Result};
use crate::layer;
use crate::mount::{bind, move_to, take_off, take_off_name};
use crate::mount_tree;
use crate::mountinfo::Mount;
use crate::plan::{Plan, Step};
use crate::root::Root;
use crate::shared::Shared;
use crate::snapshot::Snapshot;
use crate::spare;
use crate::template::Templates;
use propagation::Unshared;

/// Which of the kernel's mount interfaces to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MountApi {
    /// The new one; where the kernel refuses it, the classic one.
    #[default]
    Auto,
    /// fsopen(2), open_tree(2), move_mount(2), mount_setattr(2): the tree is built where nobody can see it. Mounting
    /// into a tree that is not attached itself needs Linux 6.15.
    New,
    /// mount(2): the tree is built on an empty folder of the procfs and bound into place from there.
    Classic,
}

/// How to attach.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// SELinux label of the tmpfs, as in an OCI bundle's `linux.mountLabel`.
    pub label: Option<String>,
    /// Whether to keep a spare procfs beside the layer, for [`crate::Placement::Program`], or a spare sysfs where something
    /// is put on sysfs itself: containers with user namespaces get none of their own without it.
    pub spare: bool,
    /// Which interface to use.
    pub api: MountApi,
    /// Files that another mount namespace lends, each in place of the plan's own for that key. Whether one takes writes here
    /// is the plan's to say, as for any key. They
    /// are good for one attach, by the classic interface.
    pub shared: Shared,
    /// Where templates are kept, of which what containers have in common is taken by the new interface: the same is attached sooner.
    /// Where there can be none, everything is built.
    ///
    /// What is taken is shared by all who are given it, and who may mount in their own namespace can make it writable: for
    /// nobody with CAP_SYS_ADMIN there.
    pub templates: Option<Templates>,
}

/// What an attach has put in place. Dropping it leaves it there; [`Attached::detach`] takes it off.
#[derive(Debug, Default)]
#[must_use = "dropping it leaves the mounts in place; call keep() to say so"]
pub struct Attached {
    layer: Option<String>,
    /// In the order of placing.
    mounts: Vec<Placed>,
    /// What was in a peer group before.
    unshared: Unshared,
}

#[derive(Debug)]
struct Placed {
    shown: String,
    handle: OwnedFd,
}

impl Attached {
    /// Leaves the mounts where they are.
    pub fn keep(self) {}

    /// The layer's name, the source that its mounts show in mountinfo and by which [`crate::layers`] finds it again; none
    /// where nothing had to be put in place.
    pub fn layer(&self) -> Option<&str> {
        self.layer.as_deref()
    }

    /// How many mounts were put in place, not counting what is passed through below them.
    pub fn len(&self) -> usize {
        self.mounts.len()
    }

    /// Whether nothing had to be put in place.
    pub fn is_empty(&self) -> bool {
        self.mounts.is_empty()
    }

    /// Takes off what was attached, the last first, and all that is mounted below it. Tries every mount. What was in a peer group
    /// before is shared again, in a new one.
    ///
    /// # Errors
    /// The first that could not be taken off.
    pub fn detach(self) -> Result<()> {
        let mut outcome = Ok(());
        for placed in self.mounts.iter().rev() {
            if let Err(errno) = take_off(&placed.handle) {
                let error = Error::call(format!("detach: umount2({}, MNT_DETACH)", placed.shown), errno);
                outcome = outcome.and(Err(error));
            }
        }
        self.unshared.restore();
        outcome
    }

    /// This and what was put in place after it, as one.
    pub(crate) fn and(mut self, later: Self) -> Self {
        self.layer = self.layer.or(later.layer);
        self.mounts.extend(later.mounts);
        self.unshared.extend(later.unshared);
        self
    }

    /// The same on the way out of `error`, which it gives back; that something could not be taken off is added.
    pub(crate) fn undo(self, error: Error) -> Error {
        undo(self, error)
    }
}

/// A finished tree on its way to its place.
struct Piece {
    /// Where it goes, relative to the root of the file system.
    target: String,
    /// Its root.
    tree: OwnedFd,
    /// What is put on it when it is there, with its place relative to the root of the file system.
    own: Vec<(String, OwnedFd)>,
}

/// Attaches `snapshot`, compiled from `plan`, to `root`. An empty plan does nothing.
///
/// The mounts of a procfs are made private first, so that nothing propagates to other mount namespaces. Of a sysfs and the
/// mounts below it those that something is put on become slaves: they receive mounts, and send none. The calling
/// process must be in the namespaces in which the passed-through originals shall be resolved (a container's own,
/// for a container), and see itself in its `/proc`.
///
/// # Errors
/// `Denied` without CAP_SYS_ADMIN over the mount namespace, `System` for any other failed call, `Input` for a plan that was
/// made for the other file system. What had been done before is undone: the mount table is as before, and so is its
/// propagation, but that mounts which were in a peer group are then in a new one.
pub fn attach(root: &Root, plan: &Plan, snapshot: &Snapshot, options: &Options) -> Result<Attached> {
    if plan.is_empty() {
        return Ok(Attached::default());
    }
    let mounts = mount_tree::of([root.handle()])?;
    let source = layer::next(&mounts, &[root.mountpoint_in(&mounts)?])?;
    attach_as(&source, &mounts, root, plan, snapshot, options)
}

/// The same as the layer `source`, on what is mounted by now.
pub(crate) fn attach_as(
    source: &str,
    mounts: &[Mount],
    root: &Root,
    plan: &Plan,
    snapshot: &Snapshot,
    options: &Options,
) -> Result<Attached> {
    if plan.is_empty() {
        return Ok(Attached::default());
    }
    if plan.filesystem != root.filesystem() {
        return Err(Error::input(format!(
            "{}: the plan is for {}, and this is {}",
            root.shown().display(),
            plan.filesystem.name(),
            root.filesystem().name()
        )));
    }
    let mut unshared = Unshared::default();
    let order = Order {
        root,
        plan,
        snapshot,
        options,
        source,
        mounts,
    };
    let outcome = unshared
        .before(&order)
        .and_then(|()| order.carry_out(&mut unshared));
    match outcome {
        Ok(attached) => {
            tracing::debug!(layer = source, mounts = attached.len(), "attached");
            Ok(Attached {
                layer: Some(source.to_owned()),
                unshared,
                ..attached
            })
        }
        Err(error) => {
            unshared.restore();
            Err(error.explained().during("attach"))
        }
    }
}

/// All that goes into one attach.
struct Order<'a> {
    root: &'a Root,
    plan: &'a Plan,
    snapshot: &'a Snapshot,
    options: &'a Options,
    source: &'a str,
    /// As they were before.
    mounts: &'a [Mount],
}

impl Order<'_> {
    fn carry_out(&self, unshared: &mut Unshared) -> Result<Attached> {
        let mut attached = Attached::default();
        let spot = match self.options.spare && propagation::covers(self)? {
            true => spare::place(self.root, self.plan, self.mounts)?,
            false => None,
        };
        if let Some(folder) = spot {
            unshared.before_mount_at(self.root, &folder)?;
            let handle = spare::mount(self.root, &folder, self.mounts)?;
            attached.mounts.push(Placed {
                shown: self.root.show(&folder),
                handle,
            });
        }
        let layer = match self.options.api {
            MountApi::New if !self.options.shared.is_empty() => Err(Error::input(
                "keys of another mount namespace: the classic interface alone can show them",
            )),
            MountApi::New => self.new_api(),
            MountApi::Classic => self.classic_api(unshared),
            // What another mount namespace lends can be cloned in that one and moved, and not cloned again before it is
            // mounted: the stage is where.
            MountApi::Auto if !self.options.shared.is_empty() => self.classic_api(unshared),
            MountApi::Auto => self.new_api().or_else(|error| {
                if is_refusal(&error) {
                    tracing::debug!(
                        error = error.line(),
                        "the new mount interface is refused, taking the classic one"
                    );
                    self.classic_api(unshared)
                } else {
                    Err(error)
                }
            }),
        };
        match layer {
            Ok(layer) => attached.mounts.extend(layer.mounts),
            Err(error) => return Err(undo(attached, error)),
        }
        Ok(attached)
    }

    fn new_api(&self) -> Result<Attached> {
        place(self.root, &detached::build(self)?, &move_into)
    }

    fn classic_api(&self, unshared: &mut Unshared) -> Result<Attached> {
        let spot = spare::spot(self.root, self.plan)?;
        unshared.before_mount_at(self.root, &spot)?;
        let stage = classic::Stage::build(self, &spot)?;
        let placed = place(self.root, stage.pieces(), &bind_into)?;
        match stage.take_off() {
            Ok(()) => Ok(placed),
            Err(error) => Err(undo(placed, error)),
        }
    }
}

/// Whether a failure may only mean that this kernel, or a seccomp filter, does not have the new interface.
fn is_refusal(error: &Error) -> bool {
    matches!(
        error.errno(),
        // gVisor's open_tree(2) clones folders alone, ENOTDIR.
        Some(libc::ENOSYS | libc::EINVAL | libc::EPERM | libc::EOPNOTSUPP | libc::ENOTDIR)
    )
}

/// Whether an original was gone when it was to be passed through: interfaces and cgroups come and go after the plan. An empty
/// place is left for it.
fn has_gone(error: &Error) -> bool {
    error.errno() == Some(libc::ENOENT)
}

type Move<'a> = dyn Fn(&Root, &Piece) -> Result<OwnedFd> + 'a;

/// Puts each piece where it belongs; where one fails, takes off those before it.
fn place(root: &Root, pieces: &[Piece], into: &Move<'_>) -> Result<Attached> {
    let mut attached = Attached::default();
    for piece in pieces {
        match into(root, piece) {
            Ok(handle) => {
                let shown = root.show(&piece.target);
                tracing::debug!(at = shown, "mounted");
                attached.mounts.push(Placed { shown, handle });
            }
            Err(error) => return Err(undo(attached, error)),
        }
        for (path, tree) in &piece.own {
            match detached::graft(tree, &piece.tree, &piece.target, path, root) {
                Err(error) if !has_gone(&error) => return Err(undo(attached, error)),
                _ => {}
            }
        }
    }
    Ok(attached)
}

/// Takes off what was placed before `error`, which it gives back; that something could not be taken off is added.
fn undo(attached: Attached, error: Error) -> Error {
    match attached.detach() {
        Ok(()) => error,
        Err(left) => error.during(format!("left mounted, {}; after", left.line())),
    }
}

fn target(root: &Root, piece: &Piece) -> Result<OwnedFd> {
    let found = root
        .walk(&piece.target)
        .and_then(|fd| {
            let link = rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode);
            if link == rustix::fs::FileType::Symlink {
                root.folder(&piece.target)
            } else {
                Ok(fd)
            }
        })
        .map_err(|e| Error::call(format!("open({})", root.show(&piece.target)), e))?;
    propagation::refuse_shared(root, &piece.target, &found)?;
    Ok(found)
}

fn move_into(root: &Root, piece: &Piece) -> Result<OwnedFd> {
    let target = target(root, piece)?;
    let failed =
        |e: std::io::Error| Error::call(format!("move_mount(snapshot, {})", root.show(&piece.target)), e);
    // Before there is something to take off: that must not fail for want of a descriptor.
    let handle = piece.tree.try_clone().map_err(failed)?;
    move_to(&piece.tree, &target).map_err(failed)?;
    Ok(handle)
}

fn bind_into(root: &Root, piece: &Piece) -> Result<OwnedFd> {
    let on = target(root, piece)?;
    // Opened before there is something to take off: that must not fail for want of a descriptor.
    let (folder, name) = piece.target.rsplit_once('/').unwrap_or(("", &piece.target));
    let folder = root
        .folder(folder)
        .map_err(|e| Error::call(format!("open({})", root.show(folder)), e))?;
    bind(&piece.tree, &on).map_err(|e| {
        Error::call(
            format!("mount(snapshot, {}, MS_BIND|MS_REC)", root.show(&piece.target)),
            e,
        )
    })?;
    target(root, piece).inspect_err(|_| take_off_name(&folder, name))
}

/// The steps that belong to one overmount or replacement.
pub(crate) struct Part<'a> {
    /// Path of the overmounted folder or of the replaced key.
    pub at: &'a str,
    /// What fills an overmount; the replacement itself for a replaced key.
    pub steps: &'a [Step],
}

pub(crate) fn parts(plan: &Plan) -> Vec<Part<'_>> {
    let starts = |step: &Step| matches!(step, Step::Overmount { .. } | Step::Replace { .. });
    let mut parts = Vec::new();
    let mut rest = &plan.steps[..];
    while let Some((first, after)) = rest.split_first() {
        let end = after.iter().position(starts).unwrap_or(after.len());
        match first {
            Step::Overmount { folder } => parts.push(Part {
                at: folder,
                steps: &after[..end],
            }),
            Step::Replace { key, .. } => parts.push(Part {
                at: key.path(),
                steps: std::slice::from_ref(first),
            }),
            _ => {}
        }
        rest = &after[end..];
    }
    parts
}
