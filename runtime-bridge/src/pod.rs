//! A pod's sandbox: the container whose network and IPC namespaces the pod's other containers join, and whose emulated keys of
//! these namespaces they show too.
//!
//! CRI engines write a pod's sysctls into the sandbox's configuration only. What the kernel has follows the namespace from
//! there; what we emulate is a file in the sandbox's mount namespace, and has to be fetched.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use procemu::{Lender, Plan, Root, Shared, SysctlKey, Table};
use serde::{Deserialize, Serialize};

use crate::bundle;
use crate::job::Job;
use crate::rewrite::{RewriteError, requested};
use crate::spec::{Spec, SysctlNamespace};
use crate::sysctl::{Request, shared_by};

/// Annotations of containerd and of CRI-O: the sandbox's id, and what the container is.
const ANNOTATIONS: [(&str, &str); 2] = [
    ("io.kubernetes.cri.sandbox-id", "io.kubernetes.cri.container-type"),
    (
        "io.kubernetes.cri-o.SandboxID",
        "io.kubernetes.cri-o.ContainerType",
    ),
];

/// Whose keys a container shows: part of a [`Job`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lending {
    /// The sandbox's init process, as the host numbers it.
    pub pid: u32,
    /// The inode number of its mount namespace, by which a later process of that number is told from it.
    pub namespace: u64,
    /// The keys that both emulate, if the sandbox does.
    pub keys: BTreeSet<SysctlKey>,
}

/// What a container of a pod has in common with the pod's sandbox.
#[derive(Debug, Clone, PartialEq)]
pub struct Pod {
    /// Where the keys are.
    pub lending: Lending,
    /// What the sandbox's job says about them.
    pub table: Table,
}

/// Why a pod's sandbox cannot be made use of.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PodError {
    /// The runtime cannot be asked.
    #[error("cannot execute {} state", path.display())]
    Exec {
        /// Which runtime.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The runtime does not know, or what it says is not the state that the OCI spec describes.
    #[error("sandbox {id} of the pod: no state: {what}")]
    State {
        /// The sandbox.
        id: String,
        /// What came instead.
        what: String,
    },
    /// Its process has ended, and its namespaces with it.
    #[error("sandbox {id} of the pod is {status}, it has to be running for a container to join it")]
    NotRunning {
        /// The sandbox.
        id: String,
        /// As the runtime calls it.
        status: String,
    },
    /// Its process cannot be looked at.
    #[error("sandbox {id} of the pod")]
    Process {
        /// The sandbox.
        id: String,
        /// What failed.
        source: procemu::Error,
    },
    /// Its configuration cannot be read.
    #[error("sandbox {id} of the pod")]
    Bundle {
        /// The sandbox.
        id: String,
        /// What failed.
        source: Box<bundle::BundleError>,
    },
    /// Its configuration has no job that we know.
    #[error("sandbox {id} of the pod")]
    Job {
        /// The sandbox.
        id: String,
        /// What is wrong.
        source: RewriteError,
    },
}

/// The runtime that made the sandbox, and its global flags: where its state is.
#[derive(Debug, Clone)]
pub struct Asking<'a> {
    /// The runtime.
    pub runtime: &'a Path,
    /// Flags such as `--root`.
    pub flags: &'a [OsString],
}

/// What the runtime tells of a container (OCI runtime spec, "State").
#[derive(Debug, Deserialize)]
struct State {
    #[serde(default)]
    pid: u32,
    #[serde(default)]
    status: String,
    bundle: PathBuf,
}

impl Asking<'_> {
    /// What the container that `spec` describes has in common with its sandbox. Nothing for what is no container of a pod, for
    /// a pod without a sandbox container, and where the sandbox has nothing of ours.
    ///
    /// # Errors
    /// [`PodError`] if that cannot be told.
    pub fn pod(&self, spec: &Spec) -> Result<Option<Pod>, PodError> {
        let Some(id) = sandbox(&spec.annotations) else {
            return Ok(None);
        };
        let process = |source| PodError::Process {
            id: id.to_owned(),
            source,
        };
        let proc = Root::procfs("/proc").map_err(process)?;
        // To ask the runtime costs a process. A sandbox in which nothing is attached has nothing to share.
        let joined = spec
            .linux
            .namespaces
            .iter()
            .find_map(|joined| owner(&joined.path));
        let joined = joined.and_then(|pid| Lender::open(&proc, pid).ok());
        let lends = joined
            .as_ref()
            .map(Lender::has_layers)
            .transpose()
            .map_err(process)?;
        if lends == Some(false) {
            return Ok(None);
        }
        let state = match self.state(id) {
            Ok(state) => state,
            // CRI-O ends sandboxes that have nothing to do, and pins their namespaces.
            Err(PodError::State { .. }) if lends.is_none() => return Ok(None),
            Err(error) => return Err(error),
        };
        if state.pid == 0 || state.status == "stopped" {
            return Err(PodError::NotRunning {
                id: id.to_owned(),
                status: state.status,
            });
        }
        let lender = Lender::open(&proc, state.pid).map_err(process)?;
        if !lender.has_layers().map_err(process)? {
            return Ok(None);
        }
        let config = bundle::read(&state.bundle).map_err(|source| PodError::Bundle {
            id: id.to_owned(),
            source: Box::new(source),
        })?;
        let job = Job::of(&config).map_err(|source| PodError::Job {
            id: id.to_owned(),
            source,
        })?;
        let table = job.map(|job| shared(&job, &common(spec, state.pid)));
        Ok(match table {
            Some(table) if !table.is_empty() => Some(Pod {
                lending: Lending {
                    pid: state.pid,
                    namespace: lender.namespace().map_err(process)?,
                    keys: table.keys().cloned().collect(),
                },
                table,
            }),
            _ => None,
        })
    }

    fn state(&self, id: &str) -> Result<State, PodError> {
        let output = Command::new(self.runtime)
            .args(self.flags)
            .args(["state", id])
            .stdin(Stdio::null())
            .output()
            .map_err(|source| PodError::Exec {
                path: self.runtime.to_owned(),
                source,
            })?;
        let wrong = |what: String| PodError::State {
            id: id.to_owned(),
            what,
        };
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(wrong(
                said.lines().last().unwrap_or("it gives no reason").to_owned(),
            ));
        }
        serde_json::from_slice(&output.stdout).map_err(|error| wrong(error.to_string()))
    }
}

impl Lending {
    /// Borrows what `plan` needs.
    ///
    /// # Errors
    /// If the sandbox's process is not there any more, or cannot be borrowed from.
    pub fn borrow(&self, plan: &Plan, host: &Root) -> Result<Shared, procemu::Error> {
        let keys = || {
            plan.emulated()
                .map(|(key, _)| key)
                .filter(|key| self.keys.contains(key))
        };
        if keys().next().is_none() {
            return Ok(Shared::default());
        }
        let step = |error: procemu::Error| error.during("the pod's sandbox");
        let lender = Lender::open(host, self.pid).map_err(step)?;
        let namespace = lender.namespace().map_err(step)?;
        if namespace != self.namespace {
            let what = format!(
                "pid {} is not its process any more: mount namespace {namespace}, not {}",
                self.pid, self.namespace
            );
            return Err(step(procemu::Error::input(what)));
        }
        lender.lend(keys()).map_err(step)
    }
}

/// The id of the sandbox that a container with these annotations is in, if it is not the sandbox itself.
fn sandbox(annotations: &BTreeMap<String, String>) -> Option<&str> {
    ANNOTATIONS.iter().find_map(|(id, kind)| {
        let is_container = annotations.get(*kind).is_some_and(|kind| kind == "container");
        let id = annotations.get(*id).filter(|_| is_container)?;
        // What runtimes take for an id, and never for a flag.
        let fine = |c: char| c.is_ascii_alphanumeric() || "_+-.".contains(c);
        (id.starts_with(|c: char| c.is_ascii_alphanumeric()) && id.chars().all(fine)).then_some(&**id)
    })
}

/// The process in `/proc/PID/ns/KIND`.
fn owner(path: &Path) -> Option<u32> {
    let (pid, rest) = path.to_str()?.strip_prefix("/proc/")?.split_once('/')?;
    rest.starts_with("ns/").then(|| pid.parse().ok())?
}

/// The namespaces in which the container that `spec` describes will be together with process `pid`. Keys are shared for these
/// alone, as they are in the kernel.
fn common(spec: &Spec, pid: u32) -> BTreeSet<SysctlNamespace> {
    let id = |path: &Path| std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
    let is_common = |namespace: &SysctlNamespace| {
        let listed = spec
            .linux
            .namespaces
            .iter()
            .find(|listed| listed.kind == namespace.name());
        let own = match listed {
            Some(listed) if listed.path.as_os_str().is_empty() => None,
            Some(listed) => id(&listed.path),
            None => id(Path::new(&format!("/proc/self/ns/{}", namespace.file()))),
        };
        own.is_some() && own == id(Path::new(&format!("/proc/{pid}/ns/{}", namespace.file())))
    };
    SysctlNamespace::ALL.into_iter().filter(is_common).collect()
}

/// What `job` says of the keys that belong to one of `namespaces`, also of those that it has only because they were
/// requested.
fn shared(job: &Job, namespaces: &BTreeSet<SysctlNamespace>) -> Table {
    let mut table = job.table.clone();
    let moved = job
        .sysctl
        .iter()
        .filter_map(|(spelling, value)| Request::new(spelling, value));
    for request in moved {
        if !table.contains_key(&request.key) {
            table.insert(request.key, requested(&request.value));
        }
    }
    table.retain(|key, _| shared_by(key).is_some_and(|namespace| namespaces.contains(&namespace)));
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_engines_container_has_a_sandbox() {
        let of = |pairs: &[(&str, &str)]| {
            let annotations: BTreeMap<_, _> = pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect();
            sandbox(&annotations).map(str::to_owned)
        };
        for (id, kind) in ANNOTATIONS {
            assert_eq!(of(&[(id, "abc"), (kind, "container")]).as_deref(), Some("abc"));
            assert_eq!(of(&[(id, "abc"), (kind, "sandbox")]), None);
            assert_eq!(of(&[(id, "abc")]), None);
            for odd in ["", "--root", "../x", "a b", "a/b"] {
                assert_eq!(of(&[(id, odd), (kind, "container")]), None, "{odd}");
            }
        }
        assert_eq!(
            of(&[(ANNOTATIONS[0].0, "abc"), (ANNOTATIONS[1].1, "container")]),
            None
        );
    }

    #[test]
    fn the_owner_of_a_namespace_is_in_its_path() {
        assert_eq!(owner(Path::new("/proc/17/ns/net")), Some(17));
        for path in [
            "/proc/self/ns/net",
            "/proc/17/net",
            "/var/run/netns/cni-1",
            "",
            "/proc/17",
        ] {
            assert_eq!(owner(Path::new(path)), None, "{path}");
        }
    }

    #[test]
    fn what_is_shared_is_what_the_namespaces_have() {
        let job: Job = serde_json::from_str(
            r#"{"version":1,"table":{"keys":{"net/ipv4/a":{"value":1},"kernel/sem":{"value":2},"kernel/sem_next_id":{"value":3},
                "kernel/panic":{"value":4}}},"sysctl":{"net.ipv4.b":"5","net.ipv4.a":"1"}}"#,
        )
        .unwrap();
        let keys = |namespaces: &[SysctlNamespace]| {
            let table = shared(&job, &namespaces.iter().copied().collect());
            table.keys().map(SysctlKey::to_string).collect::<Vec<_>>()
        };
        assert_eq!(keys(&[]), [""; 0]);
        assert_eq!(keys(&[SysctlNamespace::Network]), ["net/ipv4/a", "net/ipv4/b"]);
        assert_eq!(
            keys(&[SysctlNamespace::Ipc]),
            ["kernel/sem", "kernel/sem_next_id"]
        );
    }
}
