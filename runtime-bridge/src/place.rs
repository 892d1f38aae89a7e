//! What a container's procfs lacks, and the private mount namespace around the runtime.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sched::{CloneFlags, setns, unshare};
use procemu::{
    Error, Ids, Options, Placement, Plan, Probing, Procfs, Seen, Snapshot, SysctlKey, Table, ask_child,
    drop_spare, layers, make_layers_read_only,
};
use serde::{Deserialize, Serialize};

use crate::spec::{Mount, Spec};

/// What attaching a table inside a container would do: the container's plan, in the words of the rewriter.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PlaceFacts {
    /// Keys of the table that the container's kernel lacks.
    pub missing: BTreeSet<SysctlKey>,
    /// Keys of the table that exist and would be replaced.
    pub replaced: BTreeSet<SysctlKey>,
    /// Folders that would be overmounted, relative to `/proc`: `sys/kernel`.
    pub overmounts: BTreeSet<String>,
}

impl PlaceFacts {
    /// Whether there is nothing to attach.
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.replaced.is_empty()
    }
}

/// How a container's `/proc` will be protected, as its configuration says: for [`Placement::Container`].
pub fn placement(spec: &Spec) -> Placement {
    Placement::Container {
        read_only: below_proc(&spec.linux.readonly_paths),
        masked: below_proc(&spec.linux.masked_paths),
    }
}

/// Those of `paths` that are `/proc` or lie below it, relative to it.
fn below_proc(paths: &[PathBuf]) -> Vec<String> {
    let relative = |path: &PathBuf| {
        let clean = clean(path);
        if clean == Path::new("/") {
            return Some(String::new());
        }
        Some(clean.strip_prefix("/proc").ok()?.to_str()?.to_owned())
    };
    paths.iter().filter_map(relative).collect()
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
pub fn read_only_through_links(rootfs: impl AsFd, proc: &Procfs, spec: &Spec) -> Vec<String> {
    let shown = |fd: BorrowedFd<'_>| std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()));
    let Ok(point) = shown(proc.root()) else {
        return vec![String::new()];
    };
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT);
    let lead = |path: &PathBuf| {
        let below = path.strip_prefix("/").unwrap_or(path);
        match openat2(rootfs.as_fd(), below, how) {
            Ok(fd) => {
                let at = shown(fd.as_fd()).ok()?;
                Some(at.strip_prefix(&point).ok()?.to_str()?.to_owned())
            }
            // Before Linux 5.6 there is no such call; a path without links is known without it.
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ENOSYS) => None,
            Err(_) => Some(String::new()),
        }
    };
    spec.linux.readonly_paths.iter().filter_map(lead).collect()
}

/// What the container that `spec` describes would lack of `table`.
///
/// `table` has the container's own `linux.sysctl` among its entries, so that a requested key that the kernel lacks counts
/// as missing, and the folder that it needs as overmounted.
///
/// # Errors
/// If the procfs cannot be looked at, or the table asks for what cannot be.
pub fn facts(spec: &Spec, table: &Table) -> Result<PlaceFacts, Error> {
    if !has_proc_sys(spec) {
        return Ok(PlaceFacts::default());
    }
    let look = || -> Result<PlaceFacts, Error> {
        let proc = container_procfs(spec)?;
        let seen = proc.observe(table, Probing::Open)?;
        let plan = Plan::new(table, &seen, &placement(spec))?;
        let mut facts = PlaceFacts::default();
        for (key, _) in plan.emulated() {
            let there = matches!(seen.keys.get(key), Some(Seen::Present { .. }));
            let keys = if there {
                &mut facts.replaced
            } else {
                &mut facts.missing
            };
            keys.insert(key.clone());
        }
        facts.overmounts = plan.overmounts().map(str::to_owned).collect();
        Ok(facts)
    };
    match network(spec) {
        // A fresh network namespace has other keys than the first one: look from where the container will.
        Some(network) if table.keys().any(|key| key.path().starts_with("sys/net/")) => {
            from_within(&network, look)
        }
        _ => look(),
    }
}

/// Whether the container will have a `/proc/sys` at all. One without has no place for keys, and starts without them.
pub fn has_proc_sys(spec: &Spec) -> bool {
    let mount = proc_mount(spec);
    mount.is_some_and(|mount| !mount.options.iter().any(|option| option == "subset=pid"))
}

fn proc_mount(spec: &Spec) -> Option<&Mount> {
    let mut mounts = spec.mounts.iter().rev();
    mounts.find(|mount| clean(&mount.destination) == Path::new("/proc"))
}

/// The procfs that the container will see: a fresh one, or the one that its configuration binds.
fn container_procfs(spec: &Spec) -> Result<Procfs, Error> {
    match proc_mount(spec) {
        Some(mount) if mount.kind != "proc" && mount.source.is_absolute() => Procfs::open(&mount.source),
        // The procfs outside without what is mounted over it shows what a fresh one does, and costs less. In a user
        // namespace neither may be had; then the procfs outside as it is comes nearest.
        _ => {
            let outside = Procfs::open("/proc")?;
            outside.unshadowed().or_else(|_| Procfs::fresh()).or(Ok(outside))
        }
    }
}

/// The network namespace that the container has of its own: a new one, or the one at a path.
enum Network {
    New,
    At(PathBuf),
}

fn network(spec: &Spec) -> Option<Network> {
    let listed = spec
        .linux
        .namespaces
        .iter()
        .find(|namespace| namespace.kind == "network")?;
    Some(match listed.path.as_os_str().is_empty() {
        true => Network::New,
        false => Network::At(listed.path.clone()),
    })
}

/// Answers from a child in that network namespace. Where it can't be entered, or the question fails there, the answer is
/// from here, with its words: about a namespace that can't be joined the runtime will say what is wrong.
fn from_within(network: &Network, look: impl Fn() -> Result<PlaceFacts, Error>) -> Result<PlaceFacts, Error> {
    let answer = ask_child(|| {
        let entered = match network {
            Network::New => unshare(CloneFlags::CLONE_NEWNET).is_ok(),
            Network::At(path) => {
                File::open(path).is_ok_and(|file| setns(&file, CloneFlags::CLONE_NEWNET).is_ok())
            }
        };
        let facts = if entered { look().ok() } else { None };
        facts
            .and_then(|facts| serde_json::to_vec(&facts).ok())
            .unwrap_or_default()
    });
    match answer
        .ok()
        .and_then(|bytes: Vec<u8>| serde_json::from_slice(&bytes).ok())
    {
        Some(facts) => Ok(facts),
        None => look(),
    }
}

/// The runtime's own `/proc`: what it lacks, and the private mount namespace in which it has it.
///
/// Nothing takes writes there, neither the keys nor what is passed through beside them: a runtime only reads, and a
/// container that is given this `/proc` read-only (`rbind`, `ro`: read-only, but not recursively) gets no more than without
/// us. For the same reason there is a spare procfs only if the container has a user namespace: then its own procfs depends
/// on it, and the ids of its processes protect the keys.
#[derive(Debug)]
pub struct Around {
    plan: Plan,
    snapshot: Snapshot,
    /// An `nsprep exec` around the engine left mounts that take writes.
    layered: bool,
}

impl Around {
    /// Looks at `/proc` and plans `table`.
    ///
    /// # Errors
    /// If the procfs cannot be looked at, or the table asks for what cannot be.
    pub fn look(table: &Table) -> Result<Self, Error> {
        let outside = Procfs::open("/proc")?;
        let seen = outside.observe(table, Probing::Open)?;
        let plan = Plan::new(table, &seen, &Placement::Program { writes: false })?;
        let snapshot = Snapshot::compile(&plan, table, Some(&outside))?;
        let layered = !layers(&outside)?.is_empty();
        Ok(Self {
            plan,
            snapshot,
            layered,
        })
    }

    /// The folders that will be overmounted, relative to `/proc`.
    pub fn overmounts(&self) -> impl Iterator<Item = String> {
        self.plan.overmounts().map(str::to_owned)
    }

    /// Moves this process into the namespace; does nothing where nothing lacks and nothing has to be protected. `spec` is
    /// the container's, if one is to be made.
    ///
    /// # Errors
    /// If the namespace or a mount cannot be made; nothing is mounted then.
    pub fn enter(&self, spec: Option<&Spec>) -> Result<(), Error> {
        let protects = self.layered && spec.is_some_and(binds_proc);
        if self.plan.is_empty() && !protects {
            return Ok(());
        }
        let proc = procemu::private(Ids::Kept)?;
        let spare = spec.is_some_and(|spec| spec.lists("user"));
        if protects {
            make_layers_read_only(&proc)?;
        }
        if !spare {
            drop_spare(&proc)?;
        }
        let options = Options {
            spare,
            ..Options::default()
        };
        procemu::attach(&proc, &self.plan, &self.snapshot, &options)?.keep();
        Ok(())
    }
}

/// Whether the container is given `/proc` of the outside, or a part of it.
fn binds_proc(spec: &Spec) -> bool {
    let mut binds = spec.mounts.iter().filter(|mount| mount.kind != "proc");
    binds.any(|mount| clean(&mount.source).starts_with("/proc"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_below_proc_protect_it() {
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
}
