//! An engine of Debian's on a machine of its own, as if its packages were installed there.

use super::{Bed, Runtime, Script, TestResult, made_up_table, need, print_made_up};

const ENGINE: &str = include_str!("engine.sh");

impl Bed {
    /// A script as [`Bed::machine`] makes it, on a machine that has the engine `name`, `runtime` and the functions of `engine.sh`.
    /// Its containers lack the made-up keys, which `$PRINT` prints.
    ///
    /// # Errors
    /// Skips the test where something is not there.
    pub fn engine(&self, name: &str, runtime: Runtime, text: &str) -> TestResult<Script> {
        need::command("busybox")?;
        let (tree, path) = (need::debian(name)?, runtime.path()?);
        let script = self.machine(&format!("{ENGINE}\ninstall_engine\n{text}"))?;
        Ok(script
            .env("TREE", tree)
            .env("RUNTIME", path)
            .env("NAME", runtime.command())
            .env("TABLE", made_up_table(self)?)
            .env("PRINT", print_made_up()))
    }
}
