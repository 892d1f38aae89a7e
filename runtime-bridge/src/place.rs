//! What a container's procfs and sysfs lack, and the private mount namespace around the runtime.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::sys::stat::{Mode, fstat};
use nix::sys::statfs::{PROC_SUPER_MAGIC, SYSFS_MAGIC, fstatfs};
use procemu::{
    Both, Error, Filesystem, Ids, Options, Placement, Plan, Probing, Root, Roots, Snapshot, SysctlKey, Table,
    layers,
};
use serde::{Deserialize, Serialize};

use crate::network::{self, Fresh, Network};
use crate::refused::{refused, written_through};
use crate::rewrite::{Change, listed};
use crate::runtime::Kind;
use crate::spec::{Mount, Spec};

/// What attaching a table inside a container would do: the container's plan, in the words of the rewriter.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PlaceFacts {
    /// Keys of the table that the container's kernel lacks.
    pub missing: BTreeSet<SysctlKey>,
    /// Keys of the table that exist and would be replaced.
    pub replaced: BTreeSet<SysctlKey>,
    /// Folders of procfs that would be overmounted, relative to `/proc`: `sys/kernel`.
    pub overmounts: BTreeSet<String>,
    /// Keys that exist, are requested, and may not be opened for writing as the runtime does it.
    pub refused: BTreeSet<SysctlKey>,
    /// Whether all other keys of procfs are there also when the hook looks: the container has a new procfs with nothing mounted over it,
    /// and this was seen from the network namespace that it will have, or nothing was asked about that.
    pub others_are_there: bool,
}

impl PlaceFacts {
    /// Whether there is nothing to attach.
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.replaced.is_empty()
    }
}

/// How a container's `/proc` or `/sys` will be protected, as its configuration says: for [`Placement::Container`].
pub fn placement(spec: &Spec, filesystem: Filesystem) -> Placement {
    let mut read_only = below(filesystem, spec.linux.readonly_paths.iter());
    // A runtime may apply the options of a mount after its hooks, as crun does after `prestart`, and then not to what lies below it.
    let mounts = spec.mounts.iter().filter(|mount| is_read_only(mount));
    read_only.extend(below(filesystem, mounts.map(|mount| &mount.destination)));
    Placement::Container {
        read_only,
        masked: below(filesystem, spec.linux.masked_paths.iter()),
    }
}

fn is_read_only(mount: &Mount) -> bool {
    mount
        .options
        .iter()
        .any(|option| matches!(option.as_str(), "ro" | "rro"))
}

/// Those of `paths` that are where `filesystem` is mounted or lie below it, relative to it.
fn below<'a>(filesystem: Filesystem, paths: impl Iterator<Item = &'a PathBuf>) -> Vec<String> {
    let relative = |path: &PathBuf| {
        let clean = clean(path);
        if clean == Path::new("/") {
            return Some(String::new());
        }
        let below = clean.strip_prefix(filesystem.mountpoint()).ok()?;
        Some(below.to_str()?.to_owned())
    };
    paths.filter_map(relative).collect()
}

/// `path` as seen from the root that it begins at: `/proc//sys/`, `proc/sys` and `/proc/self/../sys` are `/proc/sys`.
fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                clean.pop();
            }
            _ => {}
        }
    }
    clean
}

/// Those of the configuration's readonlyPaths that lead below `proc` through links of `rootfs`, relative to it; all of it
/// (`""`) for one that cannot be followed, since the runtime might.
pub fn read_only_through_links(rootfs: impl AsFd, proc: &Root, spec: &Spec) -> Vec<String> {
    let shown = |fd: BorrowedFd<'_>| std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()));
    let Ok(point) = shown(proc.handle()) else {
        return vec![String::new()];
    };
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT);
    let lead = |path: &PathBuf| {
        let below = path.strip_prefix("/").unwrap_or(path);
        match openat2(rootfs.as_fd(), below, how) {
            Ok(fd) => {
                let at = shown(fd.as_fd()).ok();
                let at = at
                    .as_deref()
                    .and_then(|at| at.strip_prefix(&point).ok()?.to_str());
                match at {
                    Some(at) => Some(at.to_owned()),
                    // Below it by another name: the folders above were renamed in between.
                    None => is_on(fd.as_fd(), proc).then(String::new),
                }
            }
            // Before Linux 5.6 there is no such call; a path without links is known without it.
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ENOSYS) => None,
            Err(_) => Some(String::new()),
        }
    };
    spec.linux.readonly_paths.iter().filter_map(lead).collect()
}

/// Whether `fd` lies on the file system of `root`, or that cannot be told.
fn is_on(fd: BorrowedFd<'_>, root: &Root) -> bool {
    let device = |fd: BorrowedFd<'_>| fstat(fd).map(|found| found.st_dev);
    device(fd).is_err() || device(fd) == device(root.handle())
}

/// What the container that `spec` describes would lack of `table`.
///
/// `table` has the container's own `linux.sysctl` among its entries, so that a requested key that the kernel lacks counts
/// as missing, and the folder that it needs as overmounted. `written` are the keys that a runtime of this kind would write. What one
/// container finds out for the next is kept in `state_dir`.
///
/// # Errors
/// If the procfs cannot be looked at, or the table asks for what cannot be.
pub fn facts(
    spec: &Spec,
    table: &Table,
    written: &BTreeSet<SysctlKey>,
    kind: Kind,
    state_dir: &Path,
) -> Result<PlaceFacts, Error> {
    let (procfs, is_own) = match container_procfs(spec) {
        Ok((procfs, is_own)) => (Ok(procfs), is_own),
        Err(error) => (Err(error), false),
    };
    let roots = without_absent(Roots::of(procfs, container_sysfs(spec, table)), spec);
    // Without a /proc/sys the hook could write none either. Taken before going elsewhere, where none can be had.
    let through = match !written.is_empty() && has(spec, Filesystem::Proc) {
        true => written_through(kind),
        false => None,
    };
    let look = |table: &Table| from_here(&roots, spec, table, written, through.as_ref());
    let is_new = is_own
        && !spec.has_hooks_before_ours
        && !spec.mounts.iter().any(|mount| is_over(mount, Filesystem::Proc));
    let settled = |facts: PlaceFacts| PlaceFacts {
        others_are_there: is_new,
        ..facts
    };
    let is_about_network = table.keys().chain(written).any(network::has);
    let network = match Network::of(spec) {
        // A fresh network namespace has other keys than the first one: look from where the container will.
        Some(network) if is_about_network => network,
        _ => return look(table).map(settled),
    };
    // A procfs with something over it may lack what others have.
    let fresh = match network == Network::New && is_own && !written.iter().any(network::has) {
        true => Fresh::of(table),
        false => None,
    };
    if fresh.as_ref().is_some_and(|fresh| fresh.had_all(state_dir)) {
        let mut others = table.clone();
        others.retain(|key, _| !network::has(key));
        return look(&others).map(settled);
    }
    // One that can't be entered is not there, or not the caller's to join: the runtime will say what is wrong.
    let Some(facts) = network::from_within(&network, || look(table))? else {
        return look(table);
    };
    if let Some(fresh) = fresh
        && !facts.missing.iter().any(network::has)
    {
        fresh.note(state_dir);
    }
    Ok(settled(facts))
}

/// The same of `roots`, as seen from this process's network namespace.
fn from_here(
    roots: &Roots,
    spec: &Spec,
    table: &Table,
    written: &BTreeSet<SysctlKey>,
    through: Option<&Root>,
) -> Result<PlaceFacts, Error> {
    let needs = roots.needs(table, Probing::Open, |root| {
        Ok(placement(spec, root.filesystem()))
    })?;
    let mut facts = PlaceFacts {
        missing: needs.proc.missing,
        replaced: needs.proc.replaced,
        overmounts: needs.proc.overmounts,
        refused: BTreeSet::new(),
        others_are_there: false,
    };
    facts.missing.extend(needs.sys.missing);
    facts.replaced.extend(needs.sys.replaced);
    if let Some(procfs) = through {
        facts.refused = refused(written, procfs);
    }
    Ok(facts)
}

/// Whether the container will have a `/proc/sys`, or a `/sys`, at all. One without has no place for keys there, and starts
/// without them.
pub fn has(spec: &Spec, filesystem: Filesystem) -> bool {
    let mount = mount_at(spec, filesystem);
    mount.is_some_and(|mount| !mount.options.iter().any(|option| option == "subset=pid"))
}

/// Whether it is given one of the outside, with all that is mounted there.
pub fn is_given(spec: &Spec, filesystem: Filesystem) -> bool {
    mount_at(spec, filesystem).is_some_and(|mount| !is_new(mount))
}

/// `roots` without what the container will not have.
pub fn without_absent(mut roots: Roots, spec: &Spec) -> Roots {
    for filesystem in Filesystem::ALL
        .into_iter()
        .filter(|filesystem| !has(spec, *filesystem))
    {
        roots = roots.without(filesystem);
    }
    roots
}

fn mount_at(spec: &Spec, filesystem: Filesystem) -> Option<&Mount> {
    let mut mounts = spec.mounts.iter().rev();
    mounts.find(|mount| clean(&mount.destination) == Path::new(filesystem.mountpoint()))
}

/// Whether something is mounted below the root of `filesystem`, where keys may be.
fn is_over(mount: &Mount, filesystem: Filesystem) -> bool {
    let (at, root) = (clean(&mount.destination), Path::new(filesystem.mountpoint()));
    at != root && at.starts_with(root)
}

fn is_new(mount: &Mount) -> bool {
    matches!(mount.kind.as_str(), "proc" | "sysfs") && !is_bind(mount)
}

/// runc and crun bind what has one of the options, whatever its type is.
fn is_bind(mount: &Mount) -> bool {
    let options = mount.options.iter();
    mount.kind == "bind"
        || options
            .clone()
            .any(|option| matches!(option.as_str(), "bind" | "rbind"))
}

/// The procfs that the container will see: a fresh one, or the one that its configuration binds; and whether it shows what the
/// kernel has, and nothing else.
fn container_procfs(spec: &Spec) -> Result<(Root, bool), Error> {
    match mount_at(spec, Filesystem::Proc) {
        Some(mount) if !is_new(mount) && mount.source.is_absolute() => {
            Ok((Root::procfs(&mount.source)?, false))
        }
        // The procfs outside without what is mounted over it shows what a fresh one does, and costs less. In a user
        // namespace neither may be had; then the procfs outside as it is comes nearest.
        given => {
            let outside = Root::procfs("/proc")?;
            let own = outside.unshadowed().or_else(|_| Root::fresh_procfs());
            let is_own = own.is_ok() && given.is_none_or(is_new);
            Ok((own.unwrap_or(outside), is_own))
        }
    }
}

/// The same of sysfs. What is mounted below it, such as cgroups, will be the container's own: keys there count as lacking,
/// and the hook finds out.
fn container_sysfs(spec: &Spec, table: &Table) -> Result<Root, Error> {
    match mount_at(spec, Filesystem::Sys) {
        Some(mount) if !is_new(mount) && mount.source.is_absolute() => Root::sysfs(&mount.source),
        // Nobody will look: the kernel takes a while to let go of a clone.
        _ if !table.keys().any(|key| key.filesystem() == Filesystem::Sys) => Root::sysfs("/sys"),
        _ => {
            let outside = Root::sysfs("/sys")?;
            outside.unshadowed().or(Ok(outside))
        }
    }
}

/// The runtime's own `/proc`: what it lacks, and the private mount namespace in which it has it.
///
/// Nothing takes writes there, neither the keys nor what is passed through beside them: a runtime only reads, and a
/// container that is given this `/proc` read-only (`rbind`, `ro`: read-only, but not recursively) gets no more than without
/// us. For the same reason there is a spare procfs only if the container has a user namespace: then its own procfs depends
/// on it, and the ids of its processes protect the keys.
///
/// Keys in `/sys` are not for the runtime: it makes cgroups there.
#[derive(Debug)]
pub struct Around {
    plans: Both<Plan>,
    snapshots: Both<Snapshot>,
}

impl Around {
    /// Looks at `/proc` and plans `table`.
    ///
    /// # Errors
    /// If the procfs cannot be looked at, or the table asks for what cannot be.
    pub fn look(table: &Table) -> Result<Self, Error> {
        let outside = Roots::open();
        let mut table = table.clone();
        table.retain(|key, _| key.filesystem() == Filesystem::Proc);
        let placement = Placement::Program { writes: false };
        let plans = outside.plan(&table, Probing::Open, |_| Ok(placement.clone()))?;
        let snapshots = plans.compile(&table, Some(&outside))?;
        Ok(Self { plans, snapshots })
    }

    /// The folders that will be overmounted, relative to `/proc`.
    pub fn overmounts(&self) -> impl Iterator<Item = String> {
        self.plans.proc.overmounts().map(str::to_owned)
    }

    /// Whether the runtime of the container that `spec` describes may be moved into a namespace of its own.
    pub fn may_be_needed(&self, spec: Option<&Spec>) -> bool {
        !self.plans.is_empty() || bound(spec).next().is_some()
    }

    /// Moves this process into the namespace; does nothing where nothing lacks and nothing has to be protected. `spec` is
    /// the container's, if one is to be made.
    ///
    /// Tells what was changed by that.
    ///
    /// # Errors
    /// If the namespace or a mount cannot be made; nothing is mounted then.
    pub fn enter(&self, spec: Option<&Spec>) -> Result<Option<Change>, Error> {
        if !self.may_be_needed(spec) {
            // The mount table of a node with many containers is long: it is not read in vain.
            return Ok(None);
        }
        let layered = layered()?;
        let protects: Vec<_> = bound(spec)
            .filter(|filesystem| layered.contains(filesystem))
            .collect();
        if self.plans.is_empty() && protects.is_empty() {
            return Ok(None);
        }
        let roots = Roots::private(Ids::Kept)?;
        let spare = spec.is_some_and(needs_spare);
        for filesystem in protects {
            roots.make_layers_read_only(filesystem)?;
        }
        for filesystem in Filesystem::ALL {
            // Without a layer there is none in sysfs, where looking for it takes longer.
            let may_be = filesystem == Filesystem::Proc || layered.contains(&filesystem);
            if !spare && may_be {
                roots.drop_spare(filesystem)?;
            }
        }
        let options = Options {
            spare,
            ..Options::default()
        };
        roots.attach(&self.plans, &self.snapshots, &options)?.keep();
        let keys: Vec<_> = self.plans.emulated().map(|(key, _)| key).collect();
        Ok(Some(Change {
            what: "mount namespace: the runtime has one of its own".to_owned(),
            why: match keys.is_empty() {
                true => "the container is given what it must not write to".to_owned(),
                false => format!("runtimes read {}", listed(keys.into_iter())),
            },
        }))
    }
}

/// Whether the container mounts a procfs of its own in a user namespace, and so needs one here that nothing covers. One that is
/// given the outer `/proc` would only be shown the spare.
fn needs_spare(spec: &Spec) -> bool {
    spec.lists("user")
        && spec
            .mounts
            .iter()
            .any(|mount| mount.kind == "proc" && is_new(mount))
}

/// Of which file systems the container is given a part of the outside.
fn bound(spec: Option<&Spec>) -> impl Iterator<Item = Filesystem> + '_ {
    let all = Filesystem::ALL.into_iter();
    all.filter(move |filesystem| spec.is_some_and(|spec| binds(spec, *filesystem)))
}

/// In which file systems an `nsprep exec` around the engine left mounts that take writes.
fn layered() -> Result<Vec<Filesystem>, Error> {
    let mut layered = Vec::new();
    for root in Roots::open().iter() {
        if !layers(root)?.is_empty() {
            layered.push(root.filesystem());
        }
    }
    Ok(layered)
}

/// Whether the container is given `/proc` or `/sys` of the outside, or a part of it.
fn binds(spec: &Spec, filesystem: Filesystem) -> bool {
    let mut binds = spec.mounts.iter().filter(|mount| is_bind(mount));
    binds.any(|mount| is_part_of(&mount.source, filesystem))
}

/// Whether what a runtime will find at `source`, links followed, is the outer `/proc` or `/sys`, or lies in it, or that cannot be told.
fn is_part_of(source: &Path, filesystem: Filesystem) -> bool {
    let own = filesystem.mountpoint();
    if !source.is_absolute() || clean(source).starts_with(own) {
        return true;
    }
    let magic = match filesystem {
        Filesystem::Proc => PROC_SUPER_MAGIC,
        Filesystem::Sys => SYSFS_MAGIC,
    };
    match openat(AT_FDCWD, source, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()) {
        // One of our layers is neither.
        Ok(found) => {
            let at = std::fs::read_link(format!("/proc/self/fd/{}", found.as_raw_fd()));
            at.map_or(true, |at| at.starts_with(own))
                || fstatfs(&found).map_or(true, |found| found.filesystem_type() == magic)
        }
        // The runtime will say so.
        Err(Errno::ENOENT | Errno::ENOTDIR) => false,
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_below_proc_protect_it() {
        let below_proc = |paths: &[PathBuf]| below(Filesystem::Proc, paths.iter());
        let paths = ["/proc/sys", "/proc//bus/", "/sys/firmware", "/procx", "/proc"].map(PathBuf::from);
        assert_eq!(below_proc(&paths), ["sys", "bus", ""]);
        assert_eq!(below_proc(&[PathBuf::from("/")]), [""]);
        let odd = [
            "/proc/sys/../sys",
            "proc/sys",
            "/proc/self/../sys",
            "/../proc/./sys/",
        ]
        .map(PathBuf::from);
        assert_eq!(below_proc(&odd), ["sys"; 4]);
        assert_eq!(below_proc(&["/proc/../sys".into()]), [""; 0]);
    }

    #[test]
    fn mounts_that_are_read_only_protect() {
        let text = r#"{"mounts":[{"destination":"/sys/fs/cgroup","options":["ro","nosuid"]},
            {"destination":"/sys/kernel","options":["rw"]},{"destination":"/data","options":["ro"]},
            {"destination":"/proc","type":"proc","options":["nosuid","ro"]}],
            "linux":{"readonlyPaths":["/sys/power","/proc/sys"],"maskedPaths":["/sys/firmware"]}}"#;
        let spec = Spec::parse(text).unwrap();
        let protected = Placement::Container {
            read_only: vec!["power".into(), "fs/cgroup".into()],
            masked: vec!["firmware".into()],
        };
        assert_eq!(placement(&spec, Filesystem::Sys), protected);
        let protected = Placement::Container {
            read_only: vec!["sys".into(), String::new()],
            masked: Vec::new(),
        };
        assert_eq!(placement(&spec, Filesystem::Proc), protected);
    }
}
