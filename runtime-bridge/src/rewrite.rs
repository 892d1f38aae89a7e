//! `config.json` rewritten for a runtime and a kernel: pure, and idempotent.
//!
//! What no mount can cure is cured here. Where a container would lack nothing, the text stays as it is, byte for byte.

use crate::config::OnFailure;
use crate::document::{DocumentError, Node, Style};
use crate::hooks;
use crate::job::{Job, Log};
use crate::place::PlaceFacts;
use crate::runtime::{Kind, Runtime};
use crate::spec::SysctlNamespace;
use crate::sysctl::{Request, namespace};
use procemu::{Entry, SysctlKey, Table, Value, ValueSource};
use std::collections::{BTreeMap, BTreeSet};

/// What the rewriter has to know besides the text.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// The runtime that will read the result.
    pub runtime: Runtime,
    /// What [`Draft::table`] would do inside the container.
    pub place: PlaceFacts,
    /// Absolute path of the program that is the hook.
    pub hook: String,
    /// Where the runtime writes its log, for the hook to tell there why it failed.
    pub log: Option<Log>,
    /// Whether the runtime can open its standard error by the name of [`STDERR`].
    pub stderr: bool,
}

/// What crun is told to give hooks as standard error; without it, theirs is /dev/null.
pub const STDERR: &str = "/proc/self/fd/2";

/// crun's annotation for that.
const STDERR_ANNOTATION: &str = "run.oci.hooks.stderr";

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

/// A request, and whether it was moved by an earlier rewriting.
#[derive(Debug)]
struct Requested {
    request: Request,
    moved_before: bool,
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
    /// container requests and may set, should its kernel lack that.
    pub fn table(&self) -> Table {
        let mut table = self.table.clone();
        for Requested { request, .. } in &self.requests {
            if self.owns(&request.key) && !table.contains_key(&request.key) {
                table.insert(request.key.clone(), requested(&request.value));
            }
        }
        table
    }

    /// Whether the result depends on [`Facts::runtime`]; where not, [`Runtime::UNKNOWN`] will do.
    pub fn depends_on_runtime(&self, place: &PlaceFacts) -> bool {
        !place.is_empty() || !self.oci_version.as_deref().is_none_or(is_1_0)
    }

    /// The new text, and what is new in it.
    ///
    /// # Errors
    /// If `hooks` is not what the OCI spec says, or a sysctl that has to move has two values, or an impossible one.
    pub fn finish(
        mut self,
        facts: &Facts,
        on_failure: OnFailure,
    ) -> Result<(String, Vec<Change>), RewriteError> {
        let mut changes = Vec::new();
        let mut job = self.move_sysctls(&facts.place, on_failure, &mut changes)?;
        job.log = facts.log.clone();
        let needed = !facts.place.is_empty() || !job.sysctl.is_empty();
        self.place_hook(needed, facts, &mut changes)?;
        job.stderr = self.pass_stderr(needed, facts, &mut changes)?;
        self.place_job(needed.then_some(&job), &mut changes);
        self.lower_version(facts, &mut changes);
        Ok((self.top.to_string(), changes))
    }

    fn owns(&self, key: &SysctlKey) -> bool {
        namespace(key).is_some_and(|namespace| self.owned.contains(&namespace))
    }

    /// Takes out of `linux.sysctl` what the runtime cannot set any more, and gives back what it can set again.
    fn move_sysctls(
        &mut self,
        place: &PlaceFacts,
        on_failure: OnFailure,
        changes: &mut Vec<Change>,
    ) -> Result<Job, RewriteError> {
        let mut job = Job {
            version: Job::VERSION,
            on_failure,
            table: self.table.clone(),
            sysctl: BTreeMap::new(),
            log: None,
            stderr: false,
        };
        let mut values: BTreeMap<&SysctlKey, &Request> = BTreeMap::new();
        let (mut linux, mut sysctl) = sysctl_of(&self.top)?;
        let mut edited = false;
        for Requested {
            request,
            moved_before,
        } in &self.requests
        {
            let Request { spelling, key, value } = request;
            let obstacle = if self.owns(key) {
                obstacle(key, place)
            } else {
                None
            };
            let Some(obstacle) = obstacle else {
                if *moved_before {
                    sysctl.set(
                        spelling,
                        serde_json::Value::from(value.as_str()).to_string(),
                        &self.style,
                        3,
                    );
                    edited = true;
                    changes.push(Change {
                        what: format!("linux.sysctl: {spelling} is back"),
                        why: "the runtime can set it itself".into(),
                    });
                }
                continue;
            };
            if let Some(other) = values.insert(key, request)
                && other.value != *value
            {
                return Err(RewriteError::Conflict {
                    first: other.spelling.clone(),
                    second: spelling.clone(),
                });
            }
            if place.missing.contains(key) || place.replaced.contains(key) {
                let mut entry = job.table.get(key).cloned().unwrap_or_else(|| requested(value));
                entry.source = literal(request, &entry)?;
                job.table.insert(key.clone(), entry);
            }
            job.sysctl.insert(spelling.clone(), value.clone());
            if !moved_before {
                sysctl.remove(spelling);
                edited = true;
                changes.push(Change {
                    what: format!("linux.sysctl: {spelling} = {value:?} is now the hook's to set"),
                    why: obstacle,
                });
            }
        }
        if edited {
            linux.set("sysctl", sysctl.to_string(), &self.style, 2);
            self.top.set("linux", linux.to_string(), &self.style, 1);
        }
        Ok(job)
    }

    fn place_hook(
        &mut self,
        needed: bool,
        facts: &Facts,
        changes: &mut Vec<Change>,
    ) -> Result<(), RewriteError> {
        let stage = match facts.runtime.takes_create_container() {
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

    /// Has crun hand on what the hook says, or takes that back; tells whether the annotation is ours now.
    fn pass_stderr(
        &mut self,
        needed: bool,
        facts: &Facts,
        changes: &mut Vec<Change>,
    ) -> Result<bool, RewriteError> {
        let wanted = needed && facts.stderr && facts.runtime.kind == Kind::Crun;
        let ours = old_job(&self.top)?.is_some_and(|old| old.stderr);
        let mut annotations = match self.top.get("annotations") {
            None => Node::empty_object(),
            // An odd one is the runtime's to refuse.
            Some(raw) => match Node::object(raw, "annotations") {
                Ok(annotations) if !annotations.is_empty() => annotations,
                _ => return Ok(false),
            },
        };
        let (what, why) = if wanted && annotations.get(STDERR_ANNOTATION).is_none() {
            let value = serde_json::Value::from(STDERR).to_string();
            annotations.set(STDERR_ANNOTATION, value, &self.style, 2);
            (
                format!("{STDERR_ANNOTATION} is now {STDERR:?}"),
                "crun drops what a hook says on standard error",
            )
        } else if !wanted && ours {
            annotations.remove(STDERR_ANNOTATION);
            (
                format!("{STDERR_ANNOTATION} is gone"),
                "there is no hook, or its standard error is not to be had",
            )
        } else {
            return Ok(ours);
        };
        if annotations.is_empty() {
            self.top.remove("annotations");
        } else {
            self.top
                .set("annotations", annotations.to_string(), &self.style, 1);
        }
        changes.push(Change {
            what: format!("annotations: {what}"),
            why: why.into(),
        });
        Ok(wanted)
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

/// `linux` and `linux.sysctl`; empty where absent.
fn sysctl_of(top: &Node) -> Result<(Node, Node), DocumentError> {
    let part = |raw: Option<&str>, at: &str| match raw {
        None | Some("null") => Ok(Node::empty_object()),
        Some(raw) => Node::object(raw, at),
    };
    let linux = part(top.get("linux"), "linux")?;
    let sysctl = part(linux.get("sysctl"), "linux.sysctl")?;
    Ok((linux, sysctl))
}

/// What an earlier rewriting moved.
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

fn moved_before(top: &Node) -> Result<Vec<Request>, RewriteError> {
    let Some(old) = old_job(top)? else {
        return Ok(Vec::new());
    };
    let request = |(spelling, value): (&String, &String)| {
        Request::new(spelling, value).ok_or_else(|| RewriteError::Job {
            what: format!("sysctl: {spelling:?} is no key"),
        })
    };
    old.sysctl.iter().map(request).collect()
}

/// `table` with values in place of its `sysctl` sources; an entry goes where neither request nor fallback gives one.
fn without_sysctl_sources(table: &Table, requests: &[Requested]) -> Result<Table, RewriteError> {
    let mut resolved = Table::new();
    resolved.set_doc(table.doc());
    for (key, entry) in table {
        let mut entry = entry.clone();
        if entry.source == ValueSource::Sysctl {
            let request = requests
                .iter()
                .find(|other| other.request.key == *key)
                .map(|other| &other.request);
            let source = match (request, entry.fallback.take()) {
                (Some(request), _) => literal(request, &entry)?,
                (None, Some(fallback)) => ValueSource::Literal(fallback),
                (None, None) => continue,
            };
            entry.source = source;
        }
        resolved.insert(key.clone(), entry);
    }
    Ok(resolved)
}

/// The value of `request`, if `entry` can show it.
fn literal(request: &Request, entry: &Entry) -> Result<ValueSource, RewriteError> {
    let value = Value::from(request.value.as_str());
    value
        .render(entry.separator)
        .map_err(|source| RewriteError::Value {
            key: request.spelling.clone(),
            source,
        })?;
    Ok(ValueSource::Literal(value))
}

fn requested(value: &str) -> Entry {
    Entry::literal(value).with_doc("requested in linux.sysctl")
}

/// Why the runtime cannot set `key` itself.
fn obstacle(key: &SysctlKey, place: &PlaceFacts) -> Option<String> {
    if place.missing.contains(key) {
        return Some("the kernel lacks it".into());
    }
    if place.replaced.contains(key) {
        return Some("it is replaced".into());
    }
    let covers = |folder: &&String| {
        key.path()
            .strip_prefix(folder.as_str())
            .is_some_and(|rest| rest.starts_with('/'))
    };
    place
        .overmounts
        .iter()
        .find(covers)
        .map(|folder| format!("it lies below /proc/{folder}, which is overmounted"))
}

/// `the container lacks kernel/cap_last_cap, kernel/panic and 3 more`.
fn lacking(place: &PlaceFacts) -> String {
    const SHOWN: usize = 5;
    let keys: Vec<_> = place
        .missing
        .iter()
        .chain(&place.replaced)
        .map(SysctlKey::to_string)
        .collect();
    match keys.len() {
        more if more > SHOWN => {
            format!(
                "the container lacks {} and {} more",
                keys[..SHOWN].join(", "),
                more - SHOWN
            )
        }
        _ => format!("the container lacks {}", keys.join(", ")),
    }
}

fn is_1_0(version: &str) -> bool {
    version == "1.0" || version.starts_with("1.0.")
}

fn string(raw: &str) -> Option<String> {
    serde_json::from_str(raw).ok()
}
