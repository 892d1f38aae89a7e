//! Putting the bridge between an engine and its runtime, and taking it out again.
//!
//! What an engine is told is one path: a link `procemu-RUNTIME` to runtime-bridge. Under that name it stands in for RUNTIME.
//! Containers that run were made by that path and are stopped by it, so it stays when the engine is told otherwise.

mod containerd;
mod docker;
mod files;
mod k3s;
mod lines;
mod lock;
mod own;
mod restart;
mod runtime;
mod saved;
mod target;

pub use files::{Edit, apply_all, files_of_ours, text_after};
#[cfg(feature = "fuzzing")]
pub(crate) use lines::{edit as edited, plain};
pub use lock::Lock;
#[cfg(feature = "fuzzing")]
pub(crate) use own::content as own_content;
pub use restart::{Restart, RestartError};
pub use runtime::RuntimeError;
pub(crate) use saved::replace;
pub use target::Target;

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::config::Config;
use files::Known;

/// Our runtime's name, for a pod's RuntimeClass or `docker run --runtime`.
pub const HANDLER: &str = "procemu";

/// What is before a runtime's name in that of the link.
const PREFIX: &str = "procemu-";

/// Stands above what is ours, where comments can.
const MADE_BY: &str = "# By `runtime-bridge install`; `runtime-bridge uninstall` takes it out again.\n";

/// What an engine is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handler {
    /// Path of the wrapper under the name of the runtime that it stands for.
    pub program: String,
    /// Whether containers get it that ask for none.
    pub default: bool,
    /// Whether the engine calls it with `--no-new-keyring`.
    pub no_new_keyring: bool,
}

/// What to install.
#[derive(Debug, Clone)]
pub struct Request {
    /// For whom.
    pub target: Target,
    /// The engine's file, in place of [`Target::file`].
    pub file: Option<PathBuf>,
    /// Whether for all containers.
    pub default: bool,
    /// Whether the engine is to give `--no-new-keyring`.
    pub no_new_keyring: bool,
    /// The runtime to stand for, in place of the engine's default one: a name, or the path that the wrapper finds by its name.
    pub runtime: Option<String>,
    /// By which the wrapper will find the runtime.
    pub config: Config,
    /// Absolute path of runtime-bridge. Links to it are made beside it.
    pub bridge: PathBuf,
}

/// Why an engine's file is not changed: a sentence whose subject is the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(String);

impl Refusal {
    fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

/// Why nothing is installed or uninstalled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// The file is not one that can be edited.
    #[error("{} {refusal}", path.display())]
    Refused {
        /// Which file.
        path: PathBuf,
        /// What is in the way, and what would be right.
        refusal: Refusal,
    },
    /// What is asked for cannot be had there.
    #[error("{target}: {what}")]
    Unsupported {
        /// Whom it was asked for.
        target: &'static str,
        /// What, and what can be done.
        what: String,
    },
    /// There is no runtime to stand for.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// A system call failed.
    #[error("cannot {step} {}", path.display())]
    Io {
        /// What was to be done.
        step: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl InstallError {
    fn io(step: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Io {
            step,
            path: path.into(),
            source,
        }
    }
}

/// All that is to be done, and not yet done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// The engine's file.
    pub edit: Edit,
    /// A link to be made to runtime-bridge.
    link: Option<(PathBuf, PathBuf)>,
}

impl Installation {
    /// The link that is still to be made.
    pub fn link(&self) -> Option<&Path> {
        self.link.as_ref().map(|(link, _)| link.as_path())
    }

    /// Does it. The engine is told last.
    ///
    /// # Errors
    /// For a call that failed; the engine's file is as it was then, and the link is not there.
    pub fn apply(&self) -> Result<(), InstallError> {
        let made = match &self.link {
            // The one of k3s' two files that came first has made it for both.
            Some((link, bridge)) if !leads_to(link, bridge)? => {
                symlink(bridge, link).map_err(|source| InstallError::io("make the link", link, source))?;
                Some(link)
            }
            _ => None,
        };
        self.edit.apply().inspect_err(|_| {
            if let Some(link) = made {
                // The first error is the one to tell.
                let _ = fs::remove_file(link);
            }
        })
    }
}

/// Finds out what has to be done to install `request`. Asking for what is there already changes nothing; asking for the same
/// otherwise (`default`) changes that.
///
/// # Errors
/// [`InstallError`]; nothing has been changed.
pub fn install(request: &Request) -> Result<Installation, InstallError> {
    let target = request.target;
    let unsupported = |what: &str| InstallError::Unsupported {
        target: target.name(),
        what: what.to_owned(),
    };
    if request.no_new_keyring && !matches!(target, Target::Containerd | Target::K3sV2 | Target::K3sV3) {
        return Err(unsupported(
            "has no setting for --no-new-keyring; set no_new_keyring = \"always\" under [policy] of bridge.toml",
        ));
    }
    match target {
        Target::K3sV2 | Target::K3sV3 if request.default => {
            return Err(unsupported(
                "sets its default runtime itself; start it with --default-runtime procemu",
            ));
        }
        _ if target.hook_alone() && request.runtime.is_some() => {
            return Err(unsupported(
                "is told of the hook alone, which stands for no runtime; leave --runtime out",
            ));
        }
        Target::Cdi if request.default => {
            return Err(unsupported(
                "has no default; a container asks for the device procemu.io/keys=all",
            ));
        }
        _ => {}
    }
    let known = Known::read(request.file.as_deref().unwrap_or(target.file()))?;
    let refused = |refusal| InstallError::Refused {
        path: known.path().to_owned(),
        refusal,
    };
    // A file that says nothing is as good as none.
    let now = known.plain().filter(|now| !containerd::is_blank(now));
    let now = now.as_deref();
    let fresh = match target {
        Target::Containerd => now.map_or_else(containerd::new, |now| Ok(containerd::beginning(now)))?,
        _ => "",
    };
    if target == Target::Containerd {
        refuse_imports(known.path(), now.unwrap_or_default())?;
    }
    let link = match target.hook_alone() {
        true => None,
        false => {
            let runtime = match (&request.runtime, target) {
                (Some(given), _) => runtime::name(given, &request.config)?,
                (None, Target::Containerd) => {
                    let own = containerd::runtime(now.unwrap_or(fresh)).map_err(refused)?;
                    runtime::name(&own, &request.config)?
                }
                (None, Target::Docker) => {
                    let own = docker::runtime(now.unwrap_or_default(), known.before().as_deref());
                    runtime::name(&own.map_err(refused)?, &request.config)?
                }
                (None, Target::K3sV2 | Target::K3sV3) => runtime::of_k3s(&request.config)?,
                (None, _) => runtime::preferred(&request.config)?,
            };
            Some(request.bridge.with_file_name(format!("{PREFIX}{runtime}")))
        }
    };
    let path_text = |path: &Path| {
        path.to_str()
            .map(str::to_owned)
            .ok_or_else(|| unsupported(&format!("{} is not UTF-8", path.display())))
    };
    let handler = Handler {
        program: path_text(link.as_deref().unwrap_or(&request.bridge))?,
        default: request.default,
        no_new_keyring: request.no_new_keyring,
    };
    let edit = match own::content(target, &handler, &path_text(&request.bridge)?) {
        Some(content) => {
            refuse_foreign(target, &known)?;
            known.replace(Some(content))
        }
        None => known.install(
            |text, before| removed(target, text, before),
            |text| added(target, text, fresh, &handler),
        )?,
    };
    let link = match link {
        Some(link) if !leads_to(&link, &request.bridge)? => Some((link, request.bridge.clone())),
        _ => None,
    };
    Ok(Installation { edit, link })
}

/// Finds out what has to be done to take ours out of `target`'s file.
///
/// # Errors
/// [`InstallError`]; nothing has been changed.
pub fn uninstall(target: Target, file: Option<&Path>) -> Result<Edit, InstallError> {
    let known = Known::read(file.unwrap_or(target.file()))?;
    if target.is_ours_alone() {
        refuse_foreign(target, &known)?;
        return Ok(known.replace(None));
    }
    known.uninstall(|text, before| removed(target, text, before))
}

/// `text` of a file that `target` shares with others, with our handler. `fresh` is what one that says nothing is to begin with.
pub(crate) fn added(target: Target, text: &str, fresh: &str, handler: &Handler) -> Result<String, Refusal> {
    match target {
        Target::Docker => docker::add(text, handler),
        Target::K3sV2 | Target::K3sV3 => Ok(k3s::add(text, target.plugin(), handler)),
        _ if containerd::is_blank(text) => containerd::add(&containerd::begun(text, fresh), handler),
        _ => containerd::add(text, handler),
    }
}

/// The same without our handler; `before` is what it was before us, where that is known.
pub(crate) fn removed(target: Target, text: &str, before: Option<&str>) -> Result<String, Refusal> {
    match target {
        Target::Docker => docker::remove(text, before),
        Target::K3sV2 | Target::K3sV3 => Ok(k3s::remove(text)),
        _ => containerd::remove(text),
    }
}

/// Our handler in `text` of `target`'s file.
pub(crate) fn found(target: Target, text: &str) -> Result<Option<Handler>, Refusal> {
    match target {
        Target::Containerd => containerd::installed(text),
        Target::Docker => docker::installed(text),
        Target::K3sV2 | Target::K3sV3 => Ok(k3s::installed(text)),
        _ => Ok(own::installed(target, text)),
    }
}

/// What is installed for `target`: our handler in its file, `None` where it is not there.
///
/// # Errors
/// For a file that cannot be read or understood.
pub fn status(target: Target, file: Option<&Path>) -> Result<Option<Handler>, InstallError> {
    let known = Known::read(file.unwrap_or(target.file()))?;
    let Some(text) = known.plain() else {
        return Ok(None);
    };
    found(target, &text).map_err(|refusal| InstallError::Refused {
        path: known.path().to_owned(),
        refusal,
    })
}

/// Whether `program` is the wrapper, by the name that [`install`] gives it.
fn is_ours(program: &str) -> bool {
    let name = Path::new(program).file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.starts_with(PREFIX))
}

/// Whether `link` is there already.
fn leads_to(link: &Path, bridge: &Path) -> Result<bool, InstallError> {
    match fs::symlink_metadata(link) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(InstallError::io("look at", link, source)),
        Ok(_) if fs::canonicalize(link).ok() == fs::canonicalize(bridge).ok() => Ok(true),
        Ok(_) => Err(InstallError::Refused {
            path: link.to_owned(),
            refusal: Refusal::new(format!(
                "exists and does not lead to {}; move it away",
                bridge.display()
            )),
        }),
    }
}

/// A file by our name that we did not write is left alone.
fn refuse_foreign(target: Target, known: &Known) -> Result<(), InstallError> {
    match known.now() {
        Some(text) if own::installed(target, text).is_none() => Err(InstallError::Refused {
            path: known.path().to_owned(),
            refusal: Refusal::new(
                "is not by runtime-bridge; move it away, or name another file with --config",
            ),
        }),
        _ => Ok(()),
    }
}

/// An import has the last word on what it sets.
fn refuse_imports(path: &Path, text: &str) -> Result<(), InstallError> {
    let refused = |refusal| InstallError::Refused {
        path: path.to_owned(),
        refusal,
    };
    let folder = path.parent().unwrap_or(Path::new("/"));
    for pattern in containerd::imports(text).map_err(refused)? {
        let pattern = folder.join(pattern);
        for file in glob::glob(&pattern.to_string_lossy())
            .into_iter()
            .flatten()
            .flatten()
        {
            let imported = crate::text::read(&file).unwrap_or_default();
            if file != path && containerd::is_overridden(text, &imported).map_err(refused)? {
                return Err(refused(Refusal::new(format!(
                    "imports {}, which has the last word on the runtimes; name that one with --config",
                    file.display()
                ))));
            }
        }
    }
    Ok(())
}
