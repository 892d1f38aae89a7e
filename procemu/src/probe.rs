//! Values asked of the kernel by a way that is not the key itself.

mod ipc;
mod limits;
mod net;
mod stat;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::sys;

/// A way to learn what a key would read as, without the key.
///
/// Each variant's doc says whom it asks, and what is done where there is nobody to ask. The names in a table are these, in
/// snake case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Probe {
    /// kernel/cap_last_cap: the highest n for which prctl(PR_CAPBSET_READ, n) is not EINVAL.
    CapLastCap,
    /// kernel/ngroups_max: the most groups that setgroups(2) does not refuse with EINVAL, asked with an address that no group
    /// can be read from, so that none is set. Without CAP_SETGID: sysconf(_SC_NGROUPS_MAX), in which glibc looks at the key
    /// and then takes the ABI's 65536.
    NgroupsMax,
    /// kernel/ostype: uname(2).
    Ostype,
    /// kernel/osrelease: uname(2).
    Osrelease,
    /// kernel/version: uname(2).
    Version,
    /// kernel/hostname: uname(2), in the asker's UTS namespace.
    Hostname,
    /// kernel/domainname: uname(2), in the asker's UTS namespace.
    Domainname,
    /// kernel/shmmax, in bytes: shmctl(IPC_INFO), in the asker's IPC namespace.
    Shmmax,
    /// kernel/shmall, in pages: shmctl(IPC_INFO), in the asker's IPC namespace.
    Shmall,
    /// kernel/shmmni: shmctl(IPC_INFO), in the asker's IPC namespace.
    Shmmni,
    /// kernel/msgmax, in bytes: msgctl(IPC_INFO), in the asker's IPC namespace.
    Msgmax,
    /// kernel/msgmnb, in bytes: msgctl(IPC_INFO), in the asker's IPC namespace.
    Msgmnb,
    /// kernel/msgmni: msgctl(IPC_INFO), in the asker's IPC namespace.
    Msgmni,
    /// kernel/sem (SEMMSL, SEMMNS, SEMOPM, SEMMNI): semctl(IPC_INFO), in the asker's IPC namespace.
    Sem,
    /// kernel/threads-max: twice pid 1's RLIMIT_NPROC, which the kernel sets to half of it at boot, where that is near what
    /// kernel/fork.c set_max_threads makes of the RAM that sysinfo(2) tells; else that.
    ThreadsMax,
    /// kernel/pid_max: what kernel/pid.c pid_idr_init makes of the number of possible CPUs. Nobody can be asked for a later
    /// setting.
    PidMax,
    /// fs/file-max: a tenth of the RAM in KiB, at least 8192 (fs/file_table.c files_maxfiles_init, without the small part that
    /// was in use at boot). Nobody can be asked for a later setting.
    FileMax,
    /// fs/nr_open: 1048576 (fs/file.c sysctl_nr_open), or the asker's hard RLIMIT_NOFILE if that is more, since setrlimit(2)
    /// allows nothing above the key.
    NrOpen,
    /// user/max_user_namespaces and the other user/max_*_namespaces: half of threads_max in the initial user namespace
    /// (kernel/fork.c fork_init), 2147483647 in others (kernel/user_namespace.c create_user_ns). Nobody can be asked for a
    /// later setting.
    MaxNamespaces,
    /// fs/inotify/max_user_watches: what fs/notify/inotify/inotify_user.c inotify_user_setup makes of the RAM, with the inode
    /// size of a usual 64-bit kernel. Nobody can be asked for a later setting.
    MaxInotifyWatches,
    /// kernel/overflowuid: the owner that a root-owned file of procfs shows to a user namespace which root is not mapped
    /// into. Elsewhere nothing shows it: no answer.
    Overflowuid,
    /// kernel/overflowgid: the group in the same place.
    Overflowgid,
    /// net/core/somaxconn: the backlog that is left of 2147483647 on a TCP socket listening on the loopback address
    /// (TCP_INFO), in the asker's network namespace. No answer without a loopback interface that is up, or without TCP_INFO.
    Somaxconn,
    /// net/ipv4/ip_unprivileged_port_start: the lowest UDP port that bind(2) does not refuse with EACCES while the asking
    /// thread puts CAP_NET_BIND_SERVICE aside, in the asker's network namespace.
    IpUnprivilegedPortStart,
    /// net/ipv4/ping_group_range: every group if the asker's groups may open an ICMP datagram socket, none ("1 0") if not, in
    /// the asker's network namespace. A narrower range cannot be told.
    PingGroupRange,
    /// net/mptcp/enabled: 1 if a socket of IPPROTO_MPTCP can be opened in the asker's network namespace, else 0.
    MptcpEnabled,
    /// net/ipv6/conf/all/disable_ipv6: 0 if an IPv6 socket can be bound to the unspecified address, 1 if there is no IPv6.
    DisableIpv6,
    /// /proc/stat: the kernel's own text. Where it counts no time for any CPU, all their time since boot is idle time
    /// (CLOCK_BOOTTIME); every other number, btime among them, is the kernel's. The text does not advance: the time between two
    /// reads is none, as it was.
    Stat,
}

impl Probe {
    /// Every probe, in the order of the documentation.
    pub const ALL: [Self; 28] = [
        Self::CapLastCap,
        Self::NgroupsMax,
        Self::Ostype,
        Self::Osrelease,
        Self::Version,
        Self::Hostname,
        Self::Domainname,
        Self::Shmmax,
        Self::Shmall,
        Self::Shmmni,
        Self::Msgmax,
        Self::Msgmnb,
        Self::Msgmni,
        Self::Sem,
        Self::ThreadsMax,
        Self::PidMax,
        Self::FileMax,
        Self::NrOpen,
        Self::MaxNamespaces,
        Self::MaxInotifyWatches,
        Self::Overflowuid,
        Self::Overflowgid,
        Self::Somaxconn,
        Self::IpUnprivilegedPortStart,
        Self::PingGroupRange,
        Self::MptcpEnabled,
        Self::DisableIpv6,
        Self::Stat,
    ];

    /// Asks the kernel. The answer is the key's content without its line end; `None` means that the kernel tells nothing.
    ///
    /// Answers about a namespace are about the caller's. Nothing is changed: [`Probe::IpUnprivilegedPortStart`] binds ports
    /// for an instant, and [`Probe::Somaxconn`] listens on one.
    #[must_use]
    pub fn compute(self) -> Option<String> {
        let number = match self {
            Self::Ostype => return uname(rustix::system::Uname::sysname),
            Self::Osrelease => return uname(rustix::system::Uname::release),
            Self::Version => return uname(rustix::system::Uname::version),
            Self::Hostname => return uname(rustix::system::Uname::nodename),
            Self::Domainname => return uname(rustix::system::Uname::domainname),
            Self::Sem => return ipc::sem(),
            Self::PingGroupRange => return net::ping_group_range(),
            Self::Stat => return stat::stat(),
            Self::CapLastCap => limits::cap_last_cap(),
            Self::NgroupsMax => limits::ngroups_max(),
            Self::Shmmax => sys::shm_limits().map(|limits| limits.max),
            Self::Shmall => sys::shm_limits().map(|limits| limits.all),
            Self::Shmmni => sys::shm_limits().map(|limits| limits.mni),
            Self::Msgmax => ipc::msg(|limits| limits.max),
            Self::Msgmnb => ipc::msg(|limits| limits.mnb),
            Self::Msgmni => ipc::msg(|limits| limits.mni),
            Self::ThreadsMax => Some(limits::threads_max()),
            Self::PidMax => limits::pid_max(),
            Self::FileMax => Some(limits::file_max()),
            Self::NrOpen => Some(limits::nr_open()),
            Self::MaxNamespaces => limits::max_namespaces(),
            Self::MaxInotifyWatches => Some(limits::max_inotify_watches()),
            Self::Overflowuid => limits::overflow_owner().map(|(uid, _)| uid),
            Self::Overflowgid => limits::overflow_owner().map(|(_, gid)| gid),
            Self::Somaxconn => net::somaxconn(),
            Self::IpUnprivilegedPortStart => net::ip_unprivileged_port_start(),
            Self::MptcpEnabled => net::mptcp_enabled(),
            Self::DisableIpv6 => net::disable_ipv6(),
        };
        number.map(|number| number.to_string())
    }
}

impl fmt::Display for Probe {
    /// The name in a table: `cap_last_cap`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

fn uname(field: fn(&rustix::system::Uname) -> &std::ffi::CStr) -> Option<String> {
    field(&rustix::system::uname()).to_str().ok().map(str::to_owned)
}
