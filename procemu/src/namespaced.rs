//! Which entries below `/proc/sys` belong to a namespace, and from where an overmount is seen in all of them.
//!
//! procfs shows another dentry to each network, IPC and user namespace, so a bind or a mount made on such an entry
//! is pinned to the namespace in which it was made. The folder above the whole group, the *anchor*, is one dentry
//! for everybody.

/// IPC keys of `/proc/sys/kernel`: `ipc_sysctls` in the kernel's ipc/ipc_sysctl.c.
const IPC: [&str; 12] = [
    "auto_msgmni",
    "msg_next_id",
    "msgmax",
    "msgmnb",
    "msgmni",
    "sem",
    "sem_next_id",
    "shm_next_id",
    "shm_rmid_forced",
    "shmall",
    "shmmax",
    "shmmni",
];

/// The anchor of `path` (relative to the root of procfs), where it belongs to a network, IPC, user or pid
/// namespace; `None` where it is the same for all, or follows its reader by itself.
pub(crate) fn anchor(path: &str) -> Option<&'static str> {
    let below = path.strip_prefix("sys/")?;
    let (first, rest) = below.split_once('/')?;
    match first {
        "net" => Some("sys/net"),
        "user" => Some("sys/user"),
        // A folder of the IPC namespace's own (ipc/mq_sysctl.c).
        "fs" if rest == "mqueue" || rest.starts_with("mqueue/") => Some("sys/fs"),
        // pid_max belongs to the pid namespace since Linux 6.14 (kernel/pid_sysctl.h, kernel/pid.c).
        "kernel" if rest == "pid_max" || IPC.contains(&rest) => Some("sys/kernel"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::anchor;

    #[test]
    fn anchors() {
        assert_eq!(anchor("sys/net/ipv4/conf/eth0/forwarding"), Some("sys/net"));
        assert_eq!(anchor("sys/net"), None);
        assert_eq!(anchor("sys/user/max_user_namespaces"), Some("sys/user"));
        assert_eq!(anchor("sys/fs/mqueue/queues_max"), Some("sys/fs"));
        assert_eq!(anchor("sys/kernel/shmmni"), Some("sys/kernel"));
        assert_eq!(anchor("sys/kernel/pid_max"), Some("sys/kernel"));
        assert_eq!(anchor("sys/kernel/hostname"), None);
        assert_eq!(anchor("sys/kernel/keys/maxkeys"), None);
        assert_eq!(anchor("stat"), None);
    }
}
