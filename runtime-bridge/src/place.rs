//! What a container's procfs lacks, and the private mount namespace around the runtime.

use crate::spec::Spec;
use procemu::{SysctlKey, Table};
use std::collections::BTreeSet;
use std::io;

/// What attaching a table inside a container would do: the container's plan, in the words of the rewriter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
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

/// What the container that `spec` describes would lack of `table`.
///
/// `table` has the container's own `linux.sysctl` among its entries, so that a requested key that the kernel lacks counts
/// as missing, and the folder that it needs as overmounted.
///
/// # Errors
/// If the procfs outside cannot be read.
pub fn facts(spec: &Spec, table: &Table) -> io::Result<PlaceFacts> {
    todo!(
        "lead: plan {} keys against the procfs that {} mounts give",
        table.len(),
        spec.mounts.len()
    )
}

/// Moves this process into a mount namespace of its own in which `/proc` has `table`; does nothing where nothing lacks.
///
/// # Errors
/// If the namespace or a mount cannot be made; nothing is mounted then.
pub fn private_namespace(table: &Table) -> io::Result<()> {
    todo!("lead: attach {} keys", table.len())
}

/// What runs as the OCI hook: reads the container's state on stdin and does the job in its bundle.
pub fn hook() -> std::process::ExitCode {
    todo!("lead: hook.rs")
}
