//! The administrator's `bridge.toml`.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use runtime_bridge::config::{Config, ConfigError, PROFILE_ANNOTATION};
use runtime_bridge::report::chain;

/// A file that is read names absolute paths and known profiles only, and gives a pod those that it allows.
pub fn check(data: &[u8]) {
    let Some(text) = super::text(data) else { return };
    let config = match Config::parse(text, Path::new("/etc/procemu/bridge.toml")) {
        Ok(config) => config,
        Err(error) => {
            if let ConfigError::Content { line, .. } = &error {
                assert!((1..=1 + text.matches('\n').count()).contains(line), "line {line}");
            }
            return super::one_line(&chain(&error));
        }
    };
    let paths = config
        .tables
        .iter()
        .chain(config.runtimes.values())
        .chain([&config.state_dir]);
    assert!(paths.into_iter().all(|path| path.is_absolute()));
    for name in config.profiles.iter().chain(&config.allowed_profiles) {
        assert!(procemu::Profile::find(name).is_ok(), "{name:?}");
    }

    let none = |_: &Path| Err(io::Error::from(io::ErrorKind::NotFound));
    match config.table_with(&BTreeMap::new(), none) {
        Ok(table) => assert!(config.tables.is_empty() && table.removals().len() == 0),
        Err(error) => {
            assert!(!config.tables.is_empty());
            super::one_line(&chain(&error));
        }
    }
    for name in procemu::Profile::names() {
        let asks = BTreeMap::from([(PROFILE_ANNOTATION.to_owned(), name.to_owned())]);
        let given = config.table_with(&asks, |_| Ok(String::new()));
        let is_allowed = config.allowed_profiles.iter().any(|allowed| allowed == name);
        assert_eq!(given.is_ok(), is_allowed, "{name}: {given:?}");
    }
}
