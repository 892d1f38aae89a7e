//! Why a table is refused.

use std::fmt;

/// Why a text is no table: the whole text is refused for the first thing that is wrong in it.
///
/// Displayed as `file:line: key: what is wrong; what would be right`, leaving out what is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableError {
    pub(super) origin: String,
    pub(super) line: Option<usize>,
    pub(super) key: Option<String>,
    pub(super) message: String,
}

impl TableError {
    /// The name of the file or other place the text came from, as given to the parser.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The line, counted from 1.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.line
    }

    /// The key, as the text spells it.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// What is wrong, and what would be right.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(key) = &self.key {
            // Escaped, since a quoted TOML key can hold line breaks; and not longer than a screen line or two.
            let shown: String = key.chars().take(120).collect();
            write!(f, ": {}", shown.escape_debug())?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for TableError {}

/// What is wrong at one place of a text, before it is known which line that is.
#[derive(Debug)]
pub(super) struct Fault {
    /// Bytes from the beginning of the text.
    pub at: Option<usize>,
    pub key: Option<String>,
    pub message: String,
}

impl Fault {
    pub fn at(at: usize, message: impl Into<String>) -> Self {
        Self {
            at: Some(at),
            key: None,
            message: message.into(),
        }
    }

    pub fn of_key(self, key: &str) -> Self {
        Self {
            key: Some(key.to_owned()),
            ..self
        }
    }

    /// The error of `text`, which came from `origin`.
    pub fn in_text(self, text: &str, origin: &str) -> TableError {
        let line = self.at.map(|at| {
            let before = text.as_bytes().get(..at).unwrap_or(text.as_bytes());
            1 + before.iter().filter(|&&byte| byte == b'\n').count()
        });
        // One line, whatever the parser below us wrote.
        let message = self.message.lines().map(str::trim).collect::<Vec<_>>().join(", ");
        TableError {
            origin: origin.to_owned(),
            line,
            key: self.key,
            message,
        }
    }
}
