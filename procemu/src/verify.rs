//! Comparing every key of a table with what a reader of a procfs sees.

use rustix::fs::OFlags;
use serde::Serialize;

use crate::error::Result;
use crate::key::SysctlKey;
use crate::observe::{Kind, Observation, Probing, Seen};
use crate::root::Root;
use crate::snapshot::content;
use crate::table::{Entry, Mode, Table, When};

/// Whose value a reader gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The kernel's own key.
    Kernel,
    /// A file over procfs or sysfs.
    Emulated,
    /// Nobody's: there is no such key.
    Missing,
}

/// What was found of one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The key.
    pub key: SysctlKey,
    /// Whose value a reader gets.
    pub origin: Origin,
    /// That value without its newline, where it can be read.
    pub value: Option<String>,
    /// Whether the file opens for writing.
    pub writable: bool,
    /// What is not as the table has it.
    pub problem: Option<String>,
}

/// What entries with mode 0644 must be in the place that is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writes {
    /// Writable: around a program they are.
    Granted,
    /// Either: in a container a read-only `/proc/sys` keeps them read-only.
    AsPlaced,
}

/// Compares every key of `table` that lies in the file system of `root` with what that shows. A kernel's own key may have any
/// value, unless the table replaces it; `host` is where values of `host` entries come from.
///
/// # Errors
/// As [`Root::observe`]; a difference is no error but a [`Check`] with a problem.
pub fn verify(root: &Root, table: &Table, host: Option<&Root>, writes: Writes) -> Result<Vec<Check>> {
    crate::plan::refuse_nested(table)?;
    let seen: Observation = root.observe(table, Probing::Open)?;
    Ok(table
        .iter()
        .filter(|(key, _)| key.filesystem() == root.filesystem())
        .map(|(key, entry)| check(root, key, entry, seen.keys.get(key), host, writes))
        .collect())
}

fn check(
    root: &Root,
    key: &SysctlKey,
    entry: &Entry,
    seen: Option<&Seen>,
    host: Option<&Root>,
    writes: Writes,
) -> Check {
    let nothing = |problem: &str| Check {
        key: key.clone(),
        origin: Origin::Missing,
        value: None,
        writable: false,
        problem: Some(problem.to_owned()),
    };
    let serves = match seen {
        Some(Seen::Present {
            kind: Kind::Folder, ..
        }) => return nothing("is a folder"),
        Some(Seen::Present { serves, .. }) => *serves,
        Some(Seen::Blocked { at }) => return nothing(&format!("{} is a file, not a folder", root.show(at))),
        Some(Seen::Missing { .. }) | None => return nothing("does not exist"),
    };
    let read = root.read(key.path());
    let origin = match root.is_kernels(key.path()) {
        Ok(true) => Origin::Kernel,
        _ => Origin::Emulated,
    };
    let writable = root.open_file(key.path(), OFlags::WRONLY).is_ok();
    let problem = match origin {
        Origin::Emulated => emulated(key, entry, host, &read, writable, writes),
        _ => match entry.when {
            When::Always => Some("is the kernel's own; the table replaces it".to_owned()),
            When::Unwritable if !writable => {
                Some("is the kernel's own and not writable; the table replaces it".to_owned())
            }
            When::Zero if !serves => Some("is the kernel's own and all 0; the table replaces it".to_owned()),
            _ => None,
        },
    };
    let value = read
        .ok()
        .map(|bytes| String::from_utf8_lossy(&bytes).trim_end_matches('\n').to_owned());
    Check {
        key: key.clone(),
        origin,
        value,
        writable,
        problem,
    }
}

/// How many characters of a value are quoted. The check has all of it; how long it is, a container's root may have said.
const QUOTED: usize = 200;

fn quoted(text: &str) -> String {
    let text = text.trim_end_matches('\n');
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{:?}... ({} characters)", &text[..end], text.chars().count()),
        None => format!("{text:?}"),
    }
}

fn emulated(
    key: &SysctlKey,
    entry: &Entry,
    host: Option<&Root>,
    read: &std::io::Result<Vec<u8>>,
    writable: bool,
    writes: Writes,
) -> Option<String> {
    let bytes = match read {
        Ok(bytes) => bytes,
        Err(error) => return Some(format!("cannot be read: {error}")),
    };
    let expected = match content(key, entry, host) {
        Ok(expected) => expected,
        Err(error) => return Some(error.line()),
    };
    if *bytes != expected.as_bytes() {
        return Some(format!(
            "reads {}, the table has {}",
            quoted(&String::from_utf8_lossy(bytes)),
            quoted(&expected)
        ));
    }
    match (entry.mode, writable, writes) {
        (Mode::ReadOnly, true, _) => Some("takes writes, the table has mode 0444".to_owned()),
        (Mode::ReadWrite, false, Writes::Granted) => {
            Some("takes no writes, the table has mode 0644".to_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_not_quoted_whole() {
        assert_eq!(quoted("a\tb\n"), r#""a\tb""#);
        let long = quoted(&"\u{1b}".repeat(1 << 20));
        let end = r#"\u{1b}"... (1048576 characters)"#;
        assert!(long.ends_with(end), "{} bytes", long.len());
        assert!(long.len() < 2000, "{} bytes", long.len());
    }
}
