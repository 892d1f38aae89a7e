//! What an environment lacks, by the environment's name.

use crate::{Profile, Table, When};

/// The needs of one environment, by name: a table, the profile of that name, to be laid under all that are chosen explicitly.
/// A caller may tie choices of its own to the name.
///
/// Nothing of it depends on being in that environment: each key is used only where it is found to be needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    name: &'static str,
}

/// There is no preset of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no preset {name:?}; the presets are {}", Preset::names().collect::<Vec<_>>().join(", "))]
pub struct PresetError {
    name: String,
}

impl Preset {
    /// Every preset.
    pub const ALL: &'static [Self] = &[Self { name: "gvisor" }];

    /// The names of all presets.
    pub fn names() -> impl ExactSizeIterator<Item = &'static str> {
        Self::ALL.iter().map(|preset| preset.name)
    }

    /// The preset of that name.
    ///
    /// # Errors
    /// [`PresetError`], which lists the names, if there is none.
    pub fn find(name: &str) -> Result<Self, PresetError> {
        let found = Self::ALL.iter().find(|preset| preset.name == name);
        found.copied().ok_or_else(|| PresetError {
            name: name.chars().take(120).collect(),
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its table for programs, to be laid under others.
    #[must_use]
    pub fn table(&self) -> Table {
        Profile::get(self.name).expect("a test finds the profile of every preset")
    }

    /// Its table for containers and runtimes: without entries for keys that refuse writes. There keys are only opened, which
    /// finds no stuck one; and where one does not open, that is the user namespace's doing.
    #[must_use]
    pub fn container_table(&self) -> Table {
        let mut table = self.table();
        table.retain(|_, entry| entry.when != When::Unwritable);
        table
    }
}
