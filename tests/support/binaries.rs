//! Where the programs under test are, and those that `scripts/tools.sh` builds.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use super::{TestResult, fail};

/// `nsprep`.
///
/// # Errors
/// It was not built.
pub fn nsprep() -> TestResult<PathBuf> {
    binary("nsprep")
}

/// `runtime-bridge`.
///
/// # Errors
/// It was not built.
pub fn runtime_bridge() -> TestResult<PathBuf> {
    binary("runtime-bridge")
}

/// `minimal-runtime`, the example.
///
/// # Errors
/// It was not built.
pub fn minimal_runtime() -> TestResult<PathBuf> {
    binary("minimal-runtime")
}

/// `procemu-packaging`, which writes what the packages have beside the programs.
///
/// # Errors
/// It was not built.
pub fn packaging() -> TestResult<PathBuf> {
    in_folder(&beside()?, "procemu-packaging")
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

/// In the folder that `PROCEMU_PROGRAMS` names, such as that of `scripts/static.sh`, else beside this test.
fn binary(name: &str) -> TestResult<PathBuf> {
    match env::var_os("PROCEMU_PROGRAMS") {
        Some(folder) => in_folder(Path::new(&folder), name),
        None => in_folder(&beside()?, name),
    }
}

/// Where cargo has put what it built with this test: target/<profile>, of target/<profile>/deps/<this test>.
fn beside() -> TestResult<PathBuf> {
    let test = env::current_exe()?;
    Ok(test.ancestors().nth(2).unwrap_or(Path::new("/")).to_owned())
}

fn in_folder(folder: &Path, name: &str) -> TestResult<PathBuf> {
    let path = folder.join(name);
    if path.is_file() {
        Ok(path)
    } else {
        fail(format!("{} is not built: `make build` builds it", path.display()))
    }
}
