//! Templates: what all containers with one table have in common, built once and cloned.
//!
//! Passing a folder's originals through costs a mount for each, a hundred in `/proc/sys/kernel`. Most belong to no namespace and are
//! read-only, as our keys beside them are: one tree can be mounted in any number of containers, by one call each. What belongs to a
//! namespace is put on the clone in the container.
//!
//! The tree is kept in a mount namespace of its own, which a file pins: in any other namespace all its mounts would be copied into
//! every new one. The kernel copies no such file into new namespaces, so it is found in one only, the engine's; who attaches
//! in a container goes there, and in a thread of its own.

mod build;
mod content;
mod store;

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, setns};
use rustix::fs::{CWD, Mode, OFlags, fstat, openat};
use rustix::mount::{OpenTreeFlags, open_tree};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::namespace::in_thread;

pub(crate) use content::Content;

/// Where templates are kept, for processes that are in other mount namespaces by the time they need one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Templates {
    /// A process in whose mount namespace the folder is, as the procfs at `/proc` numbers it.
    pid: u32,
    /// The inode number of that namespace, which tells the process from a later one of the same number.
    namespace: u64,
    /// The folder.
    folder: PathBuf,
}

/// The file in the root of a template's namespace that says what it holds.
const CONTENT: &str = "content";

impl Templates {
    /// Those in `folder` of the mount namespace that the process `pid` is in, which has to be there as long as this is used. The folder is
    /// made with the first template, for its owner alone.
    ///
    /// # Errors
    /// `System` where the process cannot be looked at.
    pub fn of(pid: u32, folder: impl Into<PathBuf>) -> Result<Self> {
        let path = file_of(pid);
        let found = fs::metadata(&path).map_err(|e| Error::call(format!("stat({path})"), e))?;
        Ok(Self {
            pid,
            namespace: found.ino(),
            folder: folder.into(),
        })
    }

    /// Takes all templates in `folder` of this mount namespace off. What was cloned from one stays.
    ///
    /// # Errors
    /// `System` or `Denied` for what cannot be taken off; `Place` for a folder that others could write to.
    pub fn clear(folder: &Path) -> Result<()> {
        store::clear(folder)
    }

    /// Clones of the folders of the template with `content`, in the order of its parts; it is built where there is none.
    ///
    /// # Errors
    /// Whatever keeps it from being had: the process has gone, the caller may not enter its namespace, the kernel lacks what is needed.
    pub(crate) fn clones(&self, content: &Content<'_>) -> Result<Vec<OwnedFd>> {
        let text = content.to_string();
        let taken = in_thread(|| {
            let engine = open(CWD, Path::new(&file_of(self.pid)), OFlags::empty())?;
            if fstat(&engine).map_err(|e| Error::call("fstat", e))?.st_ino != self.namespace {
                return Err(Error::place(format!(
                    "process {} is another one by now",
                    self.pid
                )));
            }
            enter(&engine)?;
            enter(&store::find_or_make(&self.folder, content, &text, &engine)?)?;
            take(content, &text)
        });
        taken.map_err(|error| error.during("template"))
    }
}

fn file_of(pid: u32) -> String {
    format!("/proc/{pid}/ns/mnt")
}

/// From within the template's namespace.
fn take(content: &Content<'_>, text: &str) -> Result<Vec<OwnedFd>> {
    let root = open(CWD, Path::new("/"), OFlags::PATH)?;
    let mut found = String::new();
    File::from(open(&root, Path::new(CONTENT), OFlags::NOFOLLOW)?)
        .read_to_string(&mut found)
        .map_err(|e| Error::call(format!("read({CONTENT})"), e))?;
    if found != text {
        return Err(Error::place("it holds something else"));
    }
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE
        | OpenTreeFlags::AT_SYMLINK_NOFOLLOW;
    let clone = |part: &str| {
        let path = format!("{}/{part}", content.layer());
        open_tree(&root, &path, flags).map_err(|e| Error::call(format!("open_tree({path})"), e))
    };
    content.parts().map(clone).collect()
}

fn open(at: impl AsFd, path: &Path, flags: OFlags) -> Result<OwnedFd> {
    openat(at, path, OFlags::RDONLY | OFlags::CLOEXEC | flags, Mode::empty())
        .map_err(|e| Error::call(format!("open({})", path.display()), e))
}

fn enter(namespace: &OwnedFd) -> Result<()> {
    setns(namespace, CloneFlags::CLONE_NEWNS).map_err(|e| Error::call("setns(mnt)", e))
}
