//! From a pod onto its node: this program and its configuration are put there, and there it goes on.
//!
//! The pod is privileged and has `hostPID`, so that process 1 is the node's. Nothing of the node is mounted in the pod.

use crate::config::{Config, ConfigError};
use crate::install::{self, Edit, InstallError, Lock};
use crate::locate::DEFAULT_PATH;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where this program is put. Nobody else has a folder there, and it takes writes where `/usr` does not.
const PROGRAM: &str = "/opt/procemu/bin/runtime-bridge";

/// Who may not read the program of a process, may not look into that process either: a container's root, in a user namespace.
const MODE: u32 = 0o711;

/// Where its configuration is put.
const FILES: &str = "/etc/procemu";

/// The one of them that names others.
const BRIDGE: &str = "bridge.toml";

/// Why nothing is done on the node.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
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
    /// The files to be put there are wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file there is not ours.
    #[error(transparent)]
    Install(#[from] InstallError),
    /// There is no way there.
    #[error("cannot enter the node")]
    Enter(#[source] procemu::Error),
    /// It is nowhere else.
    #[error(
        "process 1 is in this mount namespace: a pod needs hostPID, and on the node itself `install` is enough"
    )]
    Here,
}

fn io(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> NodeError {
    let path = path.to_owned();
    move |source| NodeError::Io { step, path, source }
}

/// Puts this program, and the files of the folder `files`, on the node and becomes the program there, with `args`. What is there
/// already and the same stays; of the files that an earlier call put there those go that are not in `files` any more.
///
/// Returns only where that fails.
pub fn run(files: Option<&Path>, args: &[OsString]) -> NodeError {
    match put(files) {
        Ok(()) => {
            let source = Command::new(PROGRAM).args(args).env("PATH", DEFAULT_PATH).exec();
            io("execute", Path::new(PROGRAM))(source)
        }
        Err(error) => error,
    }
}

fn put(files: Option<&Path>) -> Result<(), NodeError> {
    let own = Path::new("/proc/self/exe");
    let program = fs::read(own).map_err(io("read", own))?;
    let files = files.map(contents).transpose()?;
    let node = procemu::Target::open(1).map_err(NodeError::Enter)?;
    if !node.is_elsewhere() {
        return Err(NodeError::Here);
    }
    node.join().map_err(NodeError::Enter)?;
    let _lock = Lock::take(&Config::load(None).unwrap_or_default().state_dir)?;
    let edits = files.map_or(Ok(Vec::new()), |files| edits(Path::new(FILES), &files))?;
    put_program(Path::new(PROGRAM), &program)?;
    install::apply_all(&edits)?;
    for edit in edits.iter().filter(|edit| edit.changes()) {
        println!("{} is changed", edit.path().display());
    }
    Ok(())
}

/// The changes that make `folder` have these files, in the order in which a container can start between any two of them.
///
/// # Errors
/// For a file there that is not ours, and for files with which no container would start.
pub fn edits(folder: &Path, files: &[(OsString, String)]) -> Result<Vec<Edit>, NodeError> {
    let mut edits = install::files_of_ours(folder, files)?;
    let path = folder.join(BRIDGE);
    let read = |path: &Path| install::text_after(&edits, path);
    match read(&path) {
        Ok(text) => {
            Config::parse(&text, &path)?.table_with(&BTreeMap::new(), read)?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(ConfigError::Read { path, source }.into()),
    }
    // It names the others: they come before it, and go after it.
    edits.sort_by_key(|edit| match edit.path().file_name() {
        Some(name) if name == BRIDGE => 1,
        _ if edit.removes() => 2,
        _ => 0,
    });
    Ok(edits)
}

/// The files of a folder by their names. A volume of a ConfigMap has links to them and, by names with two points, folders.
fn contents(folder: &Path) -> Result<Vec<(OsString, String)>, NodeError> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(io("read", folder))? {
        let path = entry.map_err(io("read", folder))?.path();
        let Some(name) = path.file_name().filter(|_| path.is_file()) else {
            continue;
        };
        let text = fs::read_to_string(&path).map_err(io("read", &path))?;
        files.push((name.to_owned(), text));
    }
    files.sort();
    Ok(files)
}

/// Whole or not at all; what runs from the old file goes on running from it.
fn put_program(path: &Path, content: &[u8]) -> Result<(), NodeError> {
    let has_mode = |there: fs::Metadata| there.mode() & 0o7777 == MODE;
    if fs::metadata(path).is_ok_and(has_mode) && fs::read(path).is_ok_and(|there| there == content) {
        return Ok(());
    }
    install::replace(path, content, MODE, None)?;
    println!("{} is changed", path.display());
    Ok(())
}
