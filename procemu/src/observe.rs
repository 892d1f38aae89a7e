//! What one procfs, or one sysfs, has of a table's keys: plain data, gathered once, on which the plan is then computed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, StatFs, fstat, fstatfs, openat, statat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::filesystem::Filesystem;
use crate::key::SysctlKey;
use crate::namespaced;
use crate::root::{Root, is, link_target, list};
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
        self.look(table, probing, Lists::All)
    }

    /// The same, enough for [`crate::Needs`]: entries of folders are left out, since to list one takes longer than to ask for a few keys.
    pub(crate) fn observe_keys(&self, table: &Table, probing: Probing) -> Result<Observation> {
        self.look(table, probing, Lists::WhereManyLack)
    }

    fn look(&self, table: &Table, probing: Probing, lists: Lists) -> Result<Observation> {
        let device = fstat(self.handle())
            .map_err(|e| Error::call(self.call("fstat", ""), e))?
            .st_dev;
        let mut observer = Observer {
            root: self,
            probing,
            lists,
            device,
            lacking: BTreeMap::new(),
            reached: BTreeMap::new(),
            folders: BTreeMap::new(),
            whole: BTreeSet::new(),
        };
        let mut keys = Vec::with_capacity(table.len());
        for (key, entry) in table
            .iter()
            .filter(|(key, _)| key.filesystem() == self.filesystem())
        {
            let seen = observer.look(key, entry)?;
            if needs_room(&seen, entry.when) {
                observer.list_above(key, &seen)?;
            }
            keys.push((key.clone(), seen));
        }
        Ok(Observation {
            filesystem: self.filesystem(),
            keys: keys.into_iter().collect(),
            folders: observer.folders,
        })
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

/// Which folders are listed of those that have to make room for a key.
#[derive(Clone, Copy, PartialEq)]
enum Lists {
    All,
    /// Where so many keys lack that a list is sooner made than each asked for.
    WhereManyLack,
}

/// From how many on that is so: `/proc/sys/kernel` with 118 entries takes as long as some 40 that are not there, and is the largest.
const MANY: usize = 16;

struct Observer<'a> {
    root: &'a Root,
    probing: Probing,
    lists: Lists,
    device: u64,
    /// How many keys were found to lack in each folder.
    lacking: BTreeMap<String, usize>,
    /// Where the way to each folder that was asked for ends.
    reached: BTreeMap<String, Reached>,
    /// Folders already listed.
    folders: BTreeMap<String, Folder>,
    /// Those of them whose list says what is there and what is not: of this file system itself.
    whole: BTreeSet<String>,
}

/// Where the way to a folder ends.
#[derive(Clone)]
enum Reached {
    /// There.
    Folder(Rc<OwnedFd>),
    /// At the deepest folder on it that exists.
    Missing { nearest: String },
    /// At a file.
    Blocked { at: String },
}

impl Observer<'_> {
    fn look(&mut self, key: &SysctlKey, entry: &Entry) -> Result<Seen> {
        let dir = match self.reach(key.parent())? {
            Reached::Folder(dir) => dir,
            Reached::Missing { nearest } => return Ok(Seen::Missing { nearest }),
            Reached::Blocked { at } => return Ok(Seen::Blocked { at }),
        };
        let missing = || Seen::Missing {
            nearest: key.parent().to_owned(),
        };
        let kind = match self.listed(key.parent()) {
            Some(folder) => match folder.entries.get(key.name()) {
                Some(listed) => listed.kind.clone(),
                None => return Ok(missing()),
            },
            None => match statat(&*dir, key.name(), AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => match FileType::from_raw_mode(stat.st_mode) {
                    FileType::Directory => Kind::Folder,
                    FileType::Symlink => Kind::Link(self.target(&dir, key.name(), key.path())?),
                    _ => Kind::File,
                },
                Err(Errno::NOENT) => return Ok(missing()),
                Err(errno) => return Err(Error::call(self.root.call("fstatat", key.path()), errno)),
            },
        };
        // A folder, and a key that stays as it is, need no further question.
        if kind == Kind::Folder || entry.when == When::Missing {
            return Ok(Seen::Present {
                kind,
                serves: true,
                read_only: false,
            });
        }
        let handle = openat(&*dir, key.name(), HANDLE, Mode::empty())
            .map_err(|e| Error::call(self.root.call("open", key.path()), e))?;
        let found = fstatfs(&handle).map_err(|e| Error::call(self.root.call("fstatfs", key.path()), e))?;
        let serves = match entry.when {
            When::Unwritable => self.takes_writes(&dir, key)?,
            When::Zero => !self.is_zero(&dir, key),
            When::Missing | When::Always => true,
        };
        Ok(Seen::Present {
            kind,
            serves,
            read_only: read_only(&found),
        })
    }

    /// The list of `folder`, where it was made and can be relied on.
    fn listed(&self, folder: &str) -> Option<&Folder> {
        self.folders.get(folder).filter(|_| self.whole.contains(folder))
    }

    /// Whether `key` counts nothing, and would have by now.
    fn is_zero(&self, dir: &OwnedFd, key: &SysctlKey) -> bool {
        // Asked first: no counter has to have moved in a kernel's first tick, and what is replaced then stays replaced.
        let ticked = crate::uptime::ticks() > 0;
        let content = self.root.read_in(dir, key.path());
        ticked && content.is_ok_and(|content| first_line_is_zero(&content))
    }

    /// Whether `key` opens for writing and, where that may be tried, takes the value that it has.
    fn takes_writes(&self, dir: &OwnedFd, key: &SysctlKey) -> Result<bool> {
        let refused = |error: &io::Error| {
            matches!(
                error.raw_os_error(),
                Some(libc::EROFS | libc::EACCES | libc::EPERM | libc::EIO | libc::EINVAL)
            )
        };
        let mut file = match self.root.open_in(dir, key.path(), OFlags::WRONLY) {
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
        let Ok(value) = self.root.read_in(dir, key.path()) else {
            return Ok(true);
        };
        match file.write(&value) {
            Ok(_) => Ok(true),
            Err(error) if refused(&error) => Ok(false),
            Err(error) => Err(Error::call(self.root.call("write back", key.path()), error)),
        }
    }

    /// Lists every existing folder above `key`, the root aside: it can't be overmounted, so nobody asks.
    fn list_above(&mut self, key: &SysctlKey, seen: &Seen) -> Result<()> {
        let mut path = key.parent();
        // Where one is listed, those above it are.
        while !path.is_empty() && !self.folders.contains_key(path) {
            self.list_if(self.lists == Lists::All, path)?;
            path = split(path).0;
        }
        match seen {
            Seen::Missing { nearest } if self.lists == Lists::WhereManyLack && !nearest.is_empty() => {
                let lacking = self.lacking.entry(nearest.clone()).or_default();
                *lacking += 1;
                match *lacking == MANY {
                    true => self.list_if(true, nearest),
                    false => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// Notes the folder `path`, if there is one, with its entries if `listed`.
    fn list_if(&mut self, listed: bool, path: &str) -> Result<()> {
        if let Reached::Folder(dir) = self.reach(path)? {
            let found = fstatfs(&*dir).map_err(|e| Error::call(self.root.call("fstatfs", path), e))?;
            let folder = Folder {
                entries: if listed {
                    self.list(&dir, path)?
                } else {
                    BTreeMap::new()
                },
                read_only: read_only(&found),
            };
            if listed && self.root.filesystem().is(&found) {
                self.whole.insert(path.to_owned());
            }
            self.folders.insert(path.to_owned(), folder);
        }
        Ok(())
    }

    fn list(&self, dir: &OwnedFd, path: &str) -> Result<BTreeMap<String, Listed>> {
        let failed = |call: &str, errno: io::Error| Error::call(self.root.call(call, path), errno);
        let mut entries = Vec::new();
        // One for all of a hundred entries.
        let mut child = join(path, "");
        let folder = child.len();
        for (name, listed) in list(dir.as_fd()).map_err(|e| failed("getdents", e))? {
            child.truncate(folder);
            child.push_str(&name);
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
            entries.push((name, Listed { kind, own }));
        }
        Ok(entries.into_iter().collect())
    }

    fn target(&self, dir: &OwnedFd, name: &str, path: &str) -> Result<String> {
        link_target(dir.as_fd(), name).map_err(|e| Error::call(self.root.call("readlink", path), e))
    }

    /// Goes to `folder` (`""` is the root), from the folder above it.
    fn reach(&mut self, folder: &str) -> Result<Reached> {
        if let Some(known) = self.reached.get(folder) {
            return Ok(known.clone());
        }
        let failed = |error| Error::call(self.root.call("open", folder), error);
        let reached = if folder.is_empty() {
            Reached::Folder(Rc::new(self.root.folder("").map_err(failed)?))
        } else {
            let (above, name) = split(folder);
            match self.reach(above)? {
                Reached::Folder(dir) => self.step(&dir, above, name, folder)?,
                ended => ended,
            }
        };
        self.reached.insert(folder.to_owned(), reached.clone());
        Ok(reached)
    }

    /// From `dir`, the folder `above`, to `name` in it, which is `folder`.
    fn step(&self, dir: &OwnedFd, above: &str, name: &str, folder: &str) -> Result<Reached> {
        let missing = || Reached::Missing {
            nearest: above.to_owned(),
        };
        let lacks = |listed: &Folder| !listed.entries.contains_key(name);
        if self.listed(above).is_some_and(lacks) {
            return Ok(missing());
        }
        let is_folder = |fd: &OwnedFd| is(fd, FileType::Directory).unwrap_or(false);
        let opened = match openat(dir, name, HANDLE, Mode::empty()) {
            Ok(fd) if is_folder(&fd) => Ok(fd),
            Err(Errno::NOENT) => return Ok(missing()),
            // A link, whose way may begin anywhere, or what cannot be opened.
            _ => self.root.folder(folder),
        };
        match opened {
            Ok(fd) => Ok(Reached::Folder(Rc::new(fd))),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(missing()),
            Err(error) if error.raw_os_error() == Some(libc::ENOTDIR) => Ok(Reached::Blocked {
                at: folder.to_owned(),
            }),
            Err(error) => Err(Error::call(self.root.call("open", folder), error)),
        }
    }
}

/// How a handle is opened: the topmost mount there, no link followed.
const HANDLE: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Whether the first line of `content` has numbers, and all are 0: `0`, `cpu  0 0 0 0`.
pub(crate) fn first_line_is_zero(content: &[u8]) -> bool {
    let line = content.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let mut numbers = line
        .split(u8::is_ascii_whitespace)
        .filter(|word| word.iter().all(u8::is_ascii_digit) && !word.is_empty())
        .peekable();
    numbers.peek().is_some() && numbers.all(|number| number.iter().all(|digit| *digit == b'0'))
}

fn read_only(found: &StatFs) -> bool {
    found.f_flags as u64 & libc::ST_RDONLY != 0
}

/// The folder that `path` lies in, and its name there.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() {
        name.to_owned()
    } else {
        format!("{folder}/{name}")
    }
}
