//! The errors that are known: one table. docs/runtimes.md and docs/gvisor.md have where each was seen.

/// An error that is known by its words.
pub struct Known {
    /// The same in all versions.
    pub id: &'static str,
    /// What the text has, each part in lower case, in any order.
    pub has: &'static [&'static str],
    /// What fails.
    pub what: &'static str,
    /// Why.
    pub why: &'static str,
    /// Commands, one of which cures it, or lines beginning with `#` on what to do.
    pub cure: &'static [&'static str],
}

const WRAPPER: &str = "runtime-bridge runtime --exec runc -- run --bundle BUNDLE ID  # by hand";
const INSTALL: &str =
    "runtime-bridge install ENGINE --as-default  # containerd, docker, podman, crio or k3s; then restart it";
const PRESET: &str =
    "# preset = \"gvisor\" at the top of /etc/procemu/bridge.toml, and the container by runtime-bridge";

/// The first that fits is taken: the narrower come before the wider.
pub const KNOWN: &[Known] = &[
    Known {
        id: "own_program_gone",
        has: &["fork/exec", "procemu-", "no such file or directory"],
        what: "runtime-bridge, by which this container was made, is gone",
        why: "a container remembers the path of its runtime, and is stopped by it",
        cure: &["ln -sf \"$(command -v runc)\" /usr/local/bin/procemu-runc"],
    },
    Known {
        id: "own_handler_gone",
        has: &["no runtime for", "procemu", "is configured"],
        what: "containerd does not know the handler procemu",
        why: "a pod asks for it by its RuntimeClass, and it is not in containerd's configuration, or containerd was not restarted",
        cure: &["runtime-bridge install containerd && systemctl restart containerd"],
    },
    Known {
        id: "bridge_netfilter",
        has: &["bridge-nf-call-", "no such file or directory"],
        what: "a program needs net/bridge/bridge-nf-call-*, which is not there",
        why: "the key comes with the kernel module br_netfilter, which passes bridged packets to iptables; without it a key that says so \
              would be trusted and not true",
        cure: &[
            "modprobe br_netfilter  # on the host; in a sandbox that has no such module, a network that needs none",
        ],
    },
    Known {
        id: "session_keyring",
        has: &["session key", "disk quota exceeded"],
        what: "no session keyring can be made for the container",
        why: "the user's quota of keys is used up, each container takes one (/proc/key-users shows it)",
        cure: &["runc run --no-new-keyring --bundle BUNDLE ID", INSTALL],
    },
    Known {
        id: "session_keyring_refused",
        has: &["unable to join session keyring"],
        what: "no session keyring can be made for the container",
        why: "a seccomp filter or a security module around this place refuses keyctl(2)",
        cure: &["runc run --no-new-keyring --bundle BUNDLE ID", INSTALL],
    },
    Known {
        id: "spec_version",
        has: &["unknown version specified"],
        what: "crun refuses the bundle's ociVersion",
        why: "crun before 1.14.3 takes 1.0.x only; containerd 2 writes 1.3.0, podman 5 writes 1.2",
        cure: &["nsprep bundle --runtime crun BUNDLE", INSTALL],
    },
    Known {
        id: "init_cap_last_cap",
        has: &[
            "error during container init",
            "cap_last_cap",
            "no such file or directory",
        ],
        what: "runc's init does not find kernel/cap_last_cap in the container's /proc",
        why: "runc >= 1.2 reads it after pivot_root; only a mount made inside the container before that helps, not one around runc",
        cure: &[
            WRAPPER,
            INSTALL,
            "nsprep bundle BUNDLE && runc run --bundle BUNDLE ID  # without the wrapper",
        ],
    },
    Known {
        id: "sysctl_past_overmount",
        has: &["unsafe procfs detected", "invalid cross-device link"],
        what: "runc does not write a sysctl that lies below a mount",
        why: "runc >= 1.3.3 writes by a procfs of its own and crosses no mount; a key below an overmount has to leave linux.sysctl",
        cure: &["nsprep bundle BUNDLE", INSTALL],
    },
    Known {
        id: "sysctl_lacking",
        has: &["unsafe procfs detected", "no such file or directory"],
        what: "the container asks for a sysctl that the kernel lacks",
        why: "runc writes linux.sysctl into the container's /proc and ends where a key is missing; containerd 2 asks for \
              ip_unprivileged_port_start and ping_group_range in every pod with a network of its own",
        cure: &[WRAPPER, INSTALL],
    },
    Known {
        id: "sysctl_lacking_youki",
        has: &["open subpath in procfs failed"],
        what: "the container asks for a sysctl that the kernel lacks",
        why: "youki writes linux.sysctl into the container's /proc and ends where a key is missing",
        cure: &[
            "runtime-bridge runtime --exec youki -- run --bundle BUNDLE ID",
            INSTALL,
        ],
    },
    Known {
        id: "detached_procfs",
        has: &["open sysctl", "reopen fd", "permission denied"],
        what: "runc may not write a sysctl",
        why: "runc >= 1.3.3 writes by a procfs that is mounted nowhere. AppArmor's profiles for LXC, Incus and Proxmox take that for \
              /sys and deny it (runc#4968, moby#51405, containerd#12484)",
        cure: &[WRAPPER, INSTALL],
    },
    Known {
        id: "container_manager",
        has: &["failed to start containermanager", "/proc/sys/"],
        what: "the kubelet can neither read nor write a key that it needs",
        why: "it sets six keys at its start, and ends where one is missing or /proc/sys is read-only (gVisor; k0s or k3d in Docker, \
              OpenVZ: kubernetes#117846, k0s#5958)",
        cure: &[
            "nsprep exec --profile kubelet -- kubelet ...",
            "nsprep exec --profile kubelet -- k3s server ...",
        ],
    },
    Known {
        id: "stuck_key",
        has: &["write", "/proc/sys/", "input/output error"],
        what: "a key is there and refuses every write",
        why: "gVisor has some keys as constants (vm/overcommit_memory, kernel/shmmni)",
        cure: &["nsprep exec --preset gvisor --profile kubelet -- kubelet ..."],
    },
    Known {
        id: "cpuacct_percpu",
        has: &["cpuacct.usage_percpu", "no such file or directory"],
        what: "cgroup v1 lacks cpuacct.usage_percpu, which cadvisor reads",
        why: "gVisor's cpuacct has no such file",
        cure: &["nsprep exec --table percpu.toml -- kubelet ...  # docs/tables.md, Keys in /sys"],
    },
    Known {
        id: "rootfs_info",
        has: &["failed to get rootfs info", "unable to find data in memory cache"],
        what: "the kubelet's cadvisor finds no statistics",
        why: "in gVisor with cgroup v1 /sys/fs/cgroup/cpuacct/cpuacct.usage_percpu is missing",
        cure: &[
            "nsprep exec --table percpu.toml -- kubelet ...  # docs/tables.md, Keys in /sys",
            "# or localStorageCapacityIsolation: false in the KubeletConfiguration, or a sandbox with --in-sandbox-cgroup=v2",
        ],
    },
    Known {
        id: "dev_kmsg",
        has: &["/dev/kmsg", "no such file or directory"],
        what: "the kubelet does not find /dev/kmsg",
        why: "it looks there for kills by the kernel; an empty file is enough",
        cure: &[": > /dev/kmsg"],
    },
    Known {
        id: "no_cgroups",
        has: &["failed to find cgroup mounts"],
        what: "no cgroups are mounted",
        why: "runc and the kubelet need them at /sys/fs/cgroup",
        cure: &[
            "mount -t cgroup2 cgroup2 /sys/fs/cgroup  # gVisor: in a sandbox with --in-sandbox-cgroup=v2",
        ],
    },
    Known {
        id: "cgroup_namespace",
        has: &["cgroup namespaces aren't enabled in the kernel"],
        what: "the kernel has no cgroup namespaces",
        why: "gVisor has them with cgroup v2 only; the bundle asks for one",
        cure: &[PRESET, "# or cgroup_namespace = \"auto\" in its [policy]"],
    },
    Known {
        id: "unified_resources",
        has: &["unable to set unified resource"],
        what: "a cgroup lacks a file that the container asks for",
        why: "gVisor's cgroup v2 has no memory.oom.group, which the kubelet asks for",
        cure: &[
            PRESET,
            "# or unified_resources = \"auto\" in its [policy]; or singleProcessOOMKill: true in the KubeletConfiguration",
        ],
    },
    Known {
        id: "unified_resources_crun",
        has: &["memory.oom.group", "no such file or directory"],
        what: "a cgroup lacks a file that the container asks for",
        why: "gVisor's cgroup v2 has no memory.oom.group, which the kubelet asks for",
        cure: &[PRESET, "# or unified_resources = \"auto\" in its [policy]"],
    },
    Known {
        id: "crun_cgroups",
        has: &["could not join cgroup"],
        what: "crun can make no cgroup here",
        why: "nothing is mounted at /sys/fs/cgroup, or it is read-only",
        cure: &[
            "crun --cgroup-manager=disabled run --bundle BUNDLE ID",
            "# with runtime-bridge: crun_cgroups = \"auto\" in [policy]",
        ],
    },
    Known {
        id: "crun_freezer",
        has: &["freezer.state", "no such file or directory"],
        what: "crun cannot find out whether the container is frozen",
        why: "it reads that before each exec, and this place has no freezer",
        cure: &[
            "crun --cgroup-manager=disabled exec ID CMD",
            "# with runtime-bridge: crun_cgroups = \"auto\" in [policy]",
        ],
    },
    Known {
        id: "crun_freezer_v2",
        has: &["cgroup.freeze", "no such file or directory"],
        what: "crun cannot find out whether the container is frozen",
        why: "it reads that before each exec, and this place's cgroup v2 has no cgroup.freeze",
        cure: &[
            "crun --cgroup-manager=disabled exec ID CMD",
            "# with runtime-bridge: crun_cgroups = \"auto\" in [policy]",
        ],
    },
    Known {
        id: "crun_hybrid",
        has: &["cgroups in hybrid mode not supported"],
        what: "crun finds cgroup v1 and a cgroup v2 with controllers",
        why: "it can use only one of them",
        cure: &[
            "unshare --mount sh -c 'mount -t tmpfs hidden /sys/fs/cgroup/unified && exec crun run --bundle BUNDLE ID'",
        ],
    },
    Known {
        id: "runc_bpf",
        has: &["bpf_cgroup_device"],
        what: "runc cannot limit devices in cgroup v2",
        why: "runc 1.1 needs BPF for that, which gVisor has not; runc 1.5.2 and crun do without",
        cure: &["# a runc from 1.2 on, or cgroup v1: a sandbox without --in-sandbox-cgroup=v2"],
    },
    Known {
        id: "podman_nan",
        has: &["json: unsupported value: nan"],
        what: "podman divides by the sum of the first line of /proc/stat, which is 0",
        why: "older gVisor counts nothing there",
        cure: &["nsprep exec --preset gvisor --profile podman -- podman ..."],
    },
    Known {
        id: "host_users",
        has: &["failed to get user namespace fd", "inappropriate ioctl"],
        what: "pods with hostUsers: false do not start here",
        why: "containerd asks a network namespace for its user namespace, which gVisor does not answer; nothing of ours helps",
        cure: &["# leave hostUsers: false out of the pod"],
    },
    Known {
        id: "crun_network",
        has: &["siocsifflags"],
        what: "crun cannot set up the container's network namespace",
        why: "gVisor refuses the ioctl by which it brings up the loopback interface; both runc do without",
        cure: &["# let the bundle name a network namespace that is there already, or take runc"],
    },
    Known {
        id: "lxcfs_gone",
        has: &["transport endpoint is not connected"],
        what: "a FUSE file system below this path has lost its program",
        why: "lxcfs was ended: every reader fails, in containers even after it runs again (lxcfs#73, #193)",
        cure: &["# restart the containers; keys of ours need no program that has to go on running"],
    },
    Known {
        id: "crun_hook",
        has: &["error executing hook"],
        what: "a hook of the bundle failed, and crun does not say why",
        why: "crun drops what hooks say, unless the bundle's annotation run.oci.hooks.stderr names a file",
        cure: &[
            "# the line before it in the runtime's --log file is the hook's; ours begins with `runtime-bridge`",
        ],
    },
    Known {
        id: "pod_sandbox_stopped",
        has: &["sandbox", "of the pod is stopped"],
        what: "a container starts without its pod's sandbox",
        why: "the values that the pod's containers share are the sandbox's",
        cure: &["# let the engine make the pod again"],
    },
    Known {
        id: "runtime_error_lost",
        has: &["unable to retrieve oci runtime error"],
        what: "the runtime failed before it could write its log",
        why: "containerd looks for the reason in log.json, which is not there: the program is missing, or no runtime",
        cure: &[
            "runtime-bridge status",
            "# call the runtime that containerd names by hand: RUNTIME --version",
        ],
    },
];
