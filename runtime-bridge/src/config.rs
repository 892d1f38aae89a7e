//! The administrator's file, `bridge.toml`: tables, policy, runtimes.

use procemu::{Preset, Profile, Table};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use toml::Spanned;

/// Where the file is looked for when no other is named; there need not be one.
pub const DEFAULT_PATH: &str = "/etc/procemu/bridge.toml";

/// The annotation by which a pod chooses among [`Config::allowed_profiles`].
pub const PROFILE_ANNOTATION: &str = "procemu.io/profile";

/// The profiles of a machine without a file: what the runtimes read, and common programs in containers.
const DEFAULT_PROFILES: [&str; 3] = ["runc", "crun", "container"];

/// Where runtimes' answers are kept when the file names no other folder.
const DEFAULT_STATE_DIR: &str = "/run/procemu";

/// Whether runtimes get `--no-new-keyring`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoNewKeyring {
    /// Where a new session keyring cannot be had.
    #[default]
    Auto,
    /// Each time.
    Always,
    /// Not unless the engine says so.
    Never,
}

/// What becomes of a container that cannot be prepared whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// It is not made.
    #[default]
    Fail,
    /// It is made as if we were not there, and the log says so.
    Warn,
}

impl OnFailure {
    /// Whether it is the default.
    pub fn is_fail(&self) -> bool {
        *self == Self::Fail
    }
}

/// Whether something that the engine asks for, and that cannot be had here, is done without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cure {
    /// It stays, and the runtime fails in its own words.
    #[default]
    Keep,
    /// It is done without where trying shows that it cannot be had.
    Auto,
}

/// What becomes of a sysctl that a container asks for and its kernel lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MissingSysctls {
    /// It is a key of ours with that value.
    #[default]
    Emulate,
    /// The container is not made.
    Fail,
}

impl MissingSysctls {
    /// Whether it is the default.
    pub fn is_emulate(&self) -> bool {
        *self == Self::Emulate
    }
}

/// What becomes of a sysctl that the kernel has and that the runtime may not open for writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RefusedSysctls {
    /// Our hook writes it. If it may not either, the container is not made.
    #[default]
    Hook,
    /// The same, but then a key of ours with that value covers it.
    Emulate,
    /// The runtime fails in its own words.
    Fail,
}

impl RefusedSysctls {
    /// Whether it is the default.
    pub fn is_hook(&self) -> bool {
        *self == Self::Hook
    }
}

/// `[policy]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// `no_new_keyring`.
    pub no_new_keyring: NoNewKeyring,
    /// `on_failure`.
    pub on_failure: OnFailure,
    /// `crun_cgroups`; without it, the preset's.
    pub crun_cgroups: Option<Cure>,
    /// `cgroup_namespace`; without it, the preset's.
    pub cgroup_namespace: Option<Cure>,
    /// `unified_resources`; without it, the preset's.
    pub unified_resources: Option<Cure>,
    /// `missing_sysctls`.
    pub missing_sysctls: MissingSysctls,
    /// `refused_sysctls`.
    pub refused_sysctls: RefusedSysctls,
}

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
#[serde(deny_unknown_fields)]
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
        let wrong = |at: usize, message: String| {
            let before = text.get(..at).unwrap_or_default();
            let line = before.rsplit('\n').next().unwrap_or_default();
            ConfigError::Content {
                path: path.to_owned(),
                line: 1 + before.matches('\n').count(),
                // What is wrong behind a key is wrong with that key.
                message: match line.split_once('=') {
                    Some((key, _)) => format!("{}: {message}", key.trim()),
                    None => message,
                },
            }
        };
        let form: Form = toml::from_str(text).map_err(|error| {
            wrong(
                error.span().map_or(0, |span| span.start),
                one_line(error.message()),
            )
        })?;
        let profile = |name: Spanned<String>| match Profile::get(name.get_ref()) {
            Ok(_) => Ok(name.into_inner()),
            Err(error) => Err(wrong(name.span().start, error.to_string())),
        };
        let absolute = |given: Spanned<PathBuf>| match given.get_ref() {
            path if path.is_absolute() => Ok(given.into_inner()),
            path => Err(wrong(
                given.span().start,
                format!("{path:?} is not an absolute path"),
            )),
        };
        let default = Self::default();
        let preset = |name: Spanned<String>| {
            Preset::find(name.get_ref()).map_err(|error| wrong(name.span().start, error.to_string()))
        };
        Ok(Self {
            preset: form.preset.map(preset).transpose()?,
            profiles: match form.profiles {
                Some(names) => names.into_iter().map(profile).collect::<Result<_, _>>()?,
                None => default.profiles,
            },
            tables: form.tables.into_iter().map(absolute).collect::<Result<_, _>>()?,
            allowed_profiles: form
                .allowed_profiles
                .into_iter()
                .map(profile)
                .collect::<Result<_, _>>()?,
            policy: form.policy,
            runtimes: form
                .runtimes
                .into_iter()
                .map(|(name, path)| Ok((name, absolute(path)?)))
                .collect::<Result<_, ConfigError>>()?,
            state_dir: form.state_dir.map_or(Ok(default.state_dir), absolute)?,
        })
    }

    /// Whether this cure is to be tried.
    pub fn cures(&self, chosen: Option<Cure>) -> bool {
        match chosen {
            Some(chosen) => chosen == Cure::Auto,
            None => self.preset.is_some(),
        }
    }

    /// The table for a container: the preset's, then the profiles (or the one that its annotations choose), then the table files.
    ///
    /// # Errors
    /// [`ConfigError::NotAllowed`] for a choice that is not allowed; a table file that cannot be read or is wrong.
    pub fn table(&self, annotations: &BTreeMap<String, String>) -> Result<Table, ConfigError> {
        self.table_with(annotations, crate::text::read)
    }

    /// The same with the files that `read` reads.
    ///
    /// # Errors
    /// As [`Config::table`].
    pub fn table_with(
        &self,
        annotations: &BTreeMap<String, String>,
        read: impl Fn(&Path) -> io::Result<String>,
    ) -> Result<Table, ConfigError> {
        let chosen = match annotations.get(PROFILE_ANNOTATION) {
            None => self.profiles.as_slice(),
            Some(asked) if self.allowed_profiles.contains(asked) => std::slice::from_ref(asked),
            Some(asked) => {
                return Err(ConfigError::NotAllowed {
                    asked: asked.clone(),
                    allowed: self.allowed_profiles.clone(),
                });
            }
        };
        let mut table = self
            .preset
            .map(|preset| preset.container_table())
            .unwrap_or_default();
        for name in chosen {
            table.merge(Profile::get(name)?);
        }
        for path in &self.tables {
            let text = read(path).map_err(|source| ConfigError::Read {
                path: path.clone(),
                source,
            })?;
            table.merge(Table::from_str_named(&text, &path.display().to_string())?);
        }
        table.forget_removals();
        Ok(table)
    }
}

/// toml breaks some of its messages into lines.
fn one_line(message: &str) -> String {
    message
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(text, Path::new("/etc/procemu/bridge.toml"))
    }

    fn refused(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn runtimes_are_found_in_a_file_that_is_wrong_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bridge.toml");
        std::fs::write(
            &path,
            "tabels = []\n[runtimes]\nrunc = \"/opt/runc\"\nodd = 7\nnear = \"runc\"\n",
        )
        .unwrap();
        assert!(Config::load(Some(&path)).is_err());
        let config = Config::load_runtimes(Some(&path));
        assert_eq!(
            config.runtimes,
            BTreeMap::from([("runc".to_owned(), PathBuf::from("/opt/runc"))])
        );
        std::fs::write(&path, "tabels = [").unwrap();
        assert_eq!(Config::load_runtimes(Some(&path)), Config::default());
    }

    #[test]
    fn a_whole_file() {
        let config = parse(
            r#"
            profiles = ["runc"]
            tables = ["/etc/procemu/site.toml"]
            allowed_profiles = ["container", "runc"]
            state_dir = "/var/run/p"
            preset = "gvisor"
            [policy]
            no_new_keyring = "always"
            on_failure = "warn"
            cgroup_namespace = "keep"
            missing_sysctls = "fail"
            refused_sysctls = "emulate"
            [runtimes]
            runc = "/usr/sbin/runc"
            "#,
        )
        .unwrap();
        assert_eq!(config.profiles, ["runc"]);
        assert_eq!(
            config.policy,
            Policy {
                no_new_keyring: NoNewKeyring::Always,
                on_failure: OnFailure::Warn,
                cgroup_namespace: Some(Cure::Keep),
                missing_sysctls: MissingSysctls::Fail,
                refused_sysctls: RefusedSysctls::Emulate,
                ..Policy::default()
            }
        );
        assert_eq!(config.preset, Preset::find("gvisor").ok());
        assert!(!config.cures(config.policy.cgroup_namespace));
        assert!(config.cures(config.policy.crun_cgroups));
        assert_eq!(config.runtimes["runc"], Path::new("/usr/sbin/runc"));
        assert_eq!(config.state_dir, Path::new("/var/run/p"));
        assert_eq!(parse("").unwrap(), Config::default());
        assert!(!Config::default().cures(None));
    }

    #[test]
    fn unknown_keys_and_wrong_values_are_refused_with_their_line() {
        for (text, want) in [
            (
                "\nprofile = []\n",
                "/etc/procemu/bridge.toml:2: unknown field `profile`, expected one of `preset`, `profiles`, `tables`, `allowed_profiles`, `policy`, `runtimes`, `state_dir`",
            ),
            (
                "[policy]\nkeyring = 1\n",
                "/etc/procemu/bridge.toml:2: unknown field `keyring`, expected one of `no_new_keyring`, `on_failure`, `crun_cgroups`, `cgroup_namespace`, `unified_resources`, `missing_sysctls`, `refused_sysctls`",
            ),
            (
                "profiles = []\npreset = \"gvizor\"\n",
                "/etc/procemu/bridge.toml:2: preset: there is no preset \"gvizor\"; the presets are gvisor",
            ),
            (
                "[policy]\n\non_failure = \"ignore\"\n",
                "/etc/procemu/bridge.toml:3: on_failure: unknown variant `ignore`, expected `fail` or `warn`",
            ),
            (
                "[runtimes]\nrunc = \"runc\"\n",
                "/etc/procemu/bridge.toml:2: runc: \"runc\" is not an absolute path",
            ),
            (
                "profiles = 1\n",
                "/etc/procemu/bridge.toml:1: profiles: invalid type: integer `1`, expected a sequence",
            ),
        ] {
            assert_eq!(refused(text), want);
        }
        let message = refused("allowed_profiles = [\n  \"runc\",\n  \"nosuch\",\n]\n");
        assert!(
            message.starts_with("/etc/procemu/bridge.toml:3: ") && message.contains("nosuch"),
            "{message}"
        );
        assert!(refused("profiles = [").starts_with("/etc/procemu/bridge.toml:1: "));
    }

    #[test]
    fn only_a_named_file_has_to_exist() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("bridge.toml");
        let error = Config::load(Some(&missing)).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot read {}", missing.display()));
        std::fs::write(&missing, "state_dir = '/x'").unwrap();
        assert_eq!(Config::load(Some(&missing)).unwrap().state_dir, Path::new("/x"));
    }

    #[test]
    fn a_pod_chooses_only_what_is_allowed() {
        let config = parse("profiles = ['container']\nallowed_profiles = ['runc']").unwrap();
        let choice = |name: &str| BTreeMap::from([(PROFILE_ANNOTATION.to_owned(), name.to_owned())]);
        assert_eq!(
            config.table(&choice("runc")).unwrap(),
            Profile::get("runc").unwrap()
        );
        assert_eq!(
            config.table(&BTreeMap::new()).unwrap(),
            Profile::get("container").unwrap()
        );
        assert_eq!(
            config.table(&choice("container")).unwrap_err().to_string(),
            "annotation procemu.io/profile: profile \"container\" is not allowed, allowed_profiles in bridge.toml names runc"
        );
        assert_eq!(
            Config::default().table(&choice("runc")).unwrap_err().to_string(),
            "annotation procemu.io/profile: profile \"runc\" is not allowed, allowed_profiles in bridge.toml names none"
        );
    }

    #[test]
    fn the_preset_lies_under_all_that_is_chosen() {
        let config = parse("preset = 'gvisor'\nprofiles = ['kubelet']").unwrap();
        let table = config.table(&BTreeMap::new()).unwrap();
        assert!(table.contains_key(&"/proc/stat".parse().unwrap()));
        let key = "vm/overcommit_memory".parse().unwrap();
        assert_eq!(table.get(&key), Profile::get("kubelet").unwrap().get(&key));
        let config = parse("preset = 'gvisor'\nprofiles = []").unwrap();
        assert!(!config.table(&BTreeMap::new()).unwrap().contains_key(&key));
    }

    #[test]
    fn tables_lie_over_profiles() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("site.toml");
        std::fs::write(
            &file,
            "[keys]\n\"vm/nosuch\" = { value = 7 }\n\"kernel/cap_last_cap\" = { table = false }\n",
        )
        .unwrap();
        let config = Config {
            tables: vec![file.clone()],
            ..Config::default()
        };
        let table = config.table(&BTreeMap::new()).unwrap();
        assert!(table.contains_key(&"vm/nosuch".parse().unwrap()));
        assert!(!table.contains_key(&"kernel/cap_last_cap".parse().unwrap()));
        std::fs::write(&file, "[keys]\n\n\"vm/nosuch\" = { }\n").unwrap();
        let message = config.table(&BTreeMap::new()).unwrap_err().to_string();
        assert!(
            message.starts_with(&format!("{}:3: ", file.display())),
            "{message}"
        );
    }
}
