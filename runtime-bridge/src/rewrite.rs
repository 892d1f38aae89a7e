//! `config.json` rewritten for a runtime and a kernel: pure, and idempotent.
//!
//! What no mount can cure is cured here. Where a container would lack nothing, the text stays as it is, byte for byte.

mod cgroups;
mod stderr;
mod sysctls;

pub use stderr::STDERR;
pub(crate) use sysctls::requested;
use sysctls::{Requested, moved_before, sysctl_of, without_sysctl_sources};

use crate::cgroups::Lacking;
use crate::config::{MissingSysctls, Policy};
use crate::document::{DocumentError, Node, Style};
use crate::hooks;
use crate::job::{Job, Log};
use crate::network;
use crate::place::PlaceFacts;
use crate::pod::Lending;
use crate::runtime::Runtime;
use crate::spec::SysctlNamespace;
use crate::sysctl::{Request, namespace};
use procemu::{Filesystem, SysctlKey, Table, Templates, When};
use std::collections::{BTreeMap, BTreeSet};

/// What the rewriter has to know besides the text.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// The runtime that will read the result.
    pub runtime: Runtime,
    /// What [`Draft::table`] would do inside the container.
    pub place: PlaceFacts,
    /// What of cgroups the configuration has to do without.
    pub cgroups: Lacking,
    /// Absolute path of the program that is the hook.
    pub hook: String,
    /// Whether the container's root can read the configuration.
    pub readable: bool,
    /// From where the keys can be had that the container has in common with its pod; their entries are in the table given to
    /// [`Draft::read`].
    pub lending: Option<Lending>,
    /// Where templates are kept that the container may be given clones of.
    pub templates: Option<Templates>,
    /// Where the runtime writes its log, for the hook to tell there why it failed.
    pub log: Option<Log>,
    /// Which events it tells there.
    pub events: Option<String>,
    /// Whether the container is started right away: a bundle may also be prepared on one machine and run on another.
    pub starts_now: bool,
    /// Whether the runtime can open its standard error by the name of [`STDERR`].
    pub stderr: bool,
}

/// One change, for people to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where, and what: `ociVersion: "1.3.0" is now "1.0.2"`.
    pub what: String,
    /// The reason.
    pub why: String,
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

/// Why a configuration cannot be rewritten.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RewriteError {
    /// A part that decides something is not what JSON or the OCI spec say.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A member has our name and not our form.
    #[error("procemu: not a job of version {version}: {what}", version = Job::VERSION)]
    Job {
        /// What it is instead.
        what: String,
    },
    /// One key, two spellings, two values: which one counts is up to the runtime.
    #[error("linux.sysctl: {first:?} and {second:?} are one key and have different values")]
    Conflict {
        /// The one spelling.
        first: String,
        /// The other.
        second: String,
    },
    /// A value that no key can have.
    #[error("linux.sysctl: {key}")]
    Value {
        /// As spelled there.
        key: String,
        /// What is wrong with it.
        source: procemu::ValueError,
    },
}

/// A configuration that has been read, and is not yet changed.
#[derive(Debug)]
pub struct Draft {
    top: Node,
    style: Style,
    oci_version: Option<String>,
    requests: Vec<Requested>,
    owned: BTreeSet<SysctlNamespace>,
    /// Without `sysctl` sources.
    table: Table,
}

impl Draft {
    /// Reads `text`. The container is to have `table`, and may set the sysctls of the namespaces in `owned`.
    ///
    /// # Errors
    /// If the text, its `linux`, `linux.sysctl` or `procemu` are not objects, or have duplicate members.
    pub fn read(text: &str, owned: BTreeSet<SysctlNamespace>, table: &Table) -> Result<Self, RewriteError> {
        let top = Node::object(text, "config.json")?;
        hooks::check(&top)?;
        let listed = sysctl_of(&top)?.1;
        let mut requests = Vec::new();
        for (spelling, raw) in listed.iter() {
            // What is no string or no key stays where it is: the runtime refuses it in its own words.
            if let Some(request) = string(raw).and_then(|value| Request::new(spelling, &value)) {
                requests.push(Requested {
                    request,
                    moved_before: false,
                });
            }
        }
        // What `linux.sysctl` asks for now has the last word.
        let earlier = moved_before(&top)?;
        let again = |old: &Request| requests.iter().any(|new: &Requested| new.request.key == old.key);
        let earlier: Vec<_> = earlier.into_iter().filter(|old| !again(old)).collect();
        requests.extend(earlier.into_iter().map(|request| Requested {
            request,
            moved_before: true,
        }));
        let table = without_sysctl_sources(table, &requests)?;
        Ok(Self {
            style: Style::of(&top),
            oci_version: top.get("ociVersion").and_then(string),
            top,
            requests,
            owned,
            table,
        })
    }

    /// The table to compare the container's procfs with: the one given, its `sysctl` sources resolved, and what the
    /// container requests and may set, should its kernel lack that and `missing` say so.
    pub fn table(&self, missing: MissingSysctls) -> Table {
        let mut table = self.table.clone();
        if missing == MissingSysctls::Fail {
            return table;
        }
        for request in self.owned_requests() {
            if !table.contains_key(&request.key) {
                table.insert(request.key.clone(), requested(&request.value));
            }
        }
        table
    }

    /// The keys that the container requests and may set.
    pub fn written(&self) -> BTreeSet<SysctlKey> {
        self.owned_requests().map(|request| request.key.clone()).collect()
    }

    fn owned_requests(&self) -> impl Iterator<Item = &Request> {
        let requests = self.requests.iter().map(|requested| &requested.request);
        requests.filter(|request| self.owns(&request.key))
    }

    /// Whether the result depends on [`Facts::runtime`]; where not, [`Runtime::UNKNOWN`] will do.
    pub fn depends_on_runtime(&self, place: &PlaceFacts) -> bool {
        !place.is_empty() || !place.refused.is_empty() || !self.oci_version.as_deref().is_none_or(is_1_0)
    }

    /// The new text, and what is new in it.
    ///
    /// # Errors
    /// If `hooks` is not what the OCI spec says, or a sysctl that has to move has two values, or an impossible one.
    pub fn finish(mut self, facts: &Facts, policy: &Policy) -> Result<(String, Vec<Change>), RewriteError> {
        let mut changes = Vec::new();
        let mut job = self.move_sysctls(&facts.place, policy, &mut changes)?;
        job.log = facts.log.clone();
        job.events = facts.events.clone();
        job.lending = lending(facts);
        job.templates = facts.templates.clone();
        job.seccomp = policy.seccomp_hook;
        if facts.place.others_are_there && facts.starts_now {
            leave_out_what_is_there(&mut job, &facts.place);
        }
        let needed = !facts.place.is_empty() || !job.sysctl.is_empty();
        self.place_hook(needed, facts, &mut changes)?;
        job.stderr = self.pass_stderr(needed, facts, &mut changes)?;
        self.place_job(needed.then_some(&job), &mut changes);
        self.lower_version(facts, &mut changes);
        self.leave_out(&facts.cgroups, &mut changes)?;
        Ok((self.top.to_string(), changes))
    }

    fn owns(&self, key: &SysctlKey) -> bool {
        namespace(key).is_some_and(|namespace| self.owned.contains(&namespace))
    }

    fn place_hook(
        &mut self,
        needed: bool,
        facts: &Facts,
        changes: &mut Vec<Change>,
    ) -> Result<(), RewriteError> {
        let stage = match facts.readable && facts.runtime.takes_create_container() {
            _ if !needed => None,
            true => Some(hooks::STAGES[0]),
            false => Some(hooks::STAGES[1]),
        };
        let edit = hooks::place(&mut self.top, stage, &facts.hook, &self.style)?;
        let name = stage.unwrap_or_default();
        let (what, why) = match edit {
            hooks::Edit::None => return Ok(()),
            hooks::Edit::Inserted => (
                format!("hooks.{name}: our hook comes first"),
                lacking(&facts.place),
            ),
            hooks::Edit::Replaced => (
                format!("hooks.{name}: our hook is up to date"),
                lacking(&facts.place),
            ),
            hooks::Edit::Removed => (
                "hooks: our hook is gone".into(),
                "the container lacks nothing".into(),
            ),
        };
        changes.push(Change { what, why });
        Ok(())
    }

    fn place_job(&mut self, job: Option<&Job>, changes: &mut Vec<Change>) {
        let old = self.top.get(Job::MEMBER).filter(|raw| *raw != "null");
        let Some(job) = job else {
            if old.is_some() {
                self.top.remove(Job::MEMBER);
                changes.push(Change {
                    what: "procemu: our job is gone".into(),
                    why: "the container lacks nothing".into(),
                });
            }
            return;
        };
        let new = serde_json::to_value(job).expect("a job has string keys only");
        if old
            .and_then(|raw| serde_json::from_str::<serde_json::Value>(raw).ok())
            .as_ref()
            == Some(&new)
        {
            return;
        }
        self.top
            .set(Job::MEMBER, self.style.render(&new, 1), &self.style, 1);
        changes.push(Change {
            what: format!(
                "procemu: a table of {} keys and {} sysctls",
                job.table.len(),
                job.sysctl.len()
            ),
            why: "the hook reads there what to do".into(),
        });
    }

    fn lower_version(&mut self, facts: &Facts, changes: &mut Vec<Change>) {
        let Some(version) = self.oci_version.as_deref() else {
            return;
        };
        if is_1_0(version) || !facts.runtime.refuses_later_spec() {
            return;
        }
        changes.push(Change {
            what: format!("ociVersion: {version:?} is now \"1.0.2\""),
            why: "crun before 1.14.3 takes no other than 1.0.x".into(),
        });
        self.top.set("ociVersion", "\"1.0.2\"".into(), &self.style, 1);
    }
}

/// Leaves out of the table what the container's kernel has: to look for each of them, and to read of them, is a good part of what a hook
/// takes. Not where only the container can tell: in `/sys` mounts come, interfaces go, and whether a key serves depends on who asks.
fn leave_out_what_is_there(job: &mut Job, place: &PlaceFacts) {
    let requested: Vec<_> = job
        .sysctl
        .keys()
        .filter_map(|spelling| spelling.parse().ok())
        .collect();
    job.table.retain(|key, entry| {
        entry.when != When::Missing
            || key.filesystem() != Filesystem::Proc
            || network::has(key)
            || place.missing.contains(key)
            || place.replaced.contains(key)
            || requested.contains(key)
    });
}

/// What the container will have to borrow; nothing where its kernel has those keys.
fn lending(facts: &Facts) -> Option<Lending> {
    let mut lending = facts.lending.clone()?;
    let place = &facts.place;
    lending
        .keys
        .retain(|key| place.missing.contains(key) || place.replaced.contains(key));
    (!lending.keys.is_empty()).then_some(lending)
}

/// What of an earlier rewriting's job matters to the next one; its table may be of another make.
#[derive(serde::Deserialize)]
struct OldJob {
    version: u32,
    #[serde(default)]
    sysctl: BTreeMap<String, String>,
    #[serde(default)]
    stderr: bool,
}

fn old_job(top: &Node) -> Result<Option<OldJob>, RewriteError> {
    let Some(raw) = top.get(Job::MEMBER).filter(|raw| *raw != "null") else {
        return Ok(None);
    };
    let old: OldJob = serde_json::from_str(raw).map_err(|error| RewriteError::Job {
        what: error.to_string(),
    })?;
    if old.version != Job::VERSION {
        return Err(RewriteError::Job {
            what: format!("it has version {}", old.version),
        });
    }
    Ok(Some(old))
}

/// `the container lacks kernel/cap_last_cap, kernel/panic and 3 more`.
fn lacking(place: &PlaceFacts) -> String {
    let list = |keys: &BTreeSet<SysctlKey>| listed(keys.iter());
    match (place.missing.is_empty(), place.replaced.is_empty()) {
        (false, true) => format!("the container lacks {}", list(&place.missing)),
        (true, false) => format!("the table replaces {}", list(&place.replaced)),
        (false, false) => format!(
            "the container lacks {}, and the table replaces {}",
            list(&place.missing),
            list(&place.replaced)
        ),
        (true, true) => "sysctls are the hook's to set".to_owned(),
    }
}

/// `kernel/cap_last_cap, kernel/panic and 3 more`.
pub(crate) fn listed<'a>(keys: impl ExactSizeIterator<Item = &'a SysctlKey>) -> String {
    const SHOWN: usize = 5;
    let more = keys.len().saturating_sub(SHOWN);
    let shown: Vec<_> = keys.take(SHOWN).map(SysctlKey::to_string).collect();
    match more {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn is_1_0(version: &str) -> bool {
    version == "1.0" || version.starts_with("1.0.")
}

fn string(raw: &str) -> Option<String> {
    serde_json::from_str(raw).ok()
}
