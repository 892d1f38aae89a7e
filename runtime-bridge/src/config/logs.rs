//! `[log]`.

use super::ConfigError;
use crate::events;
use serde::Deserialize;
use toml::Spanned;

/// What is told besides errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logs {
    /// `level`: which events are told where `RUST_LOG` is not set, in its words.
    pub level: Option<String>,
    /// `changes`: whether it is noted in the state directory what was changed for which container.
    pub changes: bool,
}

impl Default for Logs {
    fn default() -> Self {
        Self {
            level: None,
            changes: true,
        }
    }
}

/// As written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Form {
    level: Option<Spanned<String>>,
    changes: Option<bool>,
}

impl Form {
    /// # Errors
    /// A level that is none; `wrong` makes the error of what is at which byte.
    pub(super) fn checked(
        self,
        wrong: &dyn Fn(usize, &str, String) -> ConfigError,
    ) -> Result<Logs, ConfigError> {
        let level = |level: Spanned<String>| match events::check(level.get_ref()) {
            Ok(()) => Ok(level.into_inner()),
            Err(error) => Err(wrong(level.span().start, "log.level", error.to_string())),
        };
        Ok(Logs {
            level: self.level.map(level).transpose()?,
            changes: self.changes.unwrap_or(Logs::default().changes),
        })
    }
}
