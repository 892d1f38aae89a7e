//! The tables of bridge.toml as the last run has compiled them: what is kept is read in a tenth of the time that TOML takes, and in the way
//! of each container's start.

use std::collections::BTreeMap;

use procemu::{Profile, Table};
use serde::{Deserialize, Serialize};

use crate::config::{Config, ConfigError, RUNTIMES};
use crate::{state_file, text};

/// Below the state directory.
const FILE: &str = "tables.json";

/// What the tables of a configuration come to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Compiled {
    /// The name of what they were compiled from.
    of: String,
    /// For containers that choose no profile.
    pub(crate) containers: Table,
    /// Of that, the keys that runtimes read.
    pub(crate) runtimes: Table,
}

impl Compiled {
    /// Those of `config`. The files are read in any case; they are compiled where what is kept is of others. What cannot be kept is
    /// compiled again the next time.
    ///
    /// # Errors
    /// A table file that cannot be read or is wrong.
    pub(crate) fn of(config: &Config) -> Result<Self, ConfigError> {
        let sources = config.sources(&BTreeMap::new(), text::read)?;
        let of = sources.name();
        let kept = state_file::read(&config.state_dir.join(FILE));
        let kept = kept.and_then(|kept| serde_json::from_str::<Self>(&kept).ok());
        if let Some(kept) = kept.filter(|kept| of.as_ref() == Some(&kept.of)) {
            tracing::debug!(keys = kept.containers.len(), "the table is kept");
            return Ok(kept);
        }
        let containers = sources.table()?;
        let mut runtimes = containers.clone();
        let read = RUNTIMES.map(Profile::get);
        let read = read.into_iter().collect::<Result<Vec<_>, _>>()?;
        runtimes.retain(|key, _| read.iter().any(|read| read.contains_key(key)));
        let compiled = Self {
            of: of.unwrap_or_default(),
            containers,
            runtimes,
        };
        if let Ok(text) = serde_json::to_string(&compiled) {
            let _ = state_file::write(&config.state_dir, FILE, &text);
        }
        Ok(compiled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_is_kept_is_what_the_files_say() {
        let dir = tempfile::tempdir().unwrap();
        let (file, kept) = (dir.path().join("table.toml"), dir.path().join(FILE));
        let config = Config {
            tables: vec![file.clone()],
            state_dir: dir.path().to_owned(),
            ..Config::default()
        };
        let texts = [
            "[keys]\n\"kernel/x\" = { value = 7, mode = \"0644\", when = \"always\", doc = \"a \\\"b\\\"\" }\n\
             \"kernel/list\" = { value = [1, 2], separator = \"tab\" }\n\"kernel/h\" = { host = true }\n\
             \"kernel/cap_last_cap\" = { table = false }\n",
            "[keys]\n\"kernel/x\" = { value = \"8\" }\n\"kernel/c\" = { computed = \"cap_last_cap\" }\n",
        ];
        for text in texts {
            fs::write(&file, text).unwrap();
            let expected = config.table(&BTreeMap::new()).unwrap();
            for _ in 0..2 {
                let compiled = Compiled::of(&config).unwrap();
                assert_eq!(compiled.containers, expected);
                assert!(compiled.runtimes.keys().all(|key| expected.contains_key(key)));
            }
            // It is this that is read the second time.
            let (before, other) = (fs::read_to_string(&kept).unwrap(), "kernel/other");
            fs::write(&kept, before.replace("kernel/x", other)).unwrap();
            let other = other.parse().unwrap();
            assert!(Compiled::of(&config).unwrap().containers.contains_key(&other));
            for rubbish in ["", "{}", &before[..before.len() / 2]] {
                fs::write(&kept, rubbish).unwrap();
                assert_eq!(Compiled::of(&config).unwrap().containers, expected);
            }
        }
        fs::write(&file, "[keys]\n\"kernel/x\" = 7\n").unwrap();
        assert!(Compiled::of(&config).is_err());
    }
}
