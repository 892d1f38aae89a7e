//! Exit codes, and how an error becomes one.

use std::fmt;
use std::process::{ExitCode, Termination};

use procemu::ErrorKind;

/// How `nsprep` ends. `exec` ends as its command does, where that could be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All done.
    Done = 0,
    /// `verify` or `plan --diff` found differences, `doctor` something to cure.
    Differs = 1,
    /// The command line, a table, a bundle or a path is wrong; nothing was tried.
    Usage = 2,
    /// The place or the process's privileges do not allow it; nothing was changed.
    Denied = 3,
    /// A step failed; what had been done was undone.
    Failed = 4,
    /// `exec` failed before its command.
    ExecFailed = 125,
    /// The command of `exec` cannot be executed.
    CannotExecute = 126,
    /// The command of `exec` was not found.
    NotFound = 127,
}

impl Exit {
    /// The exit with this code, as a child process gave it.
    pub fn from_code(code: u8) -> Self {
        match code {
            0 => Self::Done,
            1 => Self::Differs,
            2 => Self::Usage,
            3 => Self::Denied,
            _ => Self::Failed,
        }
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self as u8)
    }
}

/// A failure on its way to standard error and the exit code.
#[derive(Debug)]
pub struct Failure {
    /// How to end.
    pub exit: Exit,
    /// One line.
    pub line: String,
}

impl Failure {
    /// Wrong input.
    pub fn usage(line: impl fmt::Display) -> Self {
        Self {
            exit: Exit::Usage,
            line: line.to_string(),
        }
    }
}

impl From<procemu::Error> for Failure {
    fn from(error: procemu::Error) -> Self {
        let exit = match error.kind() {
            ErrorKind::Input => Exit::Usage,
            ErrorKind::Denied | ErrorKind::Place => Exit::Denied,
            _ => Exit::Failed,
        };
        Self {
            exit,
            line: error.line(),
        }
    }
}
