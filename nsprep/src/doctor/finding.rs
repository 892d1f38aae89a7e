//! What `doctor` has found: plain data, for people and for programs.

use serde::Serialize;

use super::keys::KeyState;

/// Whether it is sure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// What it is about ends with an error here.
    Fails,
    /// It does, depending on what it is asked for, or goes on with less.
    MayFail,
}

impl Level {
    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Fails => "fails",
            Self::MayFail => "may fail",
        }
    }
}

/// One thing that goes wrong here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind of thing; the same in all versions.
    pub id: &'static str,
    /// Whether it is sure.
    pub level: Level,
    /// The programs that it is about.
    pub who: Vec<String>,
    /// What, in a line.
    pub what: String,
    /// Why it matters, with the error that shows it.
    pub why: String,
    /// The keys that it is about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<KeyState>,
    /// Commands, one of which cures it, or lines beginning with `#` on what to do.
    pub cure: Vec<String>,
}

impl Finding {
    /// A finding without keys.
    pub fn new(id: &'static str, level: Level, who: &[&str], what: impl Into<String>) -> Self {
        Self {
            id,
            level,
            who: who.iter().map(|&name| name.to_owned()).collect(),
            what: what.into(),
            why: String::new(),
            keys: Vec::new(),
            cure: Vec::new(),
        }
    }

    /// The same with its reason.
    pub fn because(self, why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            ..self
        }
    }

    /// The same with another cure.
    pub fn cured_by(mut self, command: impl Into<String>) -> Self {
        self.cure.push(command.into());
        self
    }
}
