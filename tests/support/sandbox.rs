//! gVisor: scripts inside a sandbox, over a view of this machine's files that keeps what is written there to itself.

use std::path::PathBuf;

use super::{Bed, Runtime, Script, TestResult, need};

const LIB: &str = include_str!("lib.sh");

/// Which gVisor, as `scripts/tools.sh` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gvisor {
    name: &'static str,
    options: &'static str,
}

/// As it is published.
pub const GVISOR: Gvisor = Gvisor {
    name: "runsc",
    options: "",
};
/// One whose kernel also lacks kernel/cap_last_cap, outside containers and in them.
pub const GVISOR_LACKING: Gvisor = Gvisor {
    name: "runsc-lacking",
    options: "",
};
/// One whose cgroups are those of cgroup v2.
pub const GVISOR_V2: Gvisor = Gvisor {
    name: "runsc",
    options: "--in-sandbox-cgroup=v2",
};
/// The same with a kernel that also lacks kernel/cap_last_cap.
pub const GVISOR_LACKING_V2: Gvisor = Gvisor {
    name: "runsc-lacking",
    options: "--in-sandbox-cgroup=v2",
};

impl Gvisor {
    /// The program.
    ///
    /// # Errors
    /// Skips the test where it was not built.
    pub fn path(self) -> TestResult<PathBuf> {
        need::root()?;
        need::tool(self.name)
    }
}

impl Bed {
    /// A script as [`Bed::script`] makes it, but as root of a gVisor sandbox. The sandbox and all that is in it end with it.
    ///
    /// # Errors
    /// Skips the test where gVisor was not built.
    pub fn sandbox(&self, gvisor: Gvisor, text: &str) -> TestResult<Script> {
        let runsc = gvisor.path()?;
        let inside = self.file("inside.sh", format!("set -eu\n{LIB}\n{text}"))?;
        let start = r#"exec "$RUNSC" --root "$BED/runsc" --network=none --ignore-cgroups --platform=systrap $OPTS \
            do bash "$INSIDE""#;
        Ok(self
            .script(start)?
            .env("RUNSC", runsc)
            .env("OPTS", gvisor.options)
            .env("INSIDE", inside))
    }

    /// The same with `$RUNTIME` and `rt` as [`Bed::runtime_script`] gives them, and with the cgroups that runtimes need.
    ///
    /// # Errors
    /// Skips the test where gVisor or the runtime is not there.
    pub fn runtime_sandbox(&self, gvisor: Gvisor, runtime: &Runtime, text: &str) -> TestResult<Script> {
        let path = runtime.path()?;
        let script = self.sandbox(gvisor, &format!("cgroups\n{text}"))?;
        Ok(script.env("RUNTIME", path))
    }
}
