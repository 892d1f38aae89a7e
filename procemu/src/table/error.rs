//! Why a table is refused.

use std::fmt;

use crate::SysctlKey;

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

    /// The same, told of a field of the entry: its path as serde has it.
    pub fn of_field(self, path: &str) -> Self {
        // What is wrong with the entry as a whole has none, and some errors name their field.
        let name = path.split(['.', '[']).next().unwrap_or_default();
        if name.is_empty()
            || name == "?"
            || self.message.contains(&format!("`{name}`"))
            || self.message.starts_with(name)
        {
            return self;
        }
        let message = format!("{name}: {}", self.message);
        Self { message, ..self }
    }

    /// The same, with what to do about a number that a parser refuses as octal.
    pub fn told_of_zeros(self) -> Self {
        let message = match self.message.as_str() {
            "unexpected leading zero, expected nothing" | "invalid number" => format!(
                "{}; a number has no leading zero, and a mode is a text: mode \"0644\"",
                self.message.trim_end_matches(", expected nothing")
            ),
            _ => return self,
        };
        Self { message, ..self }
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

/// The key in whose entry the byte `at` is, by what is before it: a parser that gives up does not tell.
pub(super) fn key_around(text: &str, at: usize) -> Option<&str> {
    let before = text.get(..at)?;
    let quoted = before.match_indices('"').map(|(start, _)| &before[start + 1..]);
    let mut keys = quoted.filter_map(|rest| {
        let (key, rest) = rest.split_once('"')?;
        let is_key = key.contains(['/', '.']) && key.parse::<SysctlKey>().is_ok();
        (is_key && rest.trim_start().starts_with(['=', ':', ']'])).then_some((key, rest))
    });
    let (key, rest) = keys.next_back()?;
    let is_over = rest.contains("\n[") || rest.contains('\n') && rest.contains('}');
    (!is_over).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::key_around;

    #[test]
    fn the_key_around_a_place_is_the_last_that_is_begun_before_it() {
        let key = Some("kernel/x");
        for (text, expected) in [
            ("[keys]\n\"kernel/x\" = { mode = ", key),
            ("[keys]\n\"kernel/x\" = { value = 1 } x", key),
            ("[keys]\n\"kernel/x\" = { value = 1 }\nx", None),
            ("[keys.\"kernel/x\"]\nvalue = 1\nmode = ", key),
            ("[keys.\"kernel/x\"]\nvalue = 1\n[x", None),
            (
                "{\"keys\": {\"fs/y\": {\"value\": 1},\n \"kernel/x\": {\n  \"mode\": ",
                key,
            ),
            ("{\"keys\": {\"kernel/x\": {\"doc\": \"of fs/y\", \"mode\": ", key),
            ("doc = ", None),
            ("\"\"", None),
        ] {
            assert_eq!(key_around(text, text.len()), expected, "{text}");
        }
        assert_eq!(key_around("x", 7), None);
    }
}
