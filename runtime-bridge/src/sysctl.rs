//! `linux.sysctl`: what is requested, and what a container may set.

use crate::spec::SysctlNamespace;
use nix::errno::Errno;
use procemu::{Error, SysctlKey};

/// One key with its value, as `linux.sysctl` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// As written: `net.ipv4.ip_forward`, `net/ipv4/ip_forward`.
    pub spelling: String,
    /// What it names.
    pub key: SysctlKey,
    /// The value, as written.
    pub value: String,
}

impl Request {
    /// `None` for what is not a key below `/proc/sys` in one of sysctl(8)'s spellings: the runtime says why.
    pub fn new(spelling: &str, value: &str) -> Option<Self> {
        if spelling.starts_with('/') {
            return None;
        }
        let key: SysctlKey = spelling.parse().ok()?;
        Some(Self {
            spelling: spelling.to_owned(),
            key,
            value: value.to_owned(),
        })
    }
}

/// The System V IPC limits, which are per IPC namespace.
const IPC: [&str; 8] = [
    "msgmax",
    "msgmnb",
    "msgmni",
    "sem",
    "shmall",
    "shmmax",
    "shmmni",
    "shm_rmid_forced",
];

/// The namespace that `key` belongs to, where a container may set it at all.
///
/// This is the rule of runc's validator (`libcontainer/configs/validate`, `sysctl`) and of crun: the IPC limits,
/// `fs.mqueue.*`, `net.*` and `kernel.domainname`; nothing else, since all else is one for the whole machine.
/// (`kernel.hostname` is per UTS namespace too, but has a member of its own, and runtimes refuse it here.)
pub fn namespace(key: &SysctlKey) -> Option<SysctlNamespace> {
    let path = key.below_sys()?;
    match path.split_once('/')? {
        ("net", _) => Some(SysctlNamespace::Network),
        ("kernel", name) if IPC.contains(&name) => Some(SysctlNamespace::Ipc),
        ("kernel", "domainname") => Some(SysctlNamespace::Uts),
        ("fs", name) if name.starts_with("mqueue/") => Some(SysctlNamespace::Ipc),
        _ => None,
    }
}

/// Keys of the IPC namespace that no container may set by `linux.sysctl`.
const OTHER_IPC: [&str; 4] = ["auto_msgmni", "msg_next_id", "sem_next_id", "shm_next_id"];

/// The namespace whose members have one value of `key` among them, whoever may set it.
pub fn shared_by(key: &SysctlKey) -> Option<SysctlNamespace> {
    let other = |name: &str| OTHER_IPC.contains(&name).then_some(SysctlNamespace::Ipc);
    namespace(key).or_else(|| other(key.below_sys()?.strip_prefix("kernel/")?))
}

/// Whether `error` says that the key may not be written by the caller, where it is tried; not that its value is wrong.
pub fn is_refusal(error: &Error) -> bool {
    let errno = error.errno().map(Errno::from_raw);
    matches!(errno, Some(Errno::EACCES | Errno::EPERM | Errno::EROFS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_their_namespaces() {
        use SysctlNamespace::{Ipc, Network, Uts};
        for (key, want) in [
            ("net.ipv4.ip_unprivileged_port_start", Some(Network)),
            ("net/ipv4/conf/eth0.100/forwarding", Some(Network)),
            ("kernel.shm_rmid_forced", Some(Ipc)),
            ("kernel.sem", Some(Ipc)),
            ("kernel.sem_next_id", None),
            ("fs.mqueue.msg_max", Some(Ipc)),
            ("fs.mqueuex", None),
            ("kernel.domainname", Some(Uts)),
            ("kernel.hostname", None),
            ("vm.overcommit_memory", None),
            ("kernel.panic", None),
        ] {
            assert_eq!(namespace(&key.parse().unwrap()), want, "{key}");
        }
    }

    #[test]
    fn both_spellings_are_one_key() {
        let dotted = Request::new("net.ipv4.conf.eth0/100.forwarding", "1").unwrap();
        let slashed = Request::new("net/ipv4/conf/eth0.100/forwarding", "1").unwrap();
        assert_eq!(dotted.key, slashed.key);
        assert_eq!(Request::new("/proc/sys/net/ipv4/ip_forward", "1"), None);
        assert_eq!(Request::new("net..x", "1"), None);
    }
}
