//! Mount namespaces: one of its own for a program, and those of a running process.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use caps::{CapSet, Capability};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::{Gid, Uid, getegid, geteuid, setgroups, setresgid, setresuid};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::error::{Error, ErrorKind, Result};
use crate::privilege;
use crate::root::Root;

/// Whose ids a user namespace of our own shows, where one has to be made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ids {
    /// The caller's.
    #[default]
    Kept,
    /// Root's, for the caller.
    Root,
}

/// Moves the calling process into a mount namespace of its own whose `/proc` is private; gives the handle on that.
/// Everything else keeps its propagation. Without CAP_SYS_ADMIN, or with [`Ids::Root`] for a caller that is not
/// root, a user namespace is made with it.
///
/// The process must have one thread.
///
/// # Errors
/// `Denied` where neither is allowed, with what would be needed; `System` or `Place` where `/proc` cannot be
/// prepared. The process is in the new namespace then, and should end.
pub fn private(ids: Ids) -> Result<Root> {
    let (uid, gid) = (geteuid(), getegid());
    let wants_root = ids == Ids::Root && !uid.is_root();
    let plain = if wants_root {
        Err(nix::Error::EPERM)
    } else {
        unshare(CloneFlags::CLONE_NEWNS)
    };
    match plain {
        Ok(()) => {}
        Err(nix::Error::EPERM) => {
            // In the new namespace the process has them all.
            let sets_files = caps::has_cap(None, CapSet::Effective, Capability::CAP_SETFCAP).unwrap_or(true);
            unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS).map_err(no_namespace)?;
            map_ids(uid, gid, ids).map_err(|e| Error::call(no_map(sets_files, uid), e))?;
        }
        Err(errno) => return Err(Error::call("private namespace: unshare(CLONE_NEWNS)", errno)),
    }
    let private = MsFlags::MS_PRIVATE | MsFlags::MS_REC;
    mount(None::<&str>, "/proc", None::<&str>, private, None::<&str>)
        .map_err(|e| Error::call("private namespace: mount(/proc, MS_PRIVATE|MS_REC)", e))?;
    Root::procfs("/proc")
}

/// Runs `work` in a thread that may enter other mount namespaces: the caller's own, its root and its working folder stay what they
/// are.
///
/// # Errors
/// What `work` fails with; `System` if there can be no such thread.
pub(crate) fn in_thread<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let own = || {
            // Who shares its root and working folder with other threads may enter no mount namespace.
            unshare(CloneFlags::CLONE_FS).map_err(|e| Error::call("unshare(CLONE_FS)", e))?;
            work()
        };
        let started = std::thread::Builder::new().spawn_scoped(scope, own);
        let ended = started.map_err(|e| Error::call("clone(CLONE_THREAD)", e))?.join();
        ended.unwrap_or_else(|_| Err(Error::place("the thread panicked")))
    })
}

fn no_namespace(errno: nix::Error) -> Error {
    let hint = match fs::read_to_string("/proc/sys/user/max_user_namespaces") {
        Ok(limit) if limit.trim() == "0" => " (user.max_user_namespaces is 0)",
        _ => "",
    };
    let error = Error::call(
        format!(
            "private namespace: this needs CAP_SYS_ADMIN or a user namespace, and has neither: \
             unshare(CLONE_NEWUSER|CLONE_NEWNS){hint}"
        ),
        errno,
    );
    // ENOSPC and EUSERS are limits on namespaces, EINVAL a kernel without them: all of them the place's refusal.
    error.with_kind(ErrorKind::Denied)
}

/// What is not allowed where ids cannot be mapped. Root may be mapped only by who may set file capabilities, which would hold
/// outside (`verify_root_map` in kernel/user_namespace.c, Linux 5.12).
fn no_map(sets_files: bool, uid: Uid) -> &'static str {
    if uid.is_root() && !sets_files {
        "private namespace: root needs CAP_SYS_ADMIN, or CAP_SETFCAP for a user namespace, and has neither: \
         writing the id maps"
    } else {
        "private namespace: writing the id maps"
    }
}

fn map_ids(uid: Uid, gid: Gid, ids: Ids) -> io::Result<()> {
    let (inner_uid, inner_gid) = match ids {
        Ids::Kept => (uid.as_raw(), gid.as_raw()),
        Ids::Root => (0, 0),
    };
    // Before Linux 3.19 the file does not exist and the map needs no such promise.
    match fs::write("/proc/self/setgroups", "deny") {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::write("/proc/self/uid_map", format!("{inner_uid} {uid} 1\n"))?;
    fs::write("/proc/self/gid_map", format!("{inner_gid} {gid} 1\n"))
}

/// A process whose namespaces can be joined, held by a pidfd so that its pid cannot come to mean another.
#[derive(Debug)]
pub struct Target {
    pid: u32,
    pidfd: OwnedFd,
    is_elsewhere: bool,
}

/// In the order in which they are listed in namespaces(7), the mount namespace last.
const KINDS: [(&str, CloneFlags); 7] = [
    ("user", CloneFlags::CLONE_NEWUSER),
    ("cgroup", CloneFlags::CLONE_NEWCGROUP),
    ("ipc", CloneFlags::CLONE_NEWIPC),
    ("uts", CloneFlags::CLONE_NEWUTS),
    ("net", CloneFlags::CLONE_NEWNET),
    ("pid", CloneFlags::CLONE_NEWPID),
    ("mnt", CloneFlags::CLONE_NEWNS),
];

impl Target {
    /// Opens `pid` and finds out whether its mount namespace is the caller's.
    ///
    /// # Errors
    /// `Input` if there is no such process; `Denied` if its namespaces may not be looked at, or if `/proc` is another pid
    /// namespace's and the kernel does not tell which process this is there.
    pub fn open(pid: u32) -> Result<Self> {
        let no_such = || Error::input(format!("pid {pid}: no such process"));
        let raw = i32::try_from(pid)
            .ok()
            .and_then(Pid::from_raw)
            .ok_or_else(no_such)?;
        let pidfd = match pidfd_open(raw, PidfdFlags::empty()) {
            Ok(fd) => fd,
            Err(rustix::io::Errno::SRCH) => return Err(no_such()),
            Err(errno) => return Err(Error::call(format!("pidfd_open({pid})"), errno)),
        };
        // The links are read from /proc, which may belong to another pid namespace than the caller (a hook in a
        // container sees the host's): there the process goes by another number.
        let pid = number_in_proc(&pidfd).ok_or_else(|| {
            let what = format!("pid {pid}: cannot be found in /proc, which is that of another pid namespace");
            Error::place(what).with_kind(ErrorKind::Denied)
        })?;
        let is_elsewhere = is_in_another(pid, "mnt")?;
        Ok(Self {
            pid,
            pidfd,
            is_elsewhere,
        })
    }

    /// Whether it is in another mount namespace than the caller.
    pub fn is_elsewhere(&self) -> bool {
        self.is_elsewhere
    }

    /// Joins every namespace that is not the caller's already, and becomes root of its user namespace. The process
    /// must have one thread; the pid namespace holds for the children that it makes afterwards.
    ///
    /// # Errors
    /// `Denied` without CAP_SYS_ADMIN over the namespaces; `System` if the process is gone.
    pub fn join(&self) -> Result<()> {
        let failed = |call: &str, e: nix::Error| {
            Error::call(
                format!("join pid {}: {}", self.pid, privilege::explained(e as i32, call)),
                e,
            )
        };
        let mut flags = CloneFlags::empty();
        for (kind, flag) in KINDS {
            flags.set(flag, is_in_another(self.pid, kind)?);
        }
        // Else they may be those of another process, of the caller's own namespaces even, where there would be nothing to join.
        self.has_its_number()?;
        if flags.is_empty() {
            return Ok(());
        }
        match setns(self.pidfd.as_fd(), flags) {
            Ok(()) => {}
            // setns on a pidfd is Linux 5.8; before it, and in gVisor, each namespace has its file.
            Err(nix::Error::EINVAL | nix::Error::ENOSYS) => self.join_one_by_one(flags)?,
            Err(errno) => return Err(failed("setns(pidfd)", errno)),
        }
        if flags.contains(CloneFlags::CLONE_NEWUSER) {
            // A namespace may forbid setgroups; supplementary groups give nothing here.
            let _ = setgroups(&[]);
            let (root, group) = (Uid::from_raw(0), Gid::from_raw(0));
            setresgid(group, group, group).map_err(|e| failed("setresgid(0)", e))?;
            setresuid(root, root, root).map_err(|e| failed("setresuid(0)", e))?;
        }
        Ok(())
    }

    fn join_one_by_one(&self, flags: CloneFlags) -> Result<()> {
        let mut files = Vec::new();
        for (kind, flag) in KINDS.into_iter().filter(|(_, flag)| flags.contains(*flag)) {
            let path = format!("/proc/{}/ns/{kind}", self.pid);
            files.push((
                fs::File::open(&path).map_err(|e| Error::call(format!("open({path})"), e))?,
                path,
                flag,
            ));
        }
        self.has_its_number()?;
        // All are open before the first is joined: the mount namespace may show another /proc.
        for (file, path, flag) in files {
            setns(&file, flag).map_err(|e| Error::call(format!("setns({path})"), e))?;
        }
        Ok(())
    }

    /// As long as the process is there, its number is no other's, and what was read by that until now is its own.
    fn has_its_number(&self) -> Result<()> {
        let failed = |call: &str, e: io::Error| Error::call(format!("join pid {}{call}", self.pid), e);
        let number = number_in_fdinfo(&self.pidfd).map_err(|e| failed(": read(/proc/self/fdinfo)", e))?;
        match number == Some(self.pid) {
            true => Ok(()),
            false => Err(failed("", nix::Error::ESRCH.into())),
        }
    }
}

/// Whether the process that `/proc` numbers so is in another namespace of this kind than the caller. A kernel without that kind has
/// one for all.
fn is_in_another(pid: u32, kind: &str) -> Result<bool> {
    let at = |of: &str| {
        let path = format!("/proc/{of}/ns/{kind}");
        fs::read_link(&path).map_err(|e| (format!("readlink({path})"), e))
    };
    let failed = |(call, e)| Error::call(call, e);
    match at("self") {
        Err((_, e)) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        ours => Ok(ours.map_err(failed)? != at(&pid.to_string()).map_err(failed)?),
    }
}

/// The process's number in the pid namespace of `/proc`. The kernel tells it in the pidfd's fdinfo; gVisor gives the number in
/// the reader's namespace there, so that it is only good where the caller has the same number in both.
fn number_in_proc(pidfd: &OwnedFd) -> Option<u32> {
    let own = pidfd_open(rustix::process::getpid(), PidfdFlags::empty()).ok()?;
    let shown = fs::read_link("/proc/self").ok()?;
    let number = |pidfd| number_in_fdinfo(pidfd).ok().flatten();
    let same = shown.to_str()?.parse() == Ok(number(&own)?);
    number(pidfd).filter(|_| same)
}

/// "Pid:" in fdinfo, Linux 5.3; none of a process that is gone, nor of one that has no number there.
fn number_in_fdinfo(pidfd: &OwnedFd) -> io::Result<Option<u32>> {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()))?;
    let number = info.lines().find_map(|line| line.strip_prefix("Pid:"));
    Ok(number
        .and_then(|number| number.trim().parse().ok())
        .filter(|pid| *pid > 0))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn who_has_the_number_of_one_that_is_gone_is_not_joined() {
        let mut child = Command::new("true").spawn().unwrap();
        let raw = Pid::from_raw(child.id() as i32).unwrap();
        let pidfd = pidfd_open(raw, PidfdFlags::empty()).unwrap();
        child.wait().unwrap();
        let target = Target {
            pid: std::process::id(),
            pidfd,
            is_elsewhere: true,
        };
        let error = target.join().unwrap_err();
        assert_eq!(error.errno(), Some(libc::ESRCH), "{error}");
    }
}
