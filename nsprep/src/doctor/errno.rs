//! How the kernel refuses a file.

use nix::errno::Errno;
use serde::Serialize;

/// How an opening, a look or a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// There is no such file, ENOENT.
    Missing,
    /// Not with these rights, EACCES or EPERM.
    Denied,
    /// It lies on a read-only mount, EROFS.
    ReadOnly,
    /// It is there and takes no write, EIO.
    Stuck,
}

impl Refusal {
    /// The one that this errno is.
    pub fn of(errno: i32) -> Option<Self> {
        match Errno::from_raw(errno) {
            Errno::ENOENT => Some(Self::Missing),
            Errno::EACCES | Errno::EPERM => Some(Self::Denied),
            Errno::EROFS => Some(Self::ReadOnly),
            Errno::EIO => Some(Self::Stuck),
            _ => None,
        }
    }

    /// The one that a text has, in lower case and in the words of libc, Go or busybox, or by its name.
    pub fn in_text(text: &str) -> Option<Self> {
        const WORDS: [(&str, Refusal); 11] = [
            ("no such file or directory", Refusal::Missing),
            ("nonexistent directory", Refusal::Missing),
            ("enoent", Refusal::Missing),
            ("read-only file system", Refusal::ReadOnly),
            ("erofs", Refusal::ReadOnly),
            ("permission denied", Refusal::Denied),
            ("operation not permitted", Refusal::Denied),
            ("eacces", Refusal::Denied),
            ("eperm", Refusal::Denied),
            ("input/output error", Refusal::Stuck),
            ("i/o error", Refusal::Stuck),
        ];
        let found = WORDS.iter().find(|(words, _)| text.contains(words));
        found.map(|(_, refusal)| *refusal)
    }

    /// In the words of libc.
    pub fn words(self) -> &'static str {
        match self {
            Self::Missing => "no such file or directory",
            Self::Denied => "permission denied",
            Self::ReadOnly => "read-only file system",
            Self::Stuck => "input/output error",
        }
    }
}
