//! Writing to people and to programs.

use std::io::{self, Write};

use procemu::errno_text;
use serde::Serialize;

use crate::exit::{Exit, Failure};

/// Writes `text` to standard output. A reader that has gone away is no failure.
pub fn print(text: &str) -> Result<(), Failure> {
    write(io::stdout().lock(), text)
}

/// The same in colour where that is a terminal and NO_COLOR does not forbid it.
pub fn show(text: &str) -> Result<(), Failure> {
    write(anstream::stdout().lock(), text)
}

fn write(mut out: impl Write, text: &str) -> Result<(), Failure> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure {
            exit: Exit::Failed,
            line: format!("write to standard output: {}", errno_text(&error)),
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
