//! The baselines in C of benches/baseline, compiled for one run.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Where they are, once compiled.
pub struct Baselines(PathBuf);

/// All of them.
const PROGRAMS: [&str; 7] = [
    "nothing",
    "become",
    "bind_hook",
    "bind_loop",
    "template",
    "template_hook",
    "runtime",
];

impl Baselines {
    /// Compiles them, static, into `folder`.
    ///
    /// # Errors
    /// Why that cannot be done here.
    pub fn compile(folder: &Path) -> Result<Self, String> {
        for name in PROGRAMS {
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("benches/baseline/{name}.c"));
            let mut cc = Command::new("cc");
            cc.args(["-O2", "-static", "-o"])
                .arg(folder.join(name))
                .arg(&source);
            let output = cc.output().map_err(|e| format!("needs a C compiler, cc: {e}"))?;
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stderr);
                let first = said.lines().next().unwrap_or_default();
                return Err(format!("cc cannot compile {}: {first}", source.display()));
            }
        }
        Ok(Self(folder.to_owned()))
    }

    /// Its path.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}
