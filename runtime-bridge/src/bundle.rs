//! A bundle's `config.json` rewritten for its container.

mod file;

use file::{Bundle, FILE};

use crate::cgroups::{self, Lacking};
use crate::config::{Config, ConfigError, PROFILE_ANNOTATION, RefusedSysctls};
use crate::document::DocumentError;
use crate::job::Log;
use crate::place::{self, Around};
use crate::pod::{Asking, PodError};
use crate::reach::reaches;
use crate::rewrite::{Change, Draft, Facts, RewriteError, STDERR, listed};
use crate::runtime::{Kind, Runtime, identify};
use crate::spec::Spec;
use crate::templates;
use procemu::Table;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Why a bundle cannot be rewritten.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// A system call on the bundle failed.
    #[error("cannot {step} {}", path.display())]
    Io {
        /// What was to be done.
        step: &'static str,
        /// To which file.
        path: PathBuf,
        /// The error number.
        source: io::Error,
    },
    /// `config.json` is something else than a file.
    #[error("{} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// `config.json` is too large to be one.
    #[error("{} has more than 16 MiB", .0.display())]
    TooLarge(PathBuf),
    /// `config.json` is not text.
    #[error("{} is not UTF-8", path.display())]
    NotText {
        /// Which file.
        path: PathBuf,
        /// Where it stops being text.
        source: std::str::Utf8Error,
    },
    /// The program that is to be the hook cannot be one.
    #[error("{} cannot be a hook, its path has to be absolute, UTF-8, and that of a file", .0.display())]
    Hook(PathBuf),
    /// `bridge.toml`, a table or the pod's choice is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// What the container has in common with its pod cannot be told.
    #[error(transparent)]
    Pod(#[from] PodError),
    /// What the container lacks cannot be told.
    #[error("cannot tell what the container lacks")]
    Place(#[source] procemu::Error),
    /// The content is wrong.
    #[error("cannot rewrite {}", path.display())]
    Rewrite {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        source: RewriteError,
    },
}

/// How a bundle is rewritten.
#[derive(Debug, Clone)]
pub struct Options<'a> {
    /// Tables and policy.
    pub config: &'a Config,
    /// What the container is to have, in place of the tables that the configuration names.
    pub table: Option<&'a Table>,
    /// The configured table of a container that chooses no profile, where that is known already.
    pub compiled: Option<&'a Table>,
    /// The runtime that will read it; `None` = one that takes `createContainer` hooks and any `ociVersion`.
    pub runtime: Option<&'a Path>,
    /// Path of `runtime-bridge`, which is the hook.
    pub hook: &'a Path,
    /// Where the runtime writes its log.
    pub log: Option<Log>,
    /// Which events the hook tells there, in the words of `RUST_LOG`.
    pub events: Option<&'a str>,
    /// Whether the runtime's standard error will be this process's.
    pub stays: bool,
    /// What the runtime's own `/proc` will have, if it gets one: a sysctl below that is not the runtime's to set.
    pub around: Option<&'a Around>,
    /// Where the runtime will keep the container's state; `None` = it is given no clones of templates.
    pub container: Option<&'a Path>,
    /// Whom to ask for a pod's sandbox; `None` = the container has nothing in common with its pod.
    pub asking: Option<Asking<'a>>,
}

/// A bundle whose `config.json` has been read and compared, and is not yet changed.
#[derive(Debug)]
pub struct Rewriting {
    bundle: Bundle,
    spec: Spec,
    text: String,
    changes: Vec<Change>,
}

impl Rewriting {
    /// What is to be changed.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// The configuration, as it was read.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Replaces the file by one rename, if anything is to be changed.
    ///
    /// # Errors
    /// [`BundleError::Io`]; the file is what it was then.
    pub fn write(&self) -> Result<(), BundleError> {
        if self.changes.is_empty() {
            Ok(())
        } else {
            self.bundle.replace(&self.text)
        }
    }

    /// Puts back what was there before [`Rewriting::write`].
    ///
    /// # Errors
    /// [`BundleError::Io`]; the file is what was written then.
    pub fn undo(&self) -> Result<(), BundleError> {
        if self.changes.is_empty() {
            Ok(())
        } else {
            self.bundle.replace(&self.bundle.text)
        }
    }
}

/// Reads the `config.json` of the bundle `dir` and finds out what has to be changed in it.
///
/// # Errors
/// [`BundleError`] for what is no bundle, a container whose place cannot be looked at, or a wrong table.
pub fn rewrite(dir: &Path, options: &Options<'_>) -> Result<Rewriting, BundleError> {
    let bundle = Bundle::open(dir)?;
    let wrong = |source| BundleError::Rewrite {
        path: bundle.path.clone(),
        source,
    };
    let spec = Spec::parse(&bundle.text).map_err(|source| {
        wrong(
            DocumentError::Syntax {
                at: FILE.to_owned(),
                source,
            }
            .into(),
        )
    })?;
    let chooses = spec.annotations.contains_key(PROFILE_ANNOTATION);
    let mut table = match options.table.or(options.compiled.filter(|_| !chooses)) {
        Some(table) => table.clone(),
        None => options.config.table(&spec.annotations)?,
    };
    let pod = match &options.asking {
        Some(asking) => asking.pod(&spec)?,
        None => None,
    };
    for (key, entry) in pod.iter().flat_map(|pod| &pod.table) {
        table.insert(key.clone(), entry.clone());
    }
    let draft = Draft::read(&bundle.text, spec.owned_namespaces(), &table).map_err(wrong)?;
    let policy = &options.config.policy;
    let written = match policy.refused_sysctls {
        RefusedSysctls::Fail => Default::default(),
        RefusedSysctls::Hook | RefusedSysctls::Emulate => draft.written(),
    };
    let kind = kind(options, !written.is_empty());
    let mut place = place::facts(
        &spec,
        &draft.table(policy.missing_sysctls),
        &written,
        kind,
        &options.config.state_dir,
    )
    .map_err(BundleError::Place)?;
    tracing::debug!(
        missing = place.missing.len(),
        replaced = place.replaced.len(),
        refused = place.refused.len(),
        keys = listed(place.missing.iter()),
        "what the container lacks"
    );
    place
        .overmounts
        .extend(options.around.iter().flat_map(|around| around.overmounts()));
    let runtime = match options.runtime {
        Some(path) if draft.depends_on_runtime(&place) => identify(path, &options.config.state_dir),
        _ => Runtime::UNKNOWN,
    };
    let hook = match options.hook.to_str() {
        Some(hook) if options.hook.is_absolute() && options.hook.is_file() => hook.to_owned(),
        _ => return Err(BundleError::Hook(options.hook.to_owned())),
    };
    let templates = match (options.around, options.container) {
        (Some(around), Some(container)) if policy.templates && !place.is_empty() => {
            templates::of(&spec, around, container, &options.config.state_dir)
        }
        _ => None,
    };
    tracing::debug!(allowed = templates.is_some(), "clones of templates");
    let facts = Facts {
        runtime,
        place,
        cgroups: lacking(options.config, &spec, &draft),
        hook,
        readable: reaches(&spec, &bundle.path),
        lending: pod.map(|pod| pod.lending),
        templates,
        log: options.log.clone(),
        events: options.events.map(str::to_owned),
        starts_now: options.around.is_some(),
        // With a log of its own, crun's standard error is the engine's to use.
        stderr: options.stays && options.log.is_none() && opens(STDERR),
    };
    let (text, changes) = draft.finish(&facts, policy).map_err(wrong)?;
    Ok(Rewriting {
        bundle,
        spec,
        text,
        changes,
    })
}

/// Which runtime it is. One whose name does not tell is asked where that matters.
fn kind(options: &Options<'_>, matters: bool) -> Kind {
    let Some(path) = options.runtime else {
        return Kind::Unknown;
    };
    match Kind::of_file(path) {
        Kind::Unknown if matters => identify(path, &options.config.state_dir).kind,
        kind => kind,
    }
}

/// What of cgroups cannot be had, of that which the bundle asks for and which may be left out.
fn lacking(config: &Config, spec: &Spec, draft: &Draft) -> Lacking {
    let policy = &config.policy;
    let namespace = config.cures(policy.cgroup_namespace) && spec.lists("cgroup");
    let unified = match config.cures(policy.unified_resources) {
        true => draft.unified(),
        false => Vec::new(),
    };
    Lacking {
        namespace: namespace && cgroups::have_no_namespaces(),
        unified: match unified.is_empty() {
            true => Default::default(),
            false => cgroups::missing_files(&unified),
        },
    }
}

/// Whether `path` is a pipe or a terminal that opens for writing. A socket does not, and a regular file would be written
/// by two descriptors, each with an offset of its own, so that one's text would cover the other's.
fn opens(path: &str) -> bool {
    use std::os::unix::fs::FileTypeExt;
    let stream = |file: File| {
        file.metadata()
            .is_ok_and(|m| m.file_type().is_fifo() || m.file_type().is_char_device())
    };
    std::fs::OpenOptions::new()
        .append(true)
        .open(path)
        .is_ok_and(stream)
}

/// The text of the `config.json` of the bundle `dir`.
///
/// # Errors
/// [`BundleError`] for what is no bundle, or no text.
pub fn read(dir: &Path) -> Result<String, BundleError> {
    Ok(Bundle::open(dir)?.text)
}
