//! The table that a configuration asks for: what it is made of, and how.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::Path;

use procemu::{Preset, Profile, Table};

use super::{Config, ConfigError, PROFILE_ANNOTATION};

/// The profiles that say what runtimes read.
pub(crate) const RUNTIMES: [&str; 2] = ["runc", "crun"];

/// All that it is made of, in the order in which later parts win.
pub(crate) struct Sources<'a> {
    preset: Option<Preset>,
    profiles: Vec<Profile>,
    /// What cannot be read is an error in its turn: the first wrong file is told of.
    files: Vec<(&'a Path, io::Result<String>)>,
}

impl Config {
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
        self.sources(annotations, read)?.table()
    }

    pub(crate) fn sources(
        &self,
        annotations: &BTreeMap<String, String>,
        read: impl Fn(&Path) -> io::Result<String>,
    ) -> Result<Sources<'_>, ConfigError> {
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
        let profiles = chosen.iter().map(|name| Profile::find(name));
        let files = self.tables.iter().map(|path| (path.as_path(), read(path)));
        Ok(Sources {
            preset: self.preset,
            profiles: profiles.collect::<Result<_, _>>()?,
            files: files.collect(),
        })
    }
}

impl Sources<'_> {
    /// The table that they make.
    ///
    /// # Errors
    /// A table file that cannot be read or is wrong.
    pub(crate) fn table(self) -> Result<Table, ConfigError> {
        let mut table = self
            .preset
            .map(|preset| preset.container_table())
            .unwrap_or_default();
        for profile in &self.profiles {
            table.merge(profile.table());
        }
        for (path, text) in self.files {
            let text = text.map_err(|source| ConfigError::Read {
                path: path.to_owned(),
                source,
            })?;
            table.merge(Table::from_str_named(&text, &path.display().to_string())?);
        }
        table.forget_removals();
        let profiles = self.profiles.iter().map(Profile::name).collect::<Vec<_>>();
        tracing::debug!(?profiles, keys = table.len(), "the table is read");
        Ok(table)
    }

    /// A name that others have only if they make the same table, by the same program: of 128 bits. `None` where a file cannot be read.
    pub(crate) fn name(&self) -> Option<String> {
        let files = self
            .files
            .iter()
            .map(|(path, text)| Some((path, text.as_ref().ok()?)));
        let files: Vec<_> = files.collect::<Option<_>>()?;
        let half = |seed: u8| {
            let mut hasher = DefaultHasher::new();
            let preset = self.preset.map(|preset| preset.name());
            (seed, env!("CARGO_PKG_VERSION"), preset).hash(&mut hasher);
            // Another build of this version may have other texts, also of the preset's and of what runtimes read.
            let built_in = preset.into_iter().chain(RUNTIMES).flat_map(Profile::find);
            for profile in self.profiles.iter().copied().chain(built_in) {
                (profile.name(), profile.toml()).hash(&mut hasher);
            }
            files.hash(&mut hasher);
            hasher.finish()
        };
        Some(format!("{:016x}{:016x}", half(0), half(1)))
    }
}
