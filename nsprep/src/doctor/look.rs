//! Gathering what [`Surroundings`] holds: each thing by trying it, in a child where that leaves traces.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io;
use std::path::Path;

use nix::sched::{CloneFlags, unshare};
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::sys::utsname::uname;
use nix::unistd::geteuid;
use procemu::{
    Entry, Ids, MountApi, Options, Placement, Probing, Root, Roots, SysctlKey, Table, ask_child, errno_text,
};
use runtime_bridge::{cgroups, keyring};

use super::surroundings::{Attaching, Cgroups, Clues, Keyring, Security, Surroundings, quota, untried};

/// Looks.
pub fn surroundings() -> Surroundings {
    let clues = clues();
    let capabilities_missing = capabilities_missing();
    Surroundings {
        kernel: kernel(),
        inside: clues.inside(),
        untried: untried(&capabilities_missing),
        capabilities_missing,
        attaching: attaching(),
        proc_sys_read_only: statvfs("/proc/sys").is_ok_and(|fs| fs.flags().contains(FsFlags::ST_RDONLY)),
        detached_procfs_refuses: detached_procfs_refuses(),
        cgroups: Cgroups {
            version: clues.cgroups(),
            v2_known: has_filesystem("cgroup2"),
            fail_crun: cgroups::fail_crun(),
            mixed: !read("/sys/fs/cgroup/unified/cgroup.controllers")
                .trim()
                .is_empty(),
            namespaces: !cgroups::have_no_namespaces(),
        },
        keyring: Keyring {
            refused: keyring::is_refused(None),
            quota: quota(&read("/proc/key-users"), geteuid().as_raw()),
        },
        user_namespaces_refused: user_namespaces_refused(),
        security: security(),
        fuse: Path::new("/dev/fuse").exists() && has_filesystem("fuse"),
        dev_kmsg: Path::new("/dev/kmsg").exists(),
        memfd_noexec: read("/proc/sys/vm/memfd_noexec").trim().parse().ok(),
    }
}

/// Whether `/proc/filesystems` has it.
fn has_filesystem(name: &str) -> bool {
    let known = read("/proc/filesystems");
    known
        .lines()
        .any(|line| line.split_whitespace().last() == Some(name))
}

/// What cannot be read says nothing.
fn read(path: &str) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn clues() -> Clues {
    let of_init = read("/proc/1/environ");
    let mut variables = of_init
        .split('\0')
        .filter_map(|line| line.strip_prefix("container="));
    let container = variables.next().map(str::to_owned);
    let container = container
        .or_else(|| env::var("container").ok())
        .unwrap_or_else(|| read("/run/systemd/container").trim().to_owned());
    let there = |path: &str| Path::new(path).exists();
    Clues {
        version: read("/proc/version"),
        container,
        mountinfo: read("/proc/self/mountinfo"),
        cgroup: read("/proc/1/cgroup"),
        cpuinfo: read("/proc/cpuinfo"),
        dockerenv: there("/.dockerenv"),
        containerenv: there("/run/.containerenv"),
        kubernetes: env::var_os("KUBERNETES_SERVICE_HOST").is_some(),
        openvz: there("/proc/vz") && !there("/proc/bc"),
    }
}

fn kernel() -> String {
    let Ok(name) = uname() else {
        return String::new();
    };
    let parts = [name.sysname(), name.release(), name.machine()];
    let parts: Vec<_> = parts.iter().map(|part| part.to_string_lossy()).collect();
    parts.join(" ")
}

fn capabilities_missing() -> Vec<String> {
    let has = caps::read(None, caps::CapSet::Effective).unwrap_or_default();
    let all = caps::runtime::thread_all_supported();
    let missing: BTreeSet<String> = all.difference(&has).map(|cap| cap.to_string()).collect();
    missing.into_iter().collect()
}

fn attaching() -> Attaching {
    let new_refused = attach_refused(MountApi::New);
    Attaching {
        classic_refused: new_refused
            .as_ref()
            .and_then(|_| attach_refused(MountApi::Classic)),
        new_refused,
    }
}

/// Does what `nsprep exec` does for a key that no kernel has, in a child; gives the line with which that fails.
fn attach_refused(api: MountApi) -> Option<String> {
    let attempt = || -> procemu::Result<()> {
        let key: SysctlKey = "kernel/procemu_doctor".parse().map_err(input)?;
        let table: Table = [(key, Entry::literal(1))].into_iter().collect();
        let roots = Roots::private(Ids::Kept)?;
        let placement = |_: &Root| Ok(Placement::Program { writes: true });
        let plans = roots.plan(&table, Probing::Open, placement)?;
        let snapshots = plans.compile(&table, None)?;
        let options = Options {
            spare: true,
            api,
            ..Options::default()
        };
        roots.attach(&plans, &snapshots, &options)?.keep();
        Ok(())
    };
    answered(|| attempt().err().map(|error| error.line()))
}

fn input(error: procemu::KeyError) -> procemu::Error {
    procemu::Error::input(error.to_string())
}

/// Why what a child tries is refused; nothing where it succeeds. That there can be no child is a reason as well.
fn answered(ask: impl FnOnce() -> Option<String>) -> Option<String> {
    told(ask).unwrap_or_else(|error| Some(error.to_string()))
}

fn told(ask: impl FnOnce() -> Option<String>) -> io::Result<Option<String>> {
    let answer = ask_child(|| ask().unwrap_or_default().into_bytes())?;
    let line = String::from_utf8_lossy(&answer).into_owned();
    Ok((!line.is_empty()).then_some(line))
}

/// runc >= 1.3.3 and youki write sysctls by a procfs that is mounted nowhere, in the container's network namespace. Nothing is
/// written by opening one.
fn detached_procfs_refuses() -> Option<String> {
    let refused = told(|| {
        unshare(CloneFlags::CLONE_NEWNET).ok()?;
        let key: SysctlKey = "net/ipv4/ip_unprivileged_port_start".parse().ok()?;
        let mounted = Root::procfs("/proc").ok()?;
        mounted.open_for_writing(&key).ok()?;
        // Where there can be none, runtimes take the mounted one as well.
        let detached = Root::fresh_procfs().ok()?;
        detached.open_for_writing(&key).err().map(|error| error.line())
    });
    // A child that cannot be had says nothing about writing.
    refused.ok().flatten()
}

fn user_namespaces_refused() -> Option<String> {
    answered(|| {
        let refused = unshare(CloneFlags::CLONE_NEWUSER).err()?;
        Some(format!("unshare(CLONE_NEWUSER): {}", errno_text(&refused.into())))
    })
}

fn security() -> Security {
    let status = read("/proc/self/status");
    let seccomp = status.lines().find_map(|line| line.strip_prefix("Seccomp:"));
    let enabled = read("/sys/module/apparmor/parameters/enabled").starts_with('Y');
    let profile = || {
        let own = read("/proc/self/attr/apparmor/current");
        let any = if own.is_empty() {
            read("/proc/self/attr/current")
        } else {
            own
        };
        any.trim_end_matches(['\n', '\0']).to_owned()
    };
    let selinux = match read("/sys/fs/selinux/enforce").trim() {
        "1" => Some("enforcing".to_owned()),
        "0" => Some("permissive".to_owned()),
        _ => None,
    };
    Security {
        apparmor: enabled.then(profile),
        selinux,
        seccomp: seccomp.is_some_and(|mode| mode.trim() == "2"),
    }
}
