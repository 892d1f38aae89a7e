//! Writing to people and to programs.

use std::io::{self, Write};

use serde::Serialize;

use crate::exit::{Exit, Failure};

/// An I/O error in lower case and without its number.
pub fn errno(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_lowercase().chain(chars).collect())
        .unwrap_or_default()
}

/// Writes `text` to standard output. A reader that has gone away is no failure.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure {
            exit: Exit::Failed,
            line: format!("write to standard output: {}", errno(&error)),
        }),
        _ => Ok(()),
    }
}

/// Writes `value` as indented JSON.
pub fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|e| Failure {
        exit: Exit::Failed,
        line: format!("write JSON: {e}"),
    })?;
    print(&(text + "\n"))
}
