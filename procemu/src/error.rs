//! The library's error: opaque, with a kind to decide on and one line to show.

use std::error::Error as StdError;
use std::{fmt, io};

/// A `Result` with this library's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller can do about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A table, key, value or path that the caller gave is wrong; nothing was tried.
    Input,
    /// The place is not what it must be: not procfs, a symlink, a folder where a file should be.
    Place,
    /// The kernel or the process's privileges do not allow what was asked; nothing was changed.
    Denied,
    /// A system call failed; what had been done before it was undone.
    System,
}

/// Why something could not be done.
///
/// `Display` is one lowercase line that names the step, the thing and the system call with its arguments; the
/// errno, where there is one, is the [`source`](StdError::source). [`Error::line`] gives both in one line.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// [`ErrorKind::Input`] with this line.
    pub fn input(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Input, message)
    }

    pub(crate) fn place(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Place, message)
    }

    /// A failed system call. EPERM and EACCES make it [`ErrorKind::Denied`].
    pub(crate) fn call(message: impl Into<String>, errno: impl Into<io::Error>) -> Self {
        let errno = errno.into();
        let kind = match errno.kind() {
            io::ErrorKind::PermissionDenied => ErrorKind::Denied,
            _ => ErrorKind::System,
        };
        Self {
            kind,
            message: message.into(),
            source: Some(Box::new(errno)),
        }
    }

    /// The folder or file `path` could not be opened.
    pub fn failed_open(path: &std::path::Path, errno: io::Error) -> Self {
        Self::call(format!("open({})", path.display()), errno)
    }

    /// The namespace that the file `path` names could not be entered.
    pub fn failed_setns(path: &std::path::Path, errno: io::Error) -> Self {
        Self::call(format!("setns({})", path.display()), errno)
    }

    /// There is no new namespace of the kind that `flag` names.
    pub fn failed_unshare(flag: &str, errno: io::Error) -> Self {
        Self::call(format!("unshare({flag})"), errno)
    }

    /// The file `path` does not take what was written.
    pub fn failed_write(path: &std::path::Path, errno: io::Error) -> Self {
        Self::call(format!("write({})", path.display()), errno)
    }

    /// The same error with what was being done in front of its line.
    pub fn during(mut self, step: impl fmt::Display) -> Self {
        self.message = format!("{step}: {}", self.message);
        self
    }

    /// The same error with what it was refused for want of, where it was not permitted.
    pub(crate) fn explained(mut self) -> Self {
        self.message = crate::privilege::explained(self.errno().unwrap_or(0), &self.message);
        self
    }

    /// The same error as another kind.
    pub(crate) fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.kind = kind;
        self
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The errno behind it, where a system call failed.
    pub fn errno(&self) -> Option<i32> {
        self.source
            .as_deref()?
            .downcast_ref::<io::Error>()?
            .raw_os_error()
    }

    /// The error and its source in one line, for a log or a terminal.
    pub fn line(&self) -> String {
        match &self.source {
            Some(source) => match source.downcast_ref::<io::Error>() {
                Some(errno) => format!("{}: {}", self.message, errno_text(errno)),
                None => format!("{}: {source}", self.message),
            },
            None => self.message.clone(),
        }
    }
}

/// An I/O error as it stands in a line of ours: lower case, without its number.
pub fn errno_text(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_lowercase().chain(chars).collect())
        .unwrap_or_default()
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|s| s as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_call_says_so_in_one_line() {
        let error = Error::call(
            "move_mount(snapshot, /proc/sys/kernel)",
            io::Error::from_raw_os_error(libc::EPERM),
        )
        .during("attach");
        assert_eq!(error.kind(), ErrorKind::Denied);
        assert_eq!(error.errno(), Some(libc::EPERM));
        assert_eq!(
            error.line(),
            "attach: move_mount(snapshot, /proc/sys/kernel): operation not permitted"
        );
    }
}
