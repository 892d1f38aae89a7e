//! Where the programs under test are, and those that `scripts/tools.sh` builds.

use std::env;
use std::fs;
use std::path::PathBuf;

use super::{TestResult, fail};

/// `nsprep`, as built beside this test.
///
/// # Errors
/// It was not built.
pub fn nsprep() -> TestResult<PathBuf> {
    binary("nsprep")
}

/// `runtime-bridge`, as built beside this test.
///
/// # Errors
/// It was not built.
pub fn runtime_bridge() -> TestResult<PathBuf> {
    binary("runtime-bridge")
}

/// `program` of what `scripts/tools.sh` built as `name` (with its version), by whichever version of Go.
pub fn built(name: &str, program: &str) -> Option<PathBuf> {
    let home = || env::var_os("HOME").map_or_else(|| PathBuf::from("/tmp"), PathBuf::from);
    let cache = env::var_os("XDG_CACHE_HOME").map_or_else(|| home().join(".cache"), PathBuf::from);
    let builds = fs::read_dir(cache.join("procemu").join(name)).ok()?;
    builds
        .flatten()
        .map(|build| build.path().join(program))
        .filter(|path| path.is_file())
        .max()
}

fn binary(name: &str) -> TestResult<PathBuf> {
    // target/<profile>/deps/<this test>
    let test = env::current_exe()?;
    let path = test
        .parent()
        .and_then(|deps| deps.parent())
        .map(|profile| profile.join(name))
        .unwrap_or_default();
    if path.is_file() {
        Ok(path)
    } else {
        fail(format!("{} is not built: `make build` builds it", path.display()))
    }
}
