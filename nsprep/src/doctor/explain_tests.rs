//! The texts as programs have printed them.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// Each with what it is.
const TEXTS: &[(&str, &str)] = &[
    (
        "init_cap_last_cap",
        "unable to start container process: error during container init: open /proc/sys/kernel/cap_last_cap: no such file or directory",
    ),
    (
        "init_cap_last_cap",
        "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: open /proc/sys/kernel/cap_last_cap: no such file or directory",
    ),
    (
        "key_missing",
        "open /proc/sys/kernel/cap_last_cap: No such file or directory",
    ),
    (
        "sysctl_lacking",
        "open sysctl net.ipv4.ip_unprivileged_port_start file: unsafe procfs detected: openat2 /proc/./sys/net/ipv4/ip_unprivileged_port_start: no such file or directory",
    ),
    (
        "sysctl_lacking",
        "open sysctl net.ipv4.nosuchkey file: unsafe procfs detected: openat2 fsmount:fscontext:proc/./sys/net/ipv4/nosuchkey: no such file or directory",
    ),
    (
        "sysctl_past_overmount",
        "open sysctl kernel.shm_rmid_forced file: unsafe procfs detected: openat2 /proc/./sys/kernel/shm_rmid_forced: invalid cross-device link",
    ),
    (
        "key_not_writable",
        "open /proc/sys/net/ipv4/ip_unprivileged_port_start: operation not permitted",
    ),
    (
        "key_missing",
        "open /proc/sys/net/ipv4/nosuchkey: no such file or directory",
    ),
    (
        "key_not_writable",
        "open /proc/sys/net/ipv4/x: Read-only file system",
    ),
    (
        "key_not_writable",
        "open /proc/sys/net/ipv4/x: read-only file system",
    ),
    (
        "detached_procfs",
        "open sysctl net.ipv4.ip_unprivileged_port_start file: reopen fd 8: permission denied",
    ),
    ("sysctl_lacking_youki", "open subpath in procfs failed"),
    ("spec_version", "unknown version specified"),
    (
        "session_keyring",
        "unable to join session keyring: unable to create session key: disk quota exceeded",
    ),
    (
        "session_keyring_refused",
        "unable to join session keyring: unable to create session key: operation not permitted",
    ),
    (
        "container_manager",
        "\"Failed to start ContainerManager\" err=\"[open /proc/sys/vm/panic_on_oom: no such file or directory, open /proc/sys/kernel/panic: no such file or directory]\"",
    ),
    (
        "container_manager",
        "Failed to start ContainerManager open /proc/sys/kernel/panic: read-only file system",
    ),
    (
        "stuck_key",
        "write /proc/sys/vm/overcommit_memory: input/output error",
    ),
    ("key_stuck", "sysctl kernel.shmmni=5000: input/output error"),
    ("podman_nan", "Error: json: unsupported value: NaN"),
    (
        "cgroup_namespace",
        "cgroup namespaces aren't enabled in the kernel",
    ),
    (
        "unified_resources",
        "unable to set unified resource \"memory.oom.group\": open /sys/fs/cgroup/x/memory.oom.group: no such file or directory",
    ),
    (
        "unified_resources_crun",
        "opening file `memory.oom.group` for writing: No such file or directory",
    ),
    ("crun_cgroups", "could not join cgroup"),
    (
        "crun_freezer",
        "open `/sys/fs/cgroup/freezer/x/freezer.state`: No such file or directory",
    ),
    (
        "crun_freezer_v2",
        "open `/sys/fs/cgroup/x/cgroup.freeze`: No such file or directory",
    ),
    (
        "crun_hybrid",
        "cgroups in hybrid mode not supported, drop all controllers from cgroupv2",
    ),
    ("no_cgroups", "failed to find cgroup mounts"),
    (
        "dev_kmsg",
        "failed to create kubelet: open /dev/kmsg: no such file or directory",
    ),
    (
        "rootfs_info",
        "failed to get rootfs info: unable to find data in memory cache",
    ),
    (
        "cpuacct_percpu",
        "open /sys/fs/cgroup/cpuacct/cpuacct.usage_percpu: no such file or directory",
    ),
    (
        "runc_bpf",
        "failed to call BPF_PROG_ATTACH (BPF_CGROUP_DEVICE, BPF_F_ALLOW_MULTI): can't attach the program",
    ),
    (
        "host_users",
        "failed to get user namespace fd: inappropriate ioctl for device",
    ),
    ("crun_network", "ioctl(SIOCSIFFLAGS): Operation not permitted"),
    (
        "own_program_gone",
        "fork/exec /usr/local/bin/procemu-runc: no such file or directory",
    ),
    (
        "own_handler_gone",
        "failed to get sandbox runtime: no runtime for \"procemu\" is configured",
    ),
    (
        "runtime_error_lost",
        "unable to retrieve OCI runtime error (open /run/x/log.json: no such file or directory): exit status 1",
    ),
    (
        "crun_hook",
        "error executing hook `/usr/local/bin/runtime-bridge` (exit code: 1)",
    ),
    (
        "pod_sandbox_stopped",
        "sandbox abc of the pod is stopped, its containers cannot start",
    ),
    (
        "lxcfs_gone",
        "cat: /proc/uptime: Transport endpoint is not connected",
    ),
    (
        "bridge_netfilter",
        "sysctl: cannot stat /proc/sys/net/bridge/bridge-nf-call-iptables: No such file or directory",
    ),
    (
        "key_missing",
        "open /sys/module/nf_conntrack/parameters/hashsize: no such file or directory",
    ),
];

fn known(text: &str) -> Explanation {
    explain(text, |_| None).unwrap_or_else(|| panic!("not known: {text}"))
}

#[test]
fn real_texts_are_known() {
    for (id, text) in TEXTS {
        let explanation = known(text);
        assert_eq!(explanation.id, *id, "{text}");
        assert!(!explanation.cure.is_empty() && !explanation.why.is_empty());
    }
}

#[test]
fn every_entry_has_its_text() {
    let texts: BTreeSet<_> = TEXTS.iter().map(|(id, _)| *id).collect();
    for entry in KNOWN {
        assert!(texts.contains(entry.id), "{} has no text", entry.id);
        for part in entry.has {
            assert_eq!(part.to_lowercase(), *part, "{}", entry.id);
        }
    }
    let ids: BTreeSet<_> = KNOWN.iter().map(|entry| entry.id).collect();
    assert_eq!(ids.len(), KNOWN.len(), "an id is there twice");
}

#[test]
fn keys_are_found_in_all_spellings() {
    for (text, key) in [
        ("open /proc/sys/kernel/panic: no such file", Some("kernel/panic")),
        ("openat2 /proc/./sys/net/ipv4/x: no", Some("net/ipv4/x")),
        (
            "openat2 fsmount:fscontext:proc/./sys/net/ipv4/x: no",
            Some("net/ipv4/x"),
        ),
        ("open sysctl net.ipv4.x file: reopen fd 8", Some("net/ipv4/x")),
        ("sysctl kernel.shmmni=5000: write(...)", Some("kernel/shmmni")),
        ("`/proc/sys/fs/file-max`", Some("fs/file-max")),
        ("(/sys/module/x/parameters/y)", Some("/sys/module/x/parameters/y")),
        ("[open /proc/sys/vm/a: x, open /proc/sys/vm/b: x]", Some("vm/a")),
        ("open /proc/self/status: no such file or directory", None),
        (
            "sysctl: permission denied on key \"vm.overcommit_memory\"",
            Some("vm/overcommit_memory"),
        ),
        (
            "sysctl: setting key \"net.ipv4.ip_forward\", ignoring: Read-only file system",
            Some("net/ipv4/ip_forward"),
        ),
        (
            "Couldn't write '1' to 'net/ipv4/ip_forward', ignoring: Read-only file system",
            Some("net/ipv4/ip_forward"),
        ),
        ("vm.swappiness: read-only file system", Some("vm/swappiness")),
        ("open \"config.json\": no such file or directory", None),
        ("net.http.Server: permission denied", None),
        ("open /etc/passwd: no such file or directory", None),
        ("/proc/", None),
        ("sysctl", None),
        ("", None),
    ] {
        let key: Option<SysctlKey> = key.map(|key| key.parse().unwrap());
        assert_eq!(key_in(text), key, "{text}");
    }
}

#[test]
fn a_key_of_a_profile_is_cured_by_the_profile() {
    let crun = known("crun: open /proc/sys/kernel/cap_last_cap: No such file or directory");
    assert_eq!(crun.cure[0], "nsprep exec --profile crun -- CMD");
    let bwrap = known("bwrap: Can't read /proc/sys/kernel/overflowuid: No such file or directory");
    assert_eq!(bwrap.cure, ["nsprep exec --profile bubblewrap -- CMD"]);
    let swap = known("open /proc/sys/vm/swappiness: no such file or directory");
    assert_eq!(swap.cure, ["nsprep exec --profile container -- CMD"]);
    let kubelet = known("kubelet: open /proc/sys/kernel/panic: permission denied");
    assert_eq!(kubelet.cure, ["nsprep exec --profile kubelet -- CMD"]);
}

#[test]
fn a_key_of_none_needs_a_value() {
    let unknown = known("open /proc/sys/kernel/made_up: no such file or directory");
    assert!(
        unknown.cure[0].contains("\"kernel/made_up\" = { value = ... }"),
        "{unknown:?}"
    );
    assert_eq!(unknown.cure[1], "nsprep exec --table keys.toml -- CMD");
}

#[test]
fn what_is_here_is_said() {
    let text = "open /proc/sys/kernel/made_up: no such file or directory";
    let with = |here| explain(text, |_| here).unwrap();
    assert!(with(Some(true)).why.contains("this /proc has it"));
    assert!(with(Some(false)).why.contains("lacks the key"));
    assert_eq!(with(None).here, None);
}

#[test]
fn the_rest_is_not_known() {
    for text in [
        "",
        "segmentation fault",
        "open /etc/passwd: no such file or directory",
        "/proc/sys/kernel/panic",
        "open /proc/4711/status: no such file or directory",
    ] {
        assert_eq!(explain(text, |_| None), None, "{text}");
    }
}

#[test]
fn of_a_log_the_first_line_that_is_known_counts() {
    let log =
        "starting\n  crun: unknown version specified\nunable to join session keyring: disk quota exceeded\n";
    let found = known(log);
    assert_eq!(found.id, "spec_version");
    assert_eq!(found.line.as_deref(), Some("crun: unknown version specified"));
    assert_eq!(known("unknown version specified\n").line, None);
    // In several lines, none of which says it all.
    let apart = known("cannot open\n/proc/sys/fs/made_up:\nNo such file or directory");
    assert_eq!((apart.id, apart.line), ("key_missing", None));
}

/// Pieces of which errors are made, and what is none.
const PIECES: [&str; 14] = [
    "/proc/",
    "/sys/",
    "fscontext:proc/./sys/",
    "sys",
    "sysctl ",
    "net.ipv4",
    "=",
    ":",
    " ",
    "\n",
    "\u{e9}/",
    "`",
    "permission denied",
    "no such file or directory",
];

proptest! {
    #[test]
    fn no_text_is_too_much(text in any::<String>(), pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..12)) {
        for text in [text, pieces.concat()] {
            if let Some(found) = explain(&text, |_| None) {
                prop_assert!(!found.cure.is_empty());
            }
        }
    }
}

#[test]
fn a_cgroups_file_is_cured_by_no_table() {
    let text = "open /sys/fs/cgroup/memory/x/memory.limit_in_bytes: no such file or directory";
    let known = explain(text, |_| Some(false)).unwrap();
    assert!(
        !known.cure.iter().any(|line| line.contains("[keys]")),
        "{known:?}"
    );
    assert!(known.why.contains("cgroup"), "{known:?}");
}
