//! What the hook is to do, as `config.json` carries it.

use crate::config::{MissingSysctls, OnFailure, RefusedSysctls};
use crate::document::Node;
use crate::pod::Lending;
use crate::report::Report;
use crate::rewrite::RewriteError;
use procemu::{Table, Templates};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::OsStr;

/// The top-level member `procemu` of a rewritten `config.json`: the hook's whole order, so that hook and wrapper share
/// one file, renamed into place once. Runtimes skip members they do not know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// [`Job::VERSION`].
    pub version: u32,
    /// What to do when the hook cannot do all of it.
    #[serde(default, skip_serializing_if = "OnFailure::is_fail")]
    pub on_failure: OnFailure,
    /// The merged table. Its `sysctl` sources are resolved, and keys of [`Job::sysctl`] that the kernel lacks, or that
    /// are replaced, have the value requested there.
    pub table: Table,
    /// What was moved out of `linux.sysctl`, spelled as it was there.
    ///
    /// The hook writes each to the kernel's own key before it mounts anything. A key that the kernel lacks is only in
    /// [`Job::table`]; for one that is always replaced it is enough to be there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctl: BTreeMap<String, String>,
    /// What to do about one of them that the kernel lacks after all.
    #[serde(default, skip_serializing_if = "MissingSysctls::is_emulate")]
    pub missing_sysctls: MissingSysctls,
    /// What to do about one of them that the hook may not write.
    #[serde(default, skip_serializing_if = "RefusedSysctls::is_hook")]
    pub refused_sysctls: RefusedSysctls,
    /// Where the runtime writes its log, if the wrapper was told: crun does not pass on what a hook says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<Log>,
    /// Which events the hook tells there, in the words of `RUST_LOG`: the hook's environment has none, or the image's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<String>,
    /// From where keys are shown that the container has in common with its pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lending: Option<Lending>,
    /// Where templates are kept, if the container may be given clones of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub templates: Option<Templates>,
    /// Whether the hook is to be confined by a seccomp filter.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub seccomp: bool,
    /// Whether the annotation that gives crun's hooks a standard error was put there by us.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stderr: bool,
}

/// A runtime's `--log` and `--log-format`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// Absolute, or a journal's name.
    pub path: String,
    /// As the runtime is told: `json`, `text`.
    #[serde(default)]
    pub format: String,
}

impl Log {
    /// To tell something there.
    pub fn report(&self) -> Report<'_> {
        Report {
            log: Some(OsStr::new(&self.path)),
            log_format: Some(OsStr::new(&self.format)),
        }
    }
}

impl Job {
    /// The only version there is.
    pub const VERSION: u32 = 1;

    /// The member's name.
    pub const MEMBER: &str = "procemu";

    /// A job with this table and nothing else.
    pub fn new(table: Table, on_failure: OnFailure) -> Self {
        Self {
            version: Self::VERSION,
            on_failure,
            table,
            sysctl: BTreeMap::new(),
            missing_sysctls: MissingSysctls::default(),
            refused_sysctls: RefusedSysctls::default(),
            log: None,
            events: None,
            lending: None,
            templates: None,
            seccomp: false,
            stderr: false,
        }
    }

    /// The job in the text of a `config.json`, if it has one.
    ///
    /// # Errors
    /// If the text is no JSON object, or the member is not a job of this version.
    pub fn of(config: &str) -> Result<Option<Self>, RewriteError> {
        let top = Node::object(config, "config.json")?;
        let Some(text) = top.get(Self::MEMBER).filter(|raw| *raw != "null") else {
            return Ok(None);
        };
        let wrong = |what: String| RewriteError::Job { what };
        let job: Self = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
        if job.version != Self::VERSION {
            return Err(wrong(format!("it has version {}", job.version)));
        }
        Ok(Some(job))
    }
}
