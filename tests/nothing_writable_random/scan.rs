//! What a container's root can do to every file and folder of a procfs, found out by trying. Nothing is written: opening for writing is
//! enough, and what is changed is changed to what it was.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, RenameFlags, Timestamps, Uid, XattrFlags, chmodat, chownat,
    linkat, lstat, mkdirat, mknodat, open, renameat_with, setxattr, statfs, symlinkat, unlinkat, utimensat,
};
use serde_json::{Value, json};

/// What can be done to a file or folder itself, if the word is not in [`ENTRIES`].
pub type Could = BTreeSet<String>;

/// What can be done to the entry that it is in its folder, or to entries in it.
pub const ENTRIES: [&str; 8] = [
    "create", "link", "mkdir", "mknod", "rename", "rmdir", "symlink", "unlink",
];

/// What there is of one path.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Seen {
    /// `-`, `d`, `l`, or `c` for anything else.
    pub kind: char,
    /// What statfs(2) says of its file system.
    pub filesystem: u64,
    /// Whether its mount is read-only.
    pub read_only: bool,
    /// What could be done.
    pub could: Could,
    /// Of those that were asked for, what it holds, or what it lists.
    pub content: Option<String>,
}

/// All paths below the procfs that were looked at.
pub type Scan = BTreeMap<String, Seen>;

/// TMPFS_MAGIC in linux/magic.h.
pub const TMPFS: u64 = 0x0102_1994;

const READ_ONLY: u64 = 1;

/// Scans the procfs at each of `roots`, of which it is told whether it is the container's own; `read` are the paths whose content
/// is told.
pub fn scan(roots: &[(String, bool)], read: &[String]) -> Value {
    let mut seen = Vec::new();
    for root in roots {
        walk(root, &root.0, read, &mut seen);
    }
    // What may take something away comes last.
    for (path, seen) in &mut seen {
        let tries: &[(&str, Try)] = if seen.kind == 'd' { LAST_OF_FOLDERS } else { LAST };
        seen.could.extend(tried(path, tries));
    }
    let line = |(path, seen): (String, Seen)| {
        json!([
            path,
            seen.kind,
            seen.filesystem,
            seen.read_only,
            seen.could,
            seen.content
        ])
    };
    Value::Array(seen.into_iter().map(line).collect())
}

/// Reads what [`scan`] has given.
pub fn parse(text: &str) -> Result<Scan, serde_json::Error> {
    let list: Vec<(String, char, u64, bool, Could, Option<String>)> = serde_json::from_str(text)?;
    let seen = |(path, kind, filesystem, read_only, could, content)| {
        let seen = Seen {
            kind,
            filesystem,
            read_only,
            could,
            content,
        };
        (path, seen)
    };
    Ok(list.into_iter().map(seen).collect())
}

/// What is another one for each process, or each time. Of processes the container's first one is looked at.
fn is_passing((root, own): &(String, bool), path: &str) -> bool {
    let below = path.strip_prefix(root.as_str()).unwrap_or_default();
    let mut names = below.trim_start_matches('/').split('/');
    let first = names.next().unwrap_or_default();
    let is_process = !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_digit());
    let passes = |name| matches!(name, "fd" | "fdinfo" | "map_files" | "task");
    is_process && (!own || first != "1" || names.next().is_some_and(passes))
}

fn walk(root: &(String, bool), path: &str, read: &[String], seen: &mut Vec<(String, Seen)>) {
    if is_passing(root, path) {
        return;
    }
    let Ok(stat) = lstat(path) else { return };
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => '-',
        FileType::Directory => 'd',
        FileType::Symlink => 'l',
        _ => 'c',
    };
    let found = (kind != 'l').then(|| statfs(path).ok()).flatten();
    let content = read
        .iter()
        .any(|wanted| wanted == path)
        .then(|| content(path, kind));
    let tries: &[(&str, Try)] = match kind {
        'd' => FOLDERS,
        'l' => &[],
        _ => FILES,
    };
    let entry = Seen {
        kind,
        filesystem: found.map_or(0, |found| found.f_type as u64),
        read_only: found.is_some_and(|found| found.f_flags as u64 & READ_ONLY != 0),
        could: tried(path, tries).collect(),
        content,
    };
    seen.push((path.to_owned(), entry));
    if kind != 'd' {
        return;
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort_unstable();
    for name in names {
        walk(
            root,
            &format!("{}/{name}", path.trim_end_matches('/')),
            read,
            seen,
        );
    }
}

fn content(path: &str, kind: char) -> String {
    let list = |folder| {
        let mut names: Vec<_> = fs::read_dir(folder)?
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort_unstable();
        Ok(names.join(" "))
    };
    let text = || -> io::Result<String> {
        if kind == 'd' {
            return list(path);
        }
        let file: File = open(path, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty())?.into();
        let mut bytes = Vec::new();
        file.take(1 << 10).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    text().unwrap_or_else(|error| error.to_string())
}

type Try = fn(&str) -> io::Result<()>;

fn tried(path: &str, tries: &[(&str, Try)]) -> impl Iterator<Item = String> {
    let could = tries.iter().filter(|(_, attempt)| attempt(path).is_ok());
    could
        .map(|(name, _)| (*name).to_owned())
        .collect::<Vec<_>>()
        .into_iter()
}

const FILES: &[(&str, Try)] = &[
    ("write", |path| opened(path, OFlags::WRONLY).map(drop)),
    ("update", |path| opened(path, OFlags::RDWR).map(drop)),
    ("append", |path| {
        opened(path, OFlags::WRONLY | OFlags::APPEND).map(drop)
    }),
    ("cut", |path| {
        opened(path, OFlags::RDONLY | OFlags::TRUNC).map(drop)
    }),
    ("reopen", reopen),
    ("truncate", |path| Ok(nix::unistd::truncate(path, 0)?)),
    ("chmod", chmod),
    ("chown", chown),
    ("utime", utime),
    ("setxattr", |path| {
        Ok(setxattr(path, "user.try", b"1", XattrFlags::empty())?)
    }),
    ("link", |path| {
        made(path, ".link", |new| linkat(CWD, path, CWD, new, AtFlags::empty()))
    }),
];

const FOLDERS: &[(&str, Try)] = &[
    ("chmod", chmod),
    ("chown", chown),
    ("utime", utime),
    ("setxattr", |path| {
        Ok(setxattr(path, "user.try", b"1", XattrFlags::empty())?)
    }),
    ("create", |path| {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        made(path, "/new", |new| {
            open(new, flags, Mode::from_raw_mode(0o600)).map(drop)
        })
    }),
    ("symlink", |path| {
        made(path, "/new", |new| symlinkat("x", CWD, new))
    }),
    ("mknod", |path| {
        let mode = Mode::from_raw_mode(0o600);
        made(path, "/new", |new| mknodat(CWD, new, FileType::Fifo, mode, 0))
    }),
    ("mkdir", |path| {
        let new = format!("{path}/new");
        mkdirat(CWD, &*new, Mode::from_raw_mode(0o700))?;
        Ok(unlinkat(CWD, &*new, AtFlags::REMOVEDIR)?)
    }),
];

const LAST: &[(&str, Try)] = &[
    ("rename", rename),
    ("unlink", |path| Ok(unlinkat(CWD, path, AtFlags::empty())?)),
];

const LAST_OF_FOLDERS: &[(&str, Try)] = &[
    ("rename", rename),
    ("rmdir", |path| Ok(unlinkat(CWD, path, AtFlags::REMOVEDIR)?)),
];

fn opened(path: &str, flags: OFlags) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    Ok(open(path, flags, Mode::empty())?)
}

fn reopen(path: &str) -> io::Result<()> {
    let file = opened(path, OFlags::PATH)?;
    let again = format!("/proc/self/fd/{}", file.as_raw_fd());
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    Ok(open(again, flags, Mode::empty()).map(drop)?)
}

/// To the same, which is no change: a mode of procfs is one for the whole machine.
fn chmod(path: &str) -> io::Result<()> {
    let mode = Mode::from_raw_mode(lstat(path)?.st_mode & 0o7777);
    Ok(chmodat(CWD, path, mode, AtFlags::empty())?)
}

fn chown(path: &str) -> io::Result<()> {
    let stat = lstat(path)?;
    let (user, group) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    Ok(chownat(
        CWD,
        path,
        Some(user),
        Some(group),
        AtFlags::SYMLINK_NOFOLLOW,
    )?)
}

fn utime(path: &str) -> io::Result<()> {
    let stat = lstat(path)?;
    let time = |seconds, nanoseconds| rustix::fs::Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds,
    };
    let times = Timestamps {
        last_access: time(stat.st_atime as _, stat.st_atime_nsec as _),
        last_modification: time(stat.st_mtime as _, stat.st_mtime_nsec as _),
    };
    Ok(utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Makes `path` and `name` by `make`, and takes it away again.
fn made(path: &str, name: &str, make: impl FnOnce(&str) -> rustix::io::Result<()>) -> io::Result<()> {
    let new = format!("{path}{name}");
    make(&new)?;
    Ok(unlinkat(CWD, &*new, AtFlags::empty())?)
}

fn rename(path: &str) -> io::Result<()> {
    let new = format!("{path}.new");
    renameat_with(CWD, path, CWD, &*new, RenameFlags::NOREPLACE)?;
    Ok(renameat_with(CWD, &*new, CWD, path, RenameFlags::NOREPLACE)?)
}
