//! Where the programs under test are.

use std::env;
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
