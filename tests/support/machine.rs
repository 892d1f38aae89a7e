//! Scripts on a machine of their own, made of this one: what engines write, mount and leave running ends with the script.

use std::fs;

use super::{Bed, Script, TestResult, need};

const LIB: &str = include_str!("lib.sh");
const MACHINE: &str = include_str!("machine.sh");

impl Bed {
    /// A script as [`Bed::script`] makes it, but as the first process of a machine with its own cgroups, processes, network and
    /// mounts (shared among themselves, cut off from the host), over a view of this machine's files that keeps what is written
    /// there to itself.
    ///
    /// # Errors
    /// Skips the test where that cannot be had.
    pub fn machine(&self, text: &str) -> TestResult<Script> {
        need::root()?;
        need::command("ip")?;
        let mounts = fs::read_to_string("/proc/mounts")?;
        if !mounts
            .lines()
            .any(|line| line.split(' ').nth(2) == Some("cgroup"))
        {
            return need::skip("needs cgroup v1 hierarchies, of which engines get a part of their own");
        }
        let text = format!("set -eu\n{LIB}\n{MACHINE}\nenter_machine\n{text}");
        let inside = self.file("inside.sh", text)?;
        let machine = self.file("machine.sh", MACHINE)?;
        let script = self
            .script(". \"$MACHINE\"; machine \"$INSIDE\"")?
            .env("MACHINE", machine);
        Ok(script.env("INSIDE", inside))
    }
}
