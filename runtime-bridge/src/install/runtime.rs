//! The runtime to stand for, looked for as the wrapper will: better said here than by each container.

use super::{PREFIX, is_ours};
use crate::config::{Config, DEFAULT_PATH};
use crate::locate::{self, LocateError};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Why a runtime cannot be stood for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// It would be ourselves.
    #[error("{0:?} is no runtime to stand for; name the real one with --runtime")]
    Ours(String),
    /// It has no name that says where it is.
    #[error("the runtime {0} is neither a name nor an absolute path")]
    Relative(String),
    /// It is not found.
    #[error(transparent)]
    Locate(#[from] LocateError),
    /// It is no program.
    #[error("the runtime {} is no executable file", .0.display())]
    NoProgram(PathBuf),
    /// The wrapper, which is called by the runtime's name, would run another one.
    #[error(
        "{PREFIX}{name} would run {finds}; to have it run {given}, put this under [runtimes] of {DEFAULT_PATH}: {line}"
    )]
    Another {
        /// The runtime's name.
        name: String,
        /// What is found by that name.
        finds: String,
        /// What was asked for.
        given: String,
        /// What has it found.
        line: String,
    },
}

/// The name by which the wrapper finds `runtime`: that name, or an absolute path.
///
/// # Errors
/// [`RuntimeError`].
pub fn name(runtime: &str, config: &Config) -> Result<String, RuntimeError> {
    let path = Path::new(runtime);
    let name = path.file_name().and_then(OsStr::to_str);
    let name = name
        .filter(|name| !is_ours(name) && *name != "runtime-bridge")
        .ok_or_else(|| RuntimeError::Ours(runtime.to_owned()))?;
    let found = locate::named(OsStr::new(name), config);
    if !runtime.contains('/') {
        return program(found?).map(|_| name.to_owned());
    }
    if !path.is_absolute() {
        return Err(RuntimeError::Relative(runtime.to_owned()));
    }
    let given = program(locate::at(path)?)?;
    let real = |path: &Path| fs::canonicalize(path).ok();
    match found {
        Ok(found) if real(&found) == real(&given) => Ok(name.to_owned()),
        found => Err(RuntimeError::Another {
            name: name.to_owned(),
            finds: found.map_or("nothing".to_owned(), |found| found.display().to_string()),
            given: runtime.to_owned(),
            line: toml::Table::from_iter([(name.to_owned(), runtime.into())])
                .to_string()
                .trim_end()
                .to_owned(),
        }),
    }
}

/// podman's and CRI-O's own first choice among those that are here.
///
/// # Errors
/// If there is none.
pub fn preferred(config: &Config) -> Result<String, RuntimeError> {
    name("crun", config).or_else(|_| name("runc", config))
}

/// k3s' own. It lies in a folder that is on the PATH of its containerd only.
///
/// # Errors
/// If bridge.toml names another, which is none.
pub fn of_k3s(config: &Config) -> Result<String, RuntimeError> {
    match config.runtimes.contains_key("runc") {
        true => name("runc", config),
        false => Ok("runc".to_owned()),
    }
}

fn program(path: PathBuf) -> Result<PathBuf, RuntimeError> {
    match fs::metadata(&path) {
        Ok(meta) if meta.is_file() && meta.permissions().mode() & 0o111 != 0 => Ok(path),
        _ => Err(RuntimeError::NoProgram(path)),
    }
}
