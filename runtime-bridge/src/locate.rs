//! Finding the real runtime behind a name, and never ourselves.

use crate::config::Config;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where programs are looked for without PATH in the environment.
pub(crate) const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Why no runtime was found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocateError {
    /// Our own program cannot be examined.
    #[error("cannot find the path of runtime-bridge itself")]
    Own(#[source] io::Error),
    /// A given path leads to no file.
    #[error("cannot find the runtime {}", path.display())]
    Missing {
        /// As given.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A given path leads to ourselves.
    #[error("the runtime {} is runtime-bridge itself, name the real one", .0.display())]
    Ourselves(PathBuf),
    /// A name leads nowhere.
    #[error("no runtime {name:?} in [runtimes] of bridge.toml nor, besides runtime-bridge itself, on PATH")]
    Unknown {
        /// As called, without `procemu-`.
        name: OsString,
    },
}

/// The path of our own program, links resolved.
///
/// # Errors
/// If `/proc/self/exe` cannot be read.
pub fn own() -> Result<PathBuf, LocateError> {
    std::env::current_exe().map(successor).map_err(LocateError::Own)
}

/// What is now at the path of a program that another was renamed over, as upgrades do, while it runs. The kernel names it with an
/// addition.
fn successor(own: PathBuf) -> PathBuf {
    let former = own.as_os_str().as_bytes().strip_suffix(b" (deleted)");
    match former.map(|path| PathBuf::from(OsStr::from_bytes(path))) {
        Some(path) if !own.exists() && path.exists() => path,
        _ => own,
    }
}

/// The runtime at `path`, which may also be a bare name on PATH.
///
/// # Errors
/// If there is none, or it is ourselves.
pub fn at(path: &Path) -> Result<PathBuf, LocateError> {
    if !path.as_os_str().as_bytes().contains(&b'/') {
        return on_path(path.as_os_str());
    }
    let missing = |source| LocateError::Missing {
        path: path.to_owned(),
        source,
    };
    let file = identity(path).map_err(missing)?;
    if file == ourselves()? {
        Err(LocateError::Ourselves(path.to_owned()))
    } else {
        Ok(path.to_owned())
    }
}

/// The runtime for the name that we were called by: `runc`, `procemu-runc`.
///
/// # Errors
/// If `bridge.toml` names a file that is none, or is ourselves; if neither it nor PATH has the name.
pub fn named(name: &OsStr, config: &Config) -> Result<PathBuf, LocateError> {
    let name = OsStr::from_bytes(
        name.as_bytes()
            .strip_prefix(b"procemu-")
            .unwrap_or(name.as_bytes()),
    );
    match name.to_str().and_then(|name| config.runtimes.get(name)) {
        Some(path) => at(path),
        None => on_path(name),
    }
}

/// The first executable of that name on PATH that is not ourselves.
fn on_path(name: &OsStr) -> Result<PathBuf, LocateError> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
    in_folders(name, std::env::split_paths(&path))?.ok_or_else(|| LocateError::Unknown {
        name: name.to_owned(),
    })
}

/// The first executable of that name in `folders` that is not ourselves.
///
/// # Errors
/// If our own program cannot be examined.
pub(crate) fn in_folders(
    name: &OsStr,
    folders: impl Iterator<Item = PathBuf>,
) -> Result<Option<PathBuf>, LocateError> {
    Ok(search(name, folders, ourselves()?))
}

fn search(name: &OsStr, folders: impl Iterator<Item = PathBuf>, ourselves: (u64, u64)) -> Option<PathBuf> {
    if name.is_empty() {
        return None;
    }
    // Relative folders would be those of the engine's working directory.
    folders
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join(name))
        .find(|file| {
            std::fs::metadata(file).is_ok_and(|meta| {
                meta.is_file() && meta.mode() & 0o111 != 0 && (meta.dev(), meta.ino()) != ourselves
            })
        })
}

fn ourselves() -> Result<(u64, u64), LocateError> {
    identity(Path::new("/proc/self/exe")).map_err(LocateError::Own)
}

/// Device and inode, which all links to a file share.
fn identity(path: &Path) -> io::Result<(u64, u64)> {
    std::fs::metadata(path).map(|meta| (meta.dev(), meta.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn program(path: &Path, mode: u32) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn path_is_searched_past_ourselves_and_what_is_no_program() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let path = || ["a", "b", "c", "d", "e"].map(at).into_iter();
        program(&at("b/bridge"), 0o755);
        let us = identity(&at("b/bridge")).unwrap();
        std::fs::create_dir_all(at("a/runc")).unwrap();
        symlink(at("b/bridge"), at("b/runc")).unwrap();
        program(&at("c/runc"), 0o644);
        assert_eq!(search(OsStr::new("runc"), path(), us), None);
        program(&at("d/runc"), 0o755);
        program(&at("e/runc"), 0o755);
        assert_eq!(search(OsStr::new("runc"), path(), us), Some(at("d/runc")));
        assert_eq!(search(OsStr::new(""), path(), us), None);
        assert_eq!(
            search(OsStr::new("runc"), ["", "."].map(PathBuf::from).into_iter(), us),
            None
        );
    }

    #[test]
    fn a_program_that_was_replaced_is_found_where_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let replaced = at("bridge (deleted)");
        assert_eq!(successor(replaced.clone()), replaced);
        program(&at("bridge"), 0o755);
        assert_eq!(successor(replaced.clone()), at("bridge"));
        assert_eq!(successor(at("bridge")), at("bridge"));
        program(&replaced, 0o755);
        assert_eq!(successor(replaced.clone()), replaced);
    }

    #[test]
    fn names_lose_their_prefix_and_the_file_comes_before_path() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join("real");
        program(&real, 0o755);
        let mut config = Config::default();
        config.runtimes.insert("runc".into(), real.clone());
        for name in ["runc", "procemu-runc"] {
            assert_eq!(named(OsStr::new(name), &config).unwrap(), real);
        }
        config.runtimes.insert("runc".into(), own().unwrap());
        let message = named(OsStr::new("runc"), &config).unwrap_err().to_string();
        assert!(
            message.ends_with("is runtime-bridge itself, name the real one"),
            "{message}"
        );
        assert_eq!(
            named(OsStr::new("procemu-nosuchruntime"), &config)
                .unwrap_err()
                .to_string(),
            "no runtime \"nosuchruntime\" in [runtimes] of bridge.toml nor, besides runtime-bridge itself, on PATH"
        );
    }
}
