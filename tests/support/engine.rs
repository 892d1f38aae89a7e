//! An engine of Debian's on this Linux, as if its packages were installed.

use super::{Bed, Runtime, Script, TestResult, made_up_table, need, print_made_up};

const LIB: &str = include_str!("lib.sh");
const ENGINE: &str = include_str!("engine.sh");

impl Bed {
    /// A script as [`Bed::script`] makes it, on a machine of its own: with the engine `name`, with `runtime`, and with
    /// the functions of `engine.sh`. `$TABLE` is the table of the made-up keys, `$PRINT` prints them. The engine and all that it has made end with it.
    ///
    /// # Errors
    /// Skips the test where something is not there.
    pub fn engine(&self, name: &str, runtime: Runtime, text: &str) -> TestResult<Script> {
        need::cgroup_v1()?;
        need::command("busybox")?;
        let (tree, path) = (need::debian(name)?, runtime.path()?);
        let command = runtime.name.split('-').next().unwrap_or_default();
        let inside = format!("set -eu\n{LIB}\n{ENGINE}\nmachine\n{text}");
        let inside = self.file("inside.sh", inside)?;
        let script = self.script(&format!("{ENGINE}\nown_machine \"$INSIDE\""))?;
        Ok(script
            .env("TREE", tree)
            .env("RUNTIME", path)
            .env("NAME", command)
            .env("TABLE", made_up_table(self)?)
            .env("PRINT", print_made_up())
            .env("INSIDE", inside))
    }
}
