//! The administrator's file, `bridge.toml`: tables, policy, runtimes.

mod logs;
mod policy;
mod read;
mod tables;

pub use logs::Logs;
pub use policy::{Cure, MissingSysctls, NoNewKeyring, OnFailure, Policy, RefusedSysctls};
pub(crate) use tables::RUNTIMES;

use procemu::{Preset, Profile};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use toml::Spanned;

use read::read_form;

/// Where the file is looked for when no other is named; there need not be one.
pub const DEFAULT_PATH: &str = "/etc/procemu/bridge.toml";

/// The annotation by which a pod chooses among [`Config::allowed_profiles`].
pub const PROFILE_ANNOTATION: &str = "procemu.io/profile";

/// The profiles of a machine without a file: what the runtimes read, and common programs in containers.
const DEFAULT_PROFILES: [&str; 3] = ["runc", "crun", "container"];

/// Where runtimes' answers are kept when the file names no other folder.
const DEFAULT_STATE_DIR: &str = "/run/procemu";

/// What is no folder, as [`Config::state_dir`]: nothing is remembered, for who is to leave nothing behind.
pub const NO_STATE_DIR: &str = "/dev/null";

/// A whole, checked `bridge.toml`.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// What the machine as a whole needs: its table lies under all others, and cures are `auto` where nothing else is said.
    pub preset: Option<Preset>,
    /// Built-in profiles, later ones winning.
    pub profiles: Vec<String>,
    /// Table files, laid over the profiles, later ones winning.
    pub tables: Vec<PathBuf>,
    /// Profiles that a pod may choose by [`PROFILE_ANNOTATION`] in place of `profiles`.
    pub allowed_profiles: Vec<String>,
    /// Policy.
    pub policy: Policy,
    /// Runtimes by the name the wrapper is called by, without `procemu-`.
    pub runtimes: BTreeMap<String, PathBuf>,
    /// Folder for what is remembered until the next boot.
    pub state_dir: PathBuf,
    /// Logs.
    pub log: Logs,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            preset: None,
            profiles: DEFAULT_PROFILES.map(str::to_owned).to_vec(),
            tables: Vec::new(),
            allowed_profiles: Vec::new(),
            policy: Policy::default(),
            runtimes: BTreeMap::new(),
            state_dir: DEFAULT_STATE_DIR.into(),
            log: Logs::default(),
        }
    }
}

/// Why there is no configuration, or no table by it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is wrong.
    #[error("{}:{line}: {message}", path.display())]
    Content {
        /// Which one.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong, and what would be right.
        message: String,
    },
    /// A table file is wrong.
    #[error(transparent)]
    Table(#[from] procemu::TableError),
    /// A profile cannot be had.
    #[error(transparent)]
    Profile(#[from] procemu::ProfileError),
    /// A pod asks for a profile that it may not choose.
    #[error(
        "annotation {PROFILE_ANNOTATION}: profile {asked:?} is not allowed, {}",
        choices(allowed)
    )]
    NotAllowed {
        /// What it asks for.
        asked: String,
        /// What it may choose.
        allowed: Vec<String>,
    },
}

fn choices(allowed: &[String]) -> String {
    match allowed {
        [] => "allowed_profiles in bridge.toml names none".to_owned(),
        some => format!("allowed_profiles in bridge.toml names {}", some.join(", ")),
    }
}

/// The file as written; spans give errors their line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct Form {
    preset: Option<Spanned<String>>,
    profiles: Option<Vec<Spanned<String>>>,
    #[serde(default)]
    tables: Vec<Spanned<PathBuf>>,
    #[serde(default)]
    allowed_profiles: Vec<Spanned<String>>,
    #[serde(default)]
    policy: Policy,
    #[serde(default)]
    runtimes: BTreeMap<String, Spanned<PathBuf>>,
    state_dir: Option<Spanned<PathBuf>>,
    #[serde(default)]
    log: logs::Form,
}

impl Config {
    /// Reads `named`, or else [`DEFAULT_PATH`], where a missing file means the defaults.
    ///
    /// # Errors
    /// [`ConfigError::Read`] also for a missing file that is named; [`ConfigError::Content`] as in [`Config::parse`].
    pub fn load(named: Option<&Path>) -> Result<Self, ConfigError> {
        let path = named.unwrap_or(Path::new(DEFAULT_PATH));
        match crate::text::read(path) {
            Ok(text) => Self::parse(&text, path),
            Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(ConfigError::Read {
                path: path.to_owned(),
                source,
            }),
        }
    }

    /// What finds a runtime: [`Config::load`], or, where the file is wrong elsewhere, its `[runtimes]` alone. For commands
    /// that prepare nothing: a container must be stoppable whatever is wrong with the preparing of the next one.
    pub fn load_runtimes(named: Option<&Path>) -> Self {
        Self::load(named).unwrap_or_else(|_| {
            let text = crate::text::read(named.unwrap_or(Path::new(DEFAULT_PATH))).unwrap_or_default();
            let form: toml::Table = toml::from_str(&text).unwrap_or_default();
            let listed = form
                .get("runtimes")
                .and_then(toml::Value::as_table)
                .cloned()
                .unwrap_or_default();
            let absolute = |(name, path): (String, toml::Value)| {
                let path = PathBuf::from(path.as_str()?);
                path.is_absolute().then_some((name, path))
            };
            Self {
                runtimes: listed.into_iter().filter_map(absolute).collect(),
                ..Self::default()
            }
        })
    }

    /// Reads a file's `text`; `path` names it in errors.
    ///
    /// # Errors
    /// [`ConfigError::Content`] for text that is no TOML, unknown keys, profiles that do not exist and paths that are
    /// not absolute: engines call runtimes from folders of their own.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let wrong = |at: usize, key: &str, message: String| ConfigError::Content {
            path: path.to_owned(),
            line: 1 + text.get(..at).unwrap_or_default().matches('\n').count(),
            message: match key {
                "" => message,
                key => format!("{key}: {message}"),
            },
        };
        let form = read_form(text).map_err(|fault| wrong(fault.at, &fault.key, fault.message))?;
        let profile = |key: &'static str| {
            move |name: Spanned<String>| match Profile::find(name.get_ref()) {
                Ok(_) => Ok(name.into_inner()),
                Err(error) => Err(wrong(name.span().start, key, error.to_string())),
            }
        };
        let absolute = |key: &str, given: Spanned<PathBuf>| match given.get_ref() {
            path if path.is_absolute() => Ok(given.into_inner()),
            path => {
                let message = format!("{path:?} is not an absolute path; write one that begins with /");
                Err(wrong(given.span().start, key, message))
            }
        };
        let default = Self::default();
        let preset = |name: Spanned<String>| {
            Preset::find(name.get_ref())
                .map_err(|error| wrong(name.span().start, "preset", error.to_string()))
        };
        let tables = form.tables.into_iter();
        let allowed = form.allowed_profiles.into_iter();
        Ok(Self {
            preset: form.preset.map(preset).transpose()?,
            profiles: match form.profiles {
                Some(names) => names
                    .into_iter()
                    .map(profile("profiles"))
                    .collect::<Result<_, _>>()?,
                None => default.profiles,
            },
            tables: tables
                .map(|path| absolute("tables", path))
                .collect::<Result<_, _>>()?,
            allowed_profiles: allowed
                .map(profile("allowed_profiles"))
                .collect::<Result<_, _>>()?,
            policy: form.policy,
            runtimes: form
                .runtimes
                .into_iter()
                .map(|(name, path)| {
                    let path = absolute(&format!("runtimes.{name}"), path)?;
                    Ok((name, path))
                })
                .collect::<Result<_, ConfigError>>()?,
            state_dir: match form.state_dir {
                Some(path) => absolute("state_dir", path)?,
                None => default.state_dir,
            },
            log: form.log.checked(&wrong)?,
        })
    }

    /// Whether this cure is to be tried.
    pub fn cures(&self, chosen: Option<Cure>) -> bool {
        match chosen {
            Some(chosen) => chosen == Cure::Auto,
            None => self.preset.is_some(),
        }
    }
}
