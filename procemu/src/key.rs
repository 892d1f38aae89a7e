//! The validated name of one file of procfs or sysfs.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::filesystem::Filesystem;

/// Linux' `NAME_MAX`: the longest name of one file, in bytes.
const MAX_COMPONENT: usize = 255;
/// Linux' `PATH_MAX` without its terminating NUL, for the whole path with `/proc/` or `/sys/`, in bytes.
const MAX_PATH: usize = 4095;
/// Folders and links of `/proc` that show another process' view to each reader, so that no file can stand in for them.
const PER_PROCESS: [&str; 4] = ["self", "thread-self", "net", "mounts"];

/// The name of one file of procfs, a sysctl (`kernel/cap_last_cap`) or a file outside `/proc/sys` (`/proc/stat`), or of one
/// below `/sys` (`/sys/module/nf_conntrack/parameters/hashsize`).
///
/// Keys are read in both of sysctl(8)'s spellings. The first separator decides which it is: after a `/`, slashes separate
/// and dots are literal; after a `.`, dots separate and a slash stands for a literal dot. A relative name lies below
/// `/proc/sys`; an absolute one has to begin with `/proc/` or `/sys/`.
///
/// Keys are ordered by file system and path, and two spellings of one file are equal.
///
/// ```
/// use procemu::SysctlKey;
///
/// let key: SysctlKey = "net.ipv4.conf.eth0/100.forwarding".parse()?;
/// assert_eq!(key, "net/ipv4/conf/eth0.100/forwarding".parse()?);
/// assert_eq!(key, "/proc/sys/net/ipv4/conf/eth0.100/forwarding".parse()?);
/// assert_eq!(key.path(), "sys/net/ipv4/conf/eth0.100/forwarding");
/// assert_eq!(key.to_string(), "net/ipv4/conf/eth0.100/forwarding");
/// assert_eq!("/proc/stat".parse::<SysctlKey>()?.below_sys(), None);
///
/// let hashsize: SysctlKey = "/sys/module/nf_conntrack/parameters/hashsize".parse()?;
/// assert_eq!(hashsize.path(), "module/nf_conntrack/parameters/hashsize");
/// assert_eq!(hashsize.filesystem().mountpoint(), "/sys");
/// # Ok::<(), procemu::KeyError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SysctlKey {
    filesystem: Filesystem,
    /// Relative to where that is mounted, checked, without a leading slash. Shared: a key goes from the table into the
    /// observation and the plan.
    path: Arc<str>,
    /// Where the file's own name begins in it.
    name: usize,
}

/// Why a text is no [`SysctlKey`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Nothing is named: "", "/proc/", "/proc/sys" or "/sys/".
    #[error("key {0:?} names no file; a key looks like kernel/panic, kernel.panic or /proc/stat")]
    Empty(String),
    /// Two separators in a row, or one at the beginning of a relative key.
    #[error("key {0:?} has an empty component; write one separator between two names")]
    EmptyComponent(String),
    /// A separator at the end, as a folder would have.
    #[error("key {0:?} ends in a separator; name a file, not a folder")]
    TrailingSeparator(String),
    /// A component `.` or `..`.
    #[error("key {0:?} has the component {1:?}; name the file without going through `.` or `..`")]
    DotComponent(String, String),
    /// A NUL, another control character or whitespace.
    #[error("key {0:?} has the character {1:?}; control characters and whitespace are not allowed in a key")]
    Character(String, char),
    /// A component of more than 255 bytes.
    #[error("key {0:?} has a component of {1} bytes; a file name has at most 255")]
    LongComponent(String, usize),
    /// A path of more than 4095 bytes, counted with `/proc/` or `/sys/`.
    #[error("key {0:?} makes a path of {1} bytes; a path has at most 4095")]
    LongPath(String, usize),
    /// An absolute path outside `/proc` and `/sys`.
    #[error("key {0:?} lies outside /proc and /sys; an absolute key begins with one of them")]
    OutsideProc(String),
    /// A path whose first `/` was forgotten: no kernel has `/proc/sys/proc` or `/proc/sys/sys`.
    #[error("key {0:?} would lie in /proc/sys; write {1:?}")]
    NoSlash(String, String),
    /// A file below `/proc/<pid>`, `/proc/self`, `/proc/thread-self` or `/proc/net`, or `/proc/mounts`.
    #[error("key {0:?} is a different file for each process; a key is one that all processes share")]
    PerProcess(String),
}

impl SysctlKey {
    /// The key of a path relative to `/proc`, in which slashes separate: `sys/kernel/panic`, `stat`.
    ///
    /// # Errors
    /// [`KeyError`], as for any other spelling.
    pub fn from_proc_path(path: &str) -> Result<Self, KeyError> {
        Self::from_path(Filesystem::Proc, path)
    }

    /// The key of a path relative to where `filesystem` is mounted, in which slashes separate.
    ///
    /// # Errors
    /// [`KeyError`], as for any other spelling.
    pub fn from_path(filesystem: Filesystem, path: &str) -> Result<Self, KeyError> {
        Self::checked(path, filesystem, path)
    }

    /// The file system that it lies in.
    #[must_use]
    pub fn filesystem(&self) -> Filesystem {
        self.filesystem
    }

    /// The path relative to where its file system is mounted: `sys/kernel/panic`, `stat`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The file's own name: `panic`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.path[self.name..]
    }

    /// The folder the file lies in, relative to the same: `sys/kernel`, and "" for `/proc` itself.
    #[must_use]
    pub fn parent(&self) -> &str {
        &self.path[..self.name.saturating_sub(1)]
    }

    /// The names along the path, from `/proc` or `/sys` down; at least one.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.path.split('/')
    }

    /// The path relative to `/proc/sys` (`kernel/panic`), or `None` for a file outside it.
    #[must_use]
    pub fn below_sys(&self) -> Option<&str> {
        self.path
            .strip_prefix("sys/")
            .filter(|_| self.filesystem.is_proc())
    }

    /// sysctl(8)'s dotted spelling, as in a bundle's `linux.sysctl`: `net.ipv4.conf.eth0/100.forwarding`.
    ///
    /// `None` for a file outside `/proc/sys`, and for one whose first name contains a dot, which this spelling cannot say.
    #[must_use]
    pub fn dotted(&self) -> Option<String> {
        let below = self.below_sys().filter(|_| !self.first_name_has_dot())?;
        Some(below.chars().map(swapped).collect())
    }

    /// Whether the relative slash spelling would be taken for the dotted one.
    fn first_name_has_dot(&self) -> bool {
        self.below_sys()
            .is_some_and(|below| below.split('/').next().is_some_and(|first| first.contains('.')))
    }

    /// `path` is the key in text form `text`, relative to where `filesystem` is mounted, with slashes between names.
    fn checked(text: &str, filesystem: Filesystem, path: &str) -> Result<Self, KeyError> {
        let in_proc = filesystem.is_proc();
        // Most have none but these, which is sooner seen.
        let odd = match text.bytes().all(|b| b.is_ascii_graphic()) {
            true => None,
            false => text.chars().find(|c| c.is_control() || c.is_whitespace()),
        };
        if let Some(c) = odd {
            return Err(KeyError::Character(shown(text), c));
        }
        let last = path.bytes().filter(|b| *b == b'/').count();
        for (index, component) in path.split('/').enumerate() {
            match component {
                "" if path.is_empty() || (in_proc && path == "sys/") => {
                    return Err(KeyError::Empty(shown(text)));
                }
                "" if index == last => return Err(KeyError::TrailingSeparator(shown(text))),
                "" => return Err(KeyError::EmptyComponent(shown(text))),
                "." | ".." => return Err(KeyError::DotComponent(shown(text), component.to_owned())),
                long if long.len() > MAX_COMPONENT => {
                    return Err(KeyError::LongComponent(shown(text), long.len()));
                }
                _ => {}
            }
        }
        let (first, below) = path.split_once('/').unwrap_or((path, ""));
        if in_proc && (PER_PROCESS.contains(&first) || first.bytes().all(|b| b.is_ascii_digit())) {
            return Err(KeyError::PerProcess(shown(text)));
        }
        if in_proc && path == "sys" {
            return Err(KeyError::Empty(shown(text)));
        }
        if in_proc && first == "sys" && (below.starts_with("proc/") || below.starts_with("sys/")) {
            return Err(KeyError::NoSlash(shown(text), shown(&format!("/{below}"))));
        }
        match filesystem.mountpoint().len() + 1 + path.len() {
            long if long > MAX_PATH => Err(KeyError::LongPath(shown(text), long)),
            _ => Ok(Self {
                filesystem,
                path: path.into(),
                name: path.rfind('/').map_or(0, |slash| slash + 1),
            }),
        }
    }
}

/// What sysctl(8)'s dotted spelling has for this character of a path, and the other way round.
fn swapped(c: char) -> char {
    match c {
        '/' => '.',
        '.' => '/',
        other => other,
    }
}

/// The text as an error message shows it: not longer than a screen line or two.
fn shown(text: &str) -> String {
    match text.char_indices().nth(120) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

impl FromStr for SysctlKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        if text.is_empty() {
            return Err(KeyError::Empty(String::new()));
        }
        if text.starts_with('/') {
            let below = |filesystem: &Filesystem| text.strip_prefix(filesystem.mountpoint());
            let found = Filesystem::ALL
                .iter()
                .find_map(|filesystem| Some((*filesystem, below(filesystem)?)));
            return match found {
                Some((_, "")) => Err(KeyError::Empty(shown(text))),
                Some((filesystem, rest)) if rest.starts_with('/') => {
                    Self::checked(text, filesystem, &rest[1..])
                }
                _ => Err(KeyError::OutsideProc(shown(text))),
            };
        }
        let is_dotted = text
            .find(['/', '.'])
            .is_some_and(|at| text.as_bytes()[at] == b'.');
        let mut path = String::with_capacity("sys/".len() + text.len());
        path.push_str("sys/");
        if is_dotted {
            path.extend(text.chars().map(swapped));
        } else {
            path.push_str(text);
        }
        Self::checked(text, Filesystem::Proc, &path)
    }
}

impl TryFrom<&str> for SysctlKey {
    type Error = KeyError;

    fn try_from(text: &str) -> Result<Self, KeyError> {
        text.parse()
    }
}

impl fmt::Display for SysctlKey {
    /// The slash spelling, which parses back to the same key: `kernel/panic`, or absolute outside `/proc/sys`:
    /// `/proc/stat`, `/sys/block/vda/size`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.below_sys() {
            Some(below) if !self.first_name_has_dot() => f.write_str(below),
            _ => write!(f, "{}/{}", self.filesystem.mountpoint(), self.path),
        }
    }
}

impl Serialize for SysctlKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SysctlKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The spellings as regular expressions of JSON Schema (ECMA-262): absolute in either file system, with slashes, with dots.
/// What they do not say is that a name's length counts in bytes.
fn spellings() -> [String; 4] {
    const NONE: &str = r"\s\x00-\x1f\x7f-\x9f";
    let name = format!(r"(?!\.{{1,2}}(/|$))[^/{NONE}]{{1,{MAX_COMPONENT}}}");
    let first = format!("[^./{NONE}]{{1,{MAX_COMPONENT}}}");
    let per_process = PER_PROCESS.join("|");
    [
        format!("/proc/(?!sys$|sys/(proc|sys)/|({per_process}|[0-9]+)(/|$)){name}(/{name})*"),
        format!("/sys/{name}(/{name})*"),
        format!("(?!(proc|sys)/){first}(/{name})*"),
        // A slash stands for a dot of the name.
        format!(r"(?!(proc|sys)\.){first}(\.(?!//?(\.|$))[^.{NONE}]{{1,{MAX_COMPONENT}}})+"),
    ]
}

impl JsonSchema for SysctlKey {
    fn schema_name() -> Cow<'static, str> {
        "SysctlKey".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A file of procfs in one of sysctl(8)'s spellings (kernel/panic, kernel.panic), or absolute (/proc/stat), or one of sysfs (/sys/block/vda/size)",
            "type": "string",
            "minLength": 1,
            "maxLength": MAX_PATH,
            "pattern": format!("^({})$", spellings().join("|")),
        })
    }
}
