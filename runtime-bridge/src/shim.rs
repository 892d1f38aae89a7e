//! containerd's own runc shim, under a runtime name of ours (`io.containerd.procemu.v2`).
//!
//! A shim whose options name no runtime looks for `runc` on PATH. There it finds us first, and we find the next one.

use crate::config::{Config, ConfigError};
use crate::locate::{self, LocateError};
use nix::unistd::getppid;
use std::ffi::{OsStr, OsString};
use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

/// By which name containerd calls us, for the runtime `io.containerd.procemu.v2`.
pub const NAME: &str = "containerd-shim-procemu-v2";

/// What we become.
const REAL: &str = "containerd-shim-runc-v2";

/// Why that is not possible.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShimError {
    /// There is no shim of containerd's.
    #[error("no {REAL} on PATH, beside containerd or beside {NAME}")]
    Missing,
    /// `bridge.toml` is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Our own program cannot be found.
    #[error(transparent)]
    Locate(#[from] LocateError),
    /// A call failed.
    #[error("cannot {step} {}", path.display())]
    Io {
        /// What was to be done.
        step: &'static str,
        /// With what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Becomes containerd's shim; returns only why not.
pub fn run(args: &[OsString]) -> ShimError {
    match prepare() {
        Ok((shim, path)) => {
            let source = Command::new(&shim).args(args).env("PATH", path).exec();
            ShimError::Io {
                step: "execute",
                path: shim,
                source,
            }
        }
        Err(error) => error,
    }
}

/// The shim, and the PATH for it.
fn prepare() -> Result<(PathBuf, OsString), ShimError> {
    let own = locate::own()?;
    let path = env::var_os("PATH").unwrap_or_else(|| locate::DEFAULT_PATH.into());
    let containerd = fs::read_link(format!("/proc/{}/exe", getppid())).ok();
    let beside = [containerd.as_deref(), Some(own.as_path())];
    let folders = env::split_paths(&path).chain(
        beside
            .into_iter()
            .flatten()
            .filter_map(Path::parent)
            .map(Path::to_owned),
    );
    let shim = locate::in_folders(OsStr::new(REAL), folders)?.ok_or(ShimError::Missing)?;
    let folder = Config::load(None)?.state_dir.join("bin");
    stand_in(&folder, &own)?;
    let mut longer = OsString::from(&folder);
    longer.push(":");
    longer.push(path);
    Ok((shim, longer))
}

/// Makes `folder` have a `runc` that leads to `own`.
fn stand_in(folder: &Path, own: &Path) -> Result<(), ShimError> {
    let link = folder.join("runc");
    if fs::read_link(&link).is_ok_and(|target| target == own) {
        return Ok(());
    }
    let failed = |step, path: &Path| {
        let path = path.to_owned();
        move |source| ShimError::Io { step, path, source }
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(failed("make", folder))?;
    // Many start at once, and each finds a link that leads to one of us.
    let new = folder.join(format!(".runc.{}", std::process::id()));
    let _ = fs::remove_file(&new);
    symlink(own, &new).map_err(failed("make the link", &new))?;
    fs::rename(&new, &link).map_err(failed("make the link", &link))
}
