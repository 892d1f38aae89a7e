//! The built-in tables, one per consumer.

use std::sync::OnceLock;

use crate::{Table, TableError};

/// A built-in table, named after the program that needs its keys.
///
/// ```
/// use procemu::Profile;
///
/// let table = Profile::get("runc")?;
/// assert!(table.contains_key(&"kernel/cap_last_cap".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    name: &'static str,
    toml: &'static str,
}

macro_rules! profiles {
    ($($name:literal),* $(,)?) => {
        &[$(Profile { name: $name, toml: include_str!(concat!("../profiles/", $name, ".toml")) }),*]
    };
}

/// There is no profile of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no profile {name:?}; the profiles are {}", Profile::names().collect::<Vec<_>>().join(", "))]
pub struct ProfileError {
    name: String,
}

impl ProfileError {
    /// The name that was asked for.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Profile {
    /// Every profile.
    pub const ALL: &'static [Self] = profiles![
        "bubblewrap",
        "chromium",
        "cni",
        "container",
        "crun",
        "dockerd",
        "full",
        "go",
        "gvisor",
        "kube-proxy",
        "kubelet",
        "podman",
        "redis",
        "runc",
        "sysctl",
        "systemd"
    ];

    /// The names of all profiles.
    pub fn names() -> impl ExactSizeIterator<Item = &'static str> {
        Self::ALL.iter().map(|profile| profile.name)
    }

    /// The profile of that name.
    ///
    /// # Errors
    /// [`ProfileError`], which lists the names, if there is none.
    pub fn find(name: &str) -> Result<Self, ProfileError> {
        let found = Self::ALL.iter().find(|profile| profile.name == name);
        found.copied().ok_or_else(|| ProfileError {
            name: name.chars().take(120).collect(),
        })
    }

    /// The table of the profile of that name.
    ///
    /// # Errors
    /// [`ProfileError`], which lists the names, if there is none.
    pub fn get(name: &str) -> Result<Table, ProfileError> {
        Self::find(name).map(|profile| profile.table())
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its text, with comments, to start a table of one's own from.
    #[must_use]
    pub fn toml(&self) -> &'static str {
        self.toml
    }

    /// Its table.
    #[must_use]
    pub fn table(&self) -> Table {
        /// Read once in a process: to read the text takes ten times as long as to copy the table.
        static READ: [OnceLock<Table>; Profile::ALL.len()] = [const { OnceLock::new() }; Profile::ALL.len()];
        let read = || -> Result<_, TableError> { Table::from_toml(self.toml, self.name) };
        let read = || read().expect("a test reads every built-in profile");
        let at = Self::ALL.iter().position(|profile| profile == self);
        match at.and_then(|at| READ.get(at)) {
            Some(table) => table.get_or_init(read).clone(),
            None => read(),
        }
    }
}
