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
mod namespaces;
mod store;

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, setns};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, fstat, openat, statat};
use rustix::mount::{OpenTreeFlags, open_tree};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::namespace::in_thread;
use crate::root::{Root, list};

pub(crate) use content::Content;

/// Where templates are kept, for processes that are in other mount namespaces by the time they need one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Templates {
    /// A process in whose mount namespace the folder is, as the procfs at `/proc` numbers it.
    pid: u32,
    /// When it began, in clock ticks since boot, which tells it from a later one of the same number.
    start: u64,
    /// The inode number of that namespace, which it might leave.
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
    /// `System` where the process cannot be looked at; `Place` where there is no procfs at `/proc`.
    pub fn of(pid: u32, folder: impl Into<PathBuf>) -> Result<Self> {
        let proc = Root::procfs("/proc")?;
        Ok(Self {
            pid,
            start: start_of(&proc, pid)?,
            namespace: inode(&namespace_of(&proc, &pid.to_string())?)?,
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

    /// Whether the process that `other` names is in the same mount namespace.
    pub fn is_in_namespace_of(&self, other: &Self) -> bool {
        self.namespace == other.namespace
    }

    /// The mount namespace that the folder is in.
    fn engine(&self) -> Result<OwnedFd> {
        let proc = Root::procfs("/proc")?;
        let engine = self.namespace_of_a_thread(&proc)?;
        // After the namespace: whoever has the number now had it then.
        match engine {
            Some(engine) if start_of(&proc, self.pid)? == self.start => Ok(engine),
            _ => Err(Error::place(format!(
                "process {} is another one by now, or in another mount namespace",
                self.pid
            ))),
        }
    }

    /// The namespace, of any thread of the process that is in it. `/proc` shows that of the first one as the process's, and a runtime
    /// may have that one elsewhere for a while: runc 1.5.2 was seen so, in one of thirty starts, as Go takes any thread for anything.
    fn namespace_of_a_thread(&self, proc: &Root) -> Result<Option<OwnedFd>> {
        let first = namespace_of(proc, &self.pid.to_string())?;
        if inode(&first)? == self.namespace {
            return Ok(Some(first));
        }
        let path = format!("{}/task", self.pid);
        let threads = proc.folder(&path).and_then(|threads| list(threads.as_fd()));
        for (thread, _) in threads.map_err(|e| Error::call(format!("getdents(/proc/{path})"), e))? {
            match namespace_of(proc, &format!("{path}/{thread}")) {
                Ok(namespace) if inode(&namespace)? == self.namespace => return Ok(Some(namespace)),
                // Another's, or of a thread that has ended.
                _ => {}
            }
        }
        Ok(None)
    }

    /// Clones of the folders of the template with `content`, in the order of its parts; it is built where there is none.
    ///
    /// # Errors
    /// Whatever keeps it from being had: the process has gone, the caller may not enter its namespace, the kernel lacks what is needed.
    pub(crate) fn clones(&self, content: &Content<'_>) -> Result<Vec<OwnedFd>> {
        let text = content.text();
        let taken = in_thread(|| {
            let engine = self.engine()?;
            enter(&engine)?;
            enter(&store::find_or_make(&self.folder, content, &text, &engine)?)?;
            take(content, &text).inspect_err(|_| {
                // The next container that asks has it built.
                let _ = enter(&engine).and_then(|()| store::forget(&self.folder, &text));
            })
        });
        taken.map_err(|error| error.during("template"))
    }
}

/// When the process `pid` began (proc_pid_stat(5), field 22; the second one is a name that may hold anything, in parentheses).
fn start_of(proc: &Root, pid: u32) -> Result<u64> {
    let path = format!("{pid}/stat");
    let stat = proc
        .read(&path)
        .map_err(|e| Error::call(format!("read(/proc/{path})"), e))?;
    let stat = String::from_utf8_lossy(&stat);
    let start = stat
        .rsplit_once(')')
        .and_then(|(_, rest)| rest.split_whitespace().nth(19)?.parse().ok());
    start.ok_or_else(|| Error::place(format!("/proc/{path} does not say when the process began")))
}

/// The mount namespace of what has its folder in `/proc` at `path`: a process, or a thread.
fn namespace_of(proc: &Root, path: &str) -> Result<OwnedFd> {
    open(
        proc.handle(),
        Path::new(&format!("{path}/ns/mnt")),
        OFlags::empty(),
    )
}

fn inode(file: &OwnedFd) -> Result<u64> {
    Ok(fstat(file).map_err(|e| Error::call("fstat(ns/mnt)", e))?.st_ino)
}

/// From within the template's namespace.
///
/// # Errors
/// `Place` for one that is another, or whose originals are no longer those of the kernel.
fn take(content: &Content<'_>, text: &str) -> Result<Vec<OwnedFd>> {
    let root = open(CWD, Path::new("/"), OFlags::PATH)?;
    let mut found = String::new();
    File::from(open(&root, Path::new(CONTENT), OFlags::NOFOLLOW)?)
        .read_to_string(&mut found)
        .map_err(|e| Error::call(format!("read({CONTENT})"), e))?;
    if found != text {
        return Err(Error::place("it holds something else"));
    }
    // A module that was unloaded has taken its keys along; loaded again, it has others of the same names.
    let layer = open(&root, Path::new(content.layer()), OFlags::PATH)?;
    let mut folder = None;
    for path in content.passed() {
        let (parent, name) = path.rsplit_once('/').unwrap_or((".", path));
        // Those of one folder follow each other, and the way there takes longer than the look.
        let (_, folder) = match folder.take_if(|(at, _)| *at == parent) {
            Some(last) => folder.insert(last),
            None => folder.insert((parent, open(&layer, Path::new(parent), OFlags::PATH)?)),
        };
        statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| Error::call(format!("fstatat({path})"), e))?;
    }
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE
        | OpenTreeFlags::AT_SYMLINK_NOFOLLOW;
    let clone =
        |part: &str| open_tree(&layer, part, flags).map_err(|e| Error::call(format!("open_tree({part})"), e));
    content.parts().map(clone).collect()
}

fn open(at: impl AsFd, path: &Path, flags: OFlags) -> Result<OwnedFd> {
    openat(at, path, OFlags::RDONLY | OFlags::CLOEXEC | flags, Mode::empty())
        .map_err(|e| Error::call(format!("open({})", path.display()), e))
}

fn enter(namespace: &OwnedFd) -> Result<()> {
    setns(namespace, CloneFlags::CLONE_NEWNS).map_err(|e| Error::call("setns(mnt)", e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn a_process_whose_first_thread_is_elsewhere_is_still_in_its_namespace() {
        let proc = Root::procfs("/proc").unwrap();
        let (tell, told) = channel();
        let (end, ended) = channel::<()>();
        let thread = std::thread::spawn(move || {
            let elsewhere = nix::sched::unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS);
            tell.send(elsewhere.map(|()| nix::unistd::gettid())).unwrap();
            // Until the other end is dropped.
            let _ = ended.recv();
        });
        match told.recv().unwrap() {
            Err(errno) => eprintln!("skipped: needs root, to make a mount namespace ({errno})"),
            Ok(thread) => {
                let pid = std::process::id();
                let here = Templates::of(pid, "/nowhere").unwrap();
                let there = namespace_of(&proc, &format!("{pid}/task/{thread}")).unwrap();
                let there = Templates {
                    namespace: inode(&there).unwrap(),
                    ..here.clone()
                };
                assert!(!there.is_in_namespace_of(&here));
                for templates in [&here, &there] {
                    assert_eq!(inode(&templates.engine().unwrap()).unwrap(), templates.namespace);
                }
                let nowhere = Templates { namespace: 1, ..here };
                let error = nowhere.engine().unwrap_err().line();
                assert!(
                    error.contains("is another one by now, or in another mount namespace"),
                    "{error}"
                );
            }
        }
        drop(end);
        thread.join().unwrap();
    }
}
