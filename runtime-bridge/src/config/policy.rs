//! `[policy]` of `bridge.toml`: what is done where something cannot be had.

use serde::{Deserialize, Serialize};

/// Whether runtimes get `--no-new-keyring`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoNewKeyring {
    /// Where a new session keyring cannot be had.
    #[default]
    Auto,
    /// Each time.
    Always,
    /// Not unless the engine says so.
    Never,
}

/// What becomes of a container that cannot be prepared whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// It is not made.
    #[default]
    Fail,
    /// It is made as if we were not there, and the log says so.
    Warn,
}

impl OnFailure {
    /// Whether it is the default.
    pub fn is_fail(&self) -> bool {
        *self == Self::Fail
    }
}

/// Whether something that the engine asks for, and that cannot be had here, is done without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cure {
    /// It stays, and the runtime fails in its own words.
    #[default]
    Keep,
    /// It is done without where trying shows that it cannot be had.
    Auto,
}

/// What becomes of a sysctl that a container asks for and its kernel lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MissingSysctls {
    /// It is a key of ours with that value.
    #[default]
    Emulate,
    /// The container is not made.
    Fail,
}

impl MissingSysctls {
    /// Whether it is the default.
    pub fn is_emulate(&self) -> bool {
        *self == Self::Emulate
    }
}

/// What becomes of a sysctl that the kernel has and that the runtime may not open for writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RefusedSysctls {
    /// Our hook writes it. If it may not either, the container is not made.
    #[default]
    Hook,
    /// The same, but then a key of ours with that value covers it.
    Emulate,
    /// The runtime fails in its own words.
    Fail,
}

impl RefusedSysctls {
    /// Whether it is the default.
    pub fn is_hook(&self) -> bool {
        *self == Self::Hook
    }
}

/// `[policy]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct Policy {
    /// `no_new_keyring`.
    pub no_new_keyring: NoNewKeyring,
    /// `on_failure`.
    pub on_failure: OnFailure,
    /// `crun_cgroups`; without it, the preset's.
    pub crun_cgroups: Option<Cure>,
    /// `cgroup_namespace`; without it, the preset's.
    pub cgroup_namespace: Option<Cure>,
    /// `unified_resources`; without it, the preset's.
    pub unified_resources: Option<Cure>,
    /// `missing_sysctls`.
    pub missing_sysctls: MissingSysctls,
    /// `refused_sysctls`.
    pub refused_sysctls: RefusedSysctls,
    /// `templates`: whether containers that cannot make them take writes are given clones of what they have in common.
    pub templates: bool,
    /// `seccomp_hook`: whether the hook makes no system calls but those that it is known to need.
    pub seccomp_hook: bool,
}
