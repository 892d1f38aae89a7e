//! Which keys a captured table leaves out, and why.

use glob::Pattern;

/// Keys that are left out for one reason.
pub struct Rule {
    /// Why, for people.
    pub reason: &'static str,
    /// Which; `*` stands for any text, slashes too.
    pub globs: &'static [&'static str],
}

/// A table of these would be wrong at once, wherever it is shown. From the kernel's Documentation/admin-guide/sysctl and
/// drivers/char/random.c.
pub const ALWAYS: &[Rule] = &[Rule {
    reason: "changes by itself, or acts when it is read",
    globs: &[
        "fs/aio-nr",
        "fs/dentry-state",
        "fs/file-nr",
        "fs/inode-nr",
        "fs/inode-state",
        "fs/quota/*",
        "kernel/ns_last_pid",
        "kernel/pty/nr",
        "kernel/random/boot_id",
        "kernel/random/entropy_avail",
        "kernel/random/uuid",
        "net/netfilter/nf_conntrack_buckets",
        "net/netfilter/nf_conntrack_count",
        "vm/stat_refresh",
        "*/stable_secret",
    ],
}];

/// What is not to be shown on another machine. Whether a key is readable by everybody is looked at apart from these.
pub const ELSEWHERE: &[Rule] = &[
    Rule {
        reason: "belongs to this boot: counted, drawn by lot, or set by the kernel as it runs",
        globs: &[
            "kernel/perf_event_max_sample_rate",
            "kernel/random/*",
            "kernel/tainted",
            "kernel/*_next_id",
            "net/*_key",
            "net/*_seed",
            "net/*_secret*",
        ],
    },
    Rule {
        reason: "belongs to this machine: its names, kernel and devices, programs and ids of its own, what it does in a panic",
        globs: &[
            "dev/*",
            "kernel/acct",
            "kernel/arch",
            "kernel/bootloader_*",
            "kernel/cad_pid",
            "kernel/core_*",
            "kernel/domainname",
            "kernel/firmware_config/*",
            "kernel/hostname",
            "kernel/hotplug",
            "kernel/hung_task_*",
            "kernel/io_delay_type",
            "kernel/modprobe",
            "kernel/max_rcu_stall_to_panic",
            "kernel/oops_*",
            "kernel/panic*",
            "kernel/poweroff_cmd",
            "kernel/real-root-dev",
            "kernel/unknown_nmi_panic",
            "kernel/version",
            "kernel/warn_limit",
            "kernel/*_cpumask",
            "net/core/*_mask",
            "net/core/*_bitmap",
            "net/ipv4/ip_local_reserved_ports",
            "net/ipv4/tcp_*congestion_control",
            "net/ipv4/tcp_available_*",
            "net/core/default_qdisc",
            "vm/hugetlb_shm_group",
        ],
    },
    Rule {
        reason: "lies in a folder that comes and goes with a network interface, a CPU or a service",
        globs: &[
            "kernel/sched_domain/*",
            "net/*/conf/*",
            "net/*/neigh/*",
            "net/ipv4/vs/*",
            "sunrpc/*",
        ],
    },
    Rule {
        reason: "is computed of the machine's RAM and CPUs",
        globs: &[
            "fs/epoll/max_user_watches",
            "fs/fanotify/max_user_marks",
            "kernel/sched_*",
            "net/ipv4/inet_peer_threshold",
            "net/ipv4/ipfrag_*_thresh",
            "net/ipv4/route/*",
            "net/ipv4/tcp_*hash_entries",
            "net/ipv4/tcp_max_orphans",
            "net/ipv4/tcp_max_syn_backlog",
            "net/ipv4/tcp_max_tw_buckets",
            "net/ipv4/tcp_*mem",
            "net/ipv4/udp_*hash_entries",
            "net/ipv4/udp_mem",
            "net/ipv4/xfrm4_gc_thresh",
            "net/nf_conntrack_max",
            "user/max_*",
            "vm/*_kbytes",
            "vm/lowmem_reserve_ratio",
        ],
    },
    Rule {
        reason: "would be trusted as a protection, or as a right",
        globs: &[
            "crypto/*",
            "fs/mount-max",
            "fs/protected_*",
            "fs/suid_dumpable",
            "kernel/apparmor*",
            "kernel/dmesg_restrict",
            "kernel/ctrl-alt-del",
            "kernel/io_uring_*",
            "kernel/kexec_*",
            "kernel/kptr_restrict",
            "kernel/modules_disabled",
            "kernel/randomize_va_space",
            "kernel/seccomp/*",
            "kernel/split_lock_mitigate",
            "kernel/sysctl_writes_strict",
            "kernel/sysrq",
            "kernel/unprivileged_*",
            "kernel/usermodehelper/*",
            "kernel/yama/*",
            "net/core/bpf_*",
            "net/ipv4/icmp_*",
            "net/ipv4/tcp_challenge_ack_limit",
            "net/ipv4/tcp_invalid_ratelimit",
            "net/ipv4/tcp_rfc1337",
            "net/ipv4/tcp_syncookies",
            "vm/legacy_va_layout",
            "vm/memfd_noexec",
            "vm/mmap_*",
            "vm/unprivileged_*",
        ],
    },
    Rule {
        reason: "says by existing that the kernel has a feature, a module or a file system",
        globs: &[
            "abi/*",
            "debug/*",
            "fs/binfmt_misc/*",
            "fs/fanotify/*",
            "fs/fuse/*",
            "fs/nfs/*",
            "fs/verity/*",
            "fs/xfs/*",
            "kernel/bpf_*",
            "kernel/ftrace_*",
            "kernel/numa_*",
            "kernel/perf_*",
            "kernel/task_delayacct",
            "kernel/trace*",
            "kernel/*watchdog*",
            "kernel/*lockup*",
            "net/bridge/*",
            "net/ipv4/cipso_*",
            "net/ipv4/*l3mdev*",
            "net/ipv6/*",
            "net/mptcp/*",
            "net/netfilter/*",
            "net/sctp/*",
            "net/*xfrm*",
            "net/*seg6*",
            "vm/numa_*",
            "vm/zone_reclaim_mode",
            "vm/hugetlb_*",
        ],
    },
];

/// Why the first of `rules` that has to do with `key`, a path relative to `/proc/sys`, leaves it out.
pub fn reason(rules: &[Rule], key: &str) -> Option<&'static str> {
    let says = |glob: &&str| Pattern::new(glob).is_ok_and(|glob| glob.matches(key));
    let rule = rules.iter().find(|rule| rule.globs.iter().any(says));
    rule.map(|rule| rule.reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_glob_is_one_and_stands_once() {
        let rules = || ALWAYS.iter().chain(ELSEWHERE);
        let globs: Vec<_> = rules().flat_map(|rule| rule.globs).collect();
        for (at, glob) in globs.iter().enumerate() {
            Pattern::new(glob).unwrap_or_else(|error| panic!("{glob}: {error}"));
            assert!(!globs[..at].contains(glob), "{glob} stands twice");
        }
    }

    #[test]
    fn each_rule_leaves_out_what_it_is_for() {
        let cases = [
            ("changes by itself", "kernel/random/uuid"),
            ("changes by itself", "fs/file-nr"),
            ("this boot", "net/core/netdev_rss_key"),
            ("this boot", "kernel/tainted"),
            ("this machine", "kernel/hostname"),
            ("this machine", "dev/cdrom/info"),
            ("comes and goes", "net/ipv4/conf/eth0/forwarding"),
            ("comes and goes", "net/ipv6/neigh/eth0.100/gc_stale_time"),
            ("RAM and CPUs", "net/ipv4/tcp_mem"),
            ("RAM and CPUs", "vm/min_free_kbytes"),
            ("as a protection", "kernel/yama/ptrace_scope"),
            ("as a protection", "fs/protected_symlinks"),
            ("by existing", "net/bridge/bridge-nf-call-iptables"),
            ("by existing", "kernel/perf_event_paranoid"),
        ];
        for (words, key) in cases {
            let found = reason(ALWAYS, key).or_else(|| reason(ELSEWHERE, key));
            assert!(
                found.is_some_and(|reason| reason.contains(words)),
                "{key}: {found:?}"
            );
        }
        for key in [
            "vm/dirty_ratio",
            "net/ipv4/tcp_fin_timeout",
            "kernel/pty/max",
            "fs/lease-break-time",
        ] {
            assert_eq!(reason(ELSEWHERE, key), None, "{key}");
        }
    }
}
