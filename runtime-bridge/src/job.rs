//! What the hook is to do, as `config.json` carries it.

use crate::config::OnFailure;
use procemu::Table;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
    /// The hook writes each to procfs before it mounts anything, but for those that its plan provides: they are in
    /// [`Job::table`] and have no file of the kernel's that could take them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctl: BTreeMap<String, String>,
}

impl Job {
    /// The only version there is.
    pub const VERSION: u32 = 1;

    /// The member's name.
    pub const MEMBER: &str = "procemu";
}
