//! What one procfs, or one sysfs, has of a table's keys: plain data, gathered once, on which the plan is then computed.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use rustix::fs::{AtFlags, FileType, OFlags, StatVfsMountFlags, fstat, fstatvfs, statat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::filesystem::Filesystem;
use crate::key::SysctlKey;
use crate::namespaced;
use crate::root::{Root, link_target, list};
use crate::table::{Entry, Table, When};

/// What an entry of a folder is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A key, or anything else that is not one of the others.
    File,
    /// A folder.
    Folder,
    /// A symlink and its target: an overmount around a program has them.
    Link(String),
}

/// One entry of a listed folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// What it is.
    pub kind: Kind,
    /// Whether it is the procfs's own, not something mounted or made over it. Known for namespaced entries only,
    /// where it decides between a link and a bind; true for the rest.
    pub own: bool,
}

/// A folder that may have to be overmounted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folder {
    /// Every entry by name.
    pub entries: BTreeMap<String, Listed>,
    /// Whether the mount that it lies on is read-only.
    pub read_only: bool,
}

/// What is there of one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    /// Nothing; `nearest` is the deepest folder on its path that exists (`""` is the root of procfs).
    Missing {
        /// Relative to the root of procfs.
        nearest: String,
    },
    /// Something by that name.
    Present {
        /// What it is.
        kind: Kind,
        /// Whether it does what the entry's `when` asks: with `unwritable` it opens for writing and takes its own value, with
        /// `zero` it says something else than 0. True for the rest, which are not asked.
        serves: bool,
        /// Whether the mount that it lies on is read-only.
        read_only: bool,
    },
    /// A file stands where a folder of its path should be.
    Blocked {
        /// That file, relative to the root of procfs.
        at: String,
    },
}

/// What a procfs, or a sysfs, has of a table's keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// Which of the two was looked at.
    #[serde(default)]
    pub filesystem: Filesystem,
    /// Each key of the table that lies in it.
    pub keys: BTreeMap<SysctlKey, Seen>,
    /// Each existing folder, but for the root, above a key that will have to be added or replaced.
    pub folders: BTreeMap<String, Folder>,
}

/// How far an observation may go to find out whether a key is writable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probing {
    /// Open it for writing, and write back the value that it has: a stuck key is found by nothing less. Keys below
    /// `/proc/sys/net` are opened only, since what is written there can reach other keys, and so are those in `/sys`, where
    /// a write may be an order to a device.
    WriteBack,
    /// Open it for writing only; nothing is written.
    Open,
}

impl Root {
    /// Looks at every key of `table` that lies in this file system. Only keys with `when = "unwritable"` are opened for writing.
    ///
    /// # Errors
    /// `System` or `Denied` where a folder cannot be looked into.
    pub fn observe(&self, table: &Table, probing: Probing) -> Result<Observation> {
        let device = fstat(self.handle())
            .map_err(|e| Error::call(self.call("fstat", ""), e))?
            .st_dev;
        let mut observer = Observer {
            root: self,
            probing,
            device,
            handles: BTreeMap::new(),
            found: Observation {
                filesystem: self.filesystem(),
                ..Observation::default()
            },
        };
        for (key, entry) in table
            .iter()
            .filter(|(key, _)| key.filesystem() == self.filesystem())
        {
            let seen = observer.look(key, entry)?;
            if needs_room(&seen, entry.when) {
                observer.list_above(key)?;
            }
            observer.found.keys.insert(key.clone(), seen);
        }
        Ok(observer.found)
    }

    fn call(&self, name: &str, path: &str) -> String {
        format!("observe: {name}({})", self.show(path))
    }
}

/// Whether the key will have to be put somewhere.
fn needs_room(seen: &Seen, when: When) -> bool {
    match seen {
        Seen::Missing { .. } => true,
        Seen::Present { serves, .. } => match when {
            When::Missing => false,
            When::Unwritable | When::Zero => !serves,
            When::Always => true,
        },
        Seen::Blocked { .. } => false,
    }
}

struct Observer<'a> {
    root: &'a Root,
    probing: Probing,
    device: u64,
    /// Folders already opened; `None` for one that does not exist.
    handles: BTreeMap<String, Option<Rc<OwnedFd>>>,
    found: Observation,
}

impl Observer<'_> {
    fn look(&mut self, key: &SysctlKey, entry: &Entry) -> Result<Seen> {
        let mut nearest = String::new();
        let mut at = self.handle("")?;
        for name in key.parent().split('/').filter(|name| !name.is_empty()) {
            let path = join(&nearest, name);
            match self.handle(&path) {
                Ok(Some(fd)) => {
                    at = Some(fd);
                    nearest = path;
                }
                Ok(None) => return Ok(Seen::Missing { nearest }),
                Err(error) if error.errno() == Some(libc::ENOTDIR) => return Ok(Seen::Blocked { at: path }),
                Err(error) => return Err(error),
            }
        }
        let Some(dir) = at else {
            return Ok(Seen::Missing { nearest });
        };
        let stat = match statat(&*dir, key.name(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(Seen::Missing { nearest }),
            Err(errno) => return Err(Error::call(self.root.call("fstatat", key.path()), errno)),
        };
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Kind::Folder,
            FileType::Symlink => Kind::Link(self.target(&dir, key.name(), key.path())?),
            _ => Kind::File,
        };
        // A folder, and a key that stays as it is, need no further question.
        if kind == Kind::Folder || entry.when == When::Missing {
            return Ok(Seen::Present {
                kind,
                serves: true,
                read_only: false,
            });
        }
        let handle = self
            .root
            .walk(key.path())
            .map_err(|e| Error::call(self.root.call("open", key.path()), e))?;
        let read_only =
            read_only(&handle).map_err(|e| Error::call(self.root.call("fstatvfs", key.path()), e))?;
        let serves = match entry.when {
            When::Unwritable => self.takes_writes(key)?,
            When::Zero => !self.is_zero(key),
            When::Missing | When::Always => true,
        };
        Ok(Seen::Present {
            kind,
            serves,
            read_only,
        })
    }

    /// Whether `key` counts nothing, and would have by now.
    fn is_zero(&self, key: &SysctlKey) -> bool {
        // Asked first: no counter has to have moved in a kernel's first tick, and what is replaced then stays replaced.
        let ticked = crate::uptime::ticks() > 0;
        let content = self.root.read(key.path());
        ticked && content.is_ok_and(|content| first_line_is_zero(&content))
    }

    /// Whether `key` opens for writing and, where that may be tried, takes the value that it has.
    fn takes_writes(&self, key: &SysctlKey) -> Result<bool> {
        let refused = |error: &io::Error| {
            matches!(
                error.raw_os_error(),
                Some(libc::EROFS | libc::EACCES | libc::EPERM | libc::EIO | libc::EINVAL)
            )
        };
        let mut file = match self.root.open_file(key.path(), OFlags::WRONLY) {
            Ok(file) => file,
            Err(error) if refused(&error) => return Ok(false),
            Err(error) => return Err(Error::call(self.root.call("open for writing", key.path()), error)),
        };
        // A network key's own value is not nothing to write: `net/ipv6/conf/all/*` copies it to every interface
        // (net/ipv6/addrconf.c), `net/ipv4/conf/*` and `neigh/*` take note that it was set (net/ipv4/devinet.c).
        // In sysfs files are triggers as often as values.
        let is_value = key.below_sys().is_some_and(|below| !below.starts_with("net/"))
            || (key.filesystem().is_proc() && key.below_sys().is_none());
        if self.probing == Probing::Open || !is_value {
            return Ok(true);
        }
        // A trigger that cannot be read has no value of its own to refuse.
        let Ok(value) = self.root.read(key.path()) else {
            return Ok(true);
        };
        match file.write(&value) {
            Ok(_) => Ok(true),
            Err(error) if refused(&error) => Ok(false),
            Err(error) => Err(Error::call(self.root.call("write back", key.path()), error)),
        }
    }

    /// Lists every existing folder above `key`, the root aside: it can't be overmounted, so nobody asks.
    fn list_above(&mut self, key: &SysctlKey) -> Result<()> {
        let mut path = String::new();
        for name in key.parent().split('/').filter(|name| !name.is_empty()) {
            path = join(&path, name);
            if self.found.folders.contains_key(&path) {
                continue;
            }
            let Some(dir) = self.handle(&path)? else { break };
            let folder = self.list(&dir, &path)?;
            self.found.folders.insert(path.clone(), folder);
        }
        Ok(())
    }

    fn list(&self, dir: &OwnedFd, path: &str) -> Result<Folder> {
        let failed = |call: &str, errno: io::Error| Error::call(self.root.call(call, path), errno);
        let mut entries = BTreeMap::new();
        for (name, listed) in list(dir.as_fd()).map_err(|e| failed("getdents", e))? {
            let child = join(path, &name);
            let mut kind = listed;
            let mut own = true;
            let anchored = self.root.filesystem().is_proc() && namespaced::anchor(&child).is_some();
            if kind == FileType::Unknown || anchored {
                match statat(dir, &*name, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) => {
                        kind = FileType::from_raw_mode(stat.st_mode);
                        own = stat.st_dev == self.device;
                    }
                    Err(Errno::NOENT) => continue,
                    Err(errno) => return Err(failed("fstatat", errno.into())),
                }
            }
            let kind = match kind {
                FileType::Directory => Kind::Folder,
                FileType::Symlink => Kind::Link(self.target(dir, &name, &child)?),
                _ => Kind::File,
            };
            entries.insert(name, Listed { kind, own });
        }
        let read_only = read_only(dir).map_err(|e| failed("fstatvfs", e))?;
        Ok(Folder { entries, read_only })
    }

    fn target(&self, dir: &OwnedFd, name: &str, path: &str) -> Result<String> {
        link_target(dir.as_fd(), name).map_err(|e| Error::call(self.root.call("readlink", path), e))
    }

    fn handle(&mut self, path: &str) -> Result<Option<Rc<OwnedFd>>> {
        if let Some(known) = self.handles.get(path) {
            return Ok(known.clone());
        }
        let opened = match self.root.folder(path) {
            Ok(fd) => Some(Rc::new(fd)),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => None,
            Err(error) => return Err(Error::call(self.root.call("open", path), error)),
        };
        self.handles.insert(path.to_owned(), opened.clone());
        Ok(opened)
    }
}

/// Whether the first line of `content` has numbers, and all are 0: `0`, `cpu  0 0 0 0`.
pub(crate) fn first_line_is_zero(content: &[u8]) -> bool {
    let line = content.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let mut numbers = line
        .split(u8::is_ascii_whitespace)
        .filter(|word| word.iter().all(u8::is_ascii_digit) && !word.is_empty())
        .peekable();
    numbers.peek().is_some() && numbers.all(|number| number.iter().all(|digit| *digit == b'0'))
}

fn read_only(fd: &OwnedFd) -> io::Result<bool> {
    Ok(fstatvfs(fd)?.f_flag.contains(StatVfsMountFlags::RDONLY))
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() {
        name.to_owned()
    } else {
        format!("{folder}/{name}")
    }
}
