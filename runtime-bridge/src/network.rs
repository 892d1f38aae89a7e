//! The network namespace that a container has of its own, and which keys it has there.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns, unshare};
use procemu::{Error, SysctlKey, Table, When, ask_child, errno_text};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::spec::Spec;
use crate::state_file;

/// The network namespace that a container has of its own.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Network {
    New,
    /// A new one that belongs to another user namespace than this process's: some keys are kept from it (`xfrm_sysctl_init` in the
    /// kernel's net/xfrm/xfrm_sysctl.c).
    NewOfUser,
    /// The one at a path.
    At(PathBuf),
}

impl Network {
    /// That of the container that `spec` describes; `None` = the caller's.
    pub(crate) fn of(spec: &Spec) -> Option<Self> {
        let namespaces = &spec.linux.namespaces;
        let listed = namespaces.iter().find(|namespace| namespace.kind == "network")?;
        Some(match listed.path.as_os_str().is_empty() {
            true if spec.lists("user") => Self::NewOfUser,
            true => Self::New,
            false => Self::At(listed.path.clone()),
        })
    }

    /// Whether the calling thread may come back from there, being in the namespace `own` now.
    fn has_way_back(&self, own: &File) -> bool {
        // Who came here by a user namespace may leave this one, and not join it again.
        *self != Self::NewOfUser && setns(own, CloneFlags::CLONE_NEWNET).is_ok()
    }

    /// Whether it can be entered.
    ///
    /// # Errors
    /// Where a new one could be had, but for want of memory, or of room for one more.
    fn enter(&self) -> Result<bool, Error> {
        match self {
            Self::New => match unshare(CloneFlags::CLONE_NEWNET) {
                Ok(()) => Ok(true),
                Err(Errno::EPERM | Errno::EINVAL | Errno::ENOSYS) => Ok(false),
                Err(errno) => Err(Error::failed_unshare("CLONE_NEWNET", errno.into())),
            },
            Self::NewOfUser => match unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET) {
                Ok(()) => Ok(true),
                Err(errno @ Errno::ENOMEM) => {
                    Err(Error::failed_unshare("CLONE_NEWUSER|CLONE_NEWNET", errno.into()))
                }
                // The container's user namespace may be there already, and no more allowed.
                Err(_) => Ok(false),
            },
            Self::At(path) => {
                Ok(File::open(path).is_ok_and(|file| setns(&file, CloneFlags::CLONE_NEWNET).is_ok()))
            }
        }
    }
}

/// What `look` sees from within that network namespace; the calling thread is in its own then. `None` where the other may not be made or
/// cannot be joined.
///
/// # Errors
/// What `look` fails with there, and where there is no way back: a caller that goes on would do so in a foreign namespace.
pub(crate) fn from_within<T: Serialize + DeserializeOwned>(
    network: &Network,
    look: impl FnOnce() -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    let own = File::open(OWN).map_err(|e| Error::failed_open(Path::new(OWN), e))?;
    let seen = |error: Error| error.during("in the container's network namespace");
    if !network.has_way_back(&own) {
        return by_child(network, look).map_err(seen);
    }
    if !network.enter()? {
        return Ok(None);
    }
    let found = look().map_err(seen);
    setns(&own, CloneFlags::CLONE_NEWNET).map_err(|errno| {
        Error::failed_setns(Path::new(OWN), errno.into())
            .during("back from the container's network namespace")
    })?;
    found.map(Some)
}

/// The same by a child, which stays there.
fn by_child<T: Serialize + DeserializeOwned>(
    network: &Network,
    look: impl FnOnce() -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    let answer = ask_child(|| {
        let found = network.enter().and_then(|entered| match entered {
            true => look().map(Some),
            false => Ok(None),
        });
        serde_json::to_vec(&found.map_err(|error| error.line())).unwrap_or_default()
    });
    let answer = answer.map_err(|error| {
        let what = "memfd_create, fork or waitpid(child process)";
        Error::input(format!("{what}: {}", errno_text(&error)))
    })?;
    match serde_json::from_slice::<Result<Option<T>, String>>(&answer) {
        Ok(found) => found.map_err(Error::input),
        Err(error) => Err(Error::input(format!("child process: {error}"))),
    }
}

/// The calling thread's.
const OWN: &str = "/proc/thread-self/ns/net";

/// Whether `key` is another in each network namespace.
pub(crate) fn has(key: &SysctlKey) -> bool {
    key.below_sys().is_some_and(|below| below.starts_with("net/"))
}

/// What makes the keys of one fresh network namespace those of the next: the boot, the modules, which bring keys along, whether their
/// tunnels do as well, and what was asked.
///
/// To make such a namespace takes longer than all else that is looked at before a container starts.
#[derive(Debug)]
pub(crate) struct Fresh(String);

impl Fresh {
    /// About the keys of `table` there; `None` where more than their being there is asked, or boots cannot be told apart.
    pub(crate) fn of(table: &Table) -> Option<Self> {
        let mut asked = String::new();
        for (key, entry) in table.iter().filter(|(key, _)| has(key)) {
            if entry.when != When::Missing {
                return None;
            }
            writeln!(asked, "{key}").ok()?;
        }
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        // A kernel without modules has no such file.
        let modules = fs::read_to_string("/proc/modules").unwrap_or_default();
        // Documentation/admin-guide/sysctl/net.rst: which namespaces have tunl0 and its like, and so keys with their names.
        let tunnels =
            fs::read_to_string("/proc/sys/net/core/fb_tunnels_only_for_init_net").unwrap_or_default();
        Some(Self(format!(
            "{boot}{}\n{}\n{asked}",
            loaded(&modules),
            tunnels.trim_end()
        )))
    }

    /// Whether all of these keys were there the last time.
    pub(crate) fn had_all(&self, state_dir: &Path) -> bool {
        state_file::read(&state_dir.join(FILE)).is_some_and(|known| known == self.0)
    }

    /// Notes that they all are there. A note that cannot be taken only costs the next look.
    pub(crate) fn note(&self, state_dir: &Path) {
        let _ = state_file::write(state_dir, FILE, &self.0);
    }
}

/// Below the state directory.
const FILE: &str = "network-keys";

/// The names of the modules that are ready, in the order of their loading (proc_modules(5): name, size, users, who uses it, state).
fn loaded(modules: &str) -> String {
    let ready = |line: &&str| line.split(' ').nth(4) == Some("Live");
    let names = modules
        .lines()
        .filter(ready)
        .filter_map(|line| line.split(' ').next());
    names.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        Table::from_toml(text, "table").unwrap()
    }

    #[test]
    fn modules_count_by_name_once_they_are_ready() {
        let modules = "nf_nat 61440 2 nft_chain_nat,xt_MASQUERADE, Live 0x0000000000000000\n\
                       br_netfilter 36864 0 - Loading 0x0000000000000000\nbridge 421888 1 br_netfilter, Live 0x0 (E)\n";
        assert_eq!(loaded(modules), "nf_nat bridge");
        assert_eq!(loaded(""), "");
    }

    #[test]
    fn what_was_noted_holds_for_the_same_question_alone() {
        let state_dir = tempfile::tempdir().unwrap();
        let asks = |text: &str| Fresh::of(&table(text)).unwrap();
        let one = "[keys]\n\"net/core/somaxconn\" = { value = 1 }\n\"kernel/x\" = { value = 1 }\n";
        assert!(!asks(one).had_all(state_dir.path()));
        asks(one).note(state_dir.path());
        assert!(asks(one).had_all(state_dir.path()));
        let two = format!("{one}\"net/core/made_up\" = {{ value = 1 }}\n");
        assert!(!asks(&two).had_all(state_dir.path()));
        let replaces = "[keys]\n\"net/core/somaxconn\" = { value = 1, when = \"always\" }\n";
        assert!(Fresh::of(&table(replaces)).is_none());
    }
}
