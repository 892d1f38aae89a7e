//! `linux.sysctl` where crun's own `/proc/sys` is read-only, as in a container of Docker's: the hook writes, and nothing that the
//! container mounts leads it elsewhere.

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::process::ExitCode;

use support::{Bed, Bundle, CRUN, Output, Suite, TestResult, equal, need, runtime_bridge};

const KEY: &str = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
const SYSCTL: &str = "net.ipv4.ip_unprivileged_port_start";
const READ_ONLY: &str = "Read-only file system";

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.test("bare::read_only", |bed| {
        bundle(bed)?.write()?;
        around(bed, "run rt b")?.fails_with(&format!("open {KEY}: {READ_ONLY}"))
    });
    suite.test("cured::read_only", |bed| {
        bundle(bed)?.write()?;
        equal(
            "read in the container, in the pod",
            around(bed, "run wrapped b")?.success()?,
            "7\n7 4096 65",
        )
    });
    for calls in ["open_tree", "open_tree,statx"] {
        suite.test(format!("cured::old_kernel::{calls}"), move |bed| {
            bundle(bed)?.unprotected().write()?;
            let output = without(bed, calls)?.success()?;
            equal("read in the container, in the pod", output, "7\n7 4096 65")
        });
        suite.test(
            format!("cured::old_kernel::read_only_paths::{calls}"),
            move |bed| {
                bundle(bed)?.write()?;
                unchanged(&without(bed, calls)?, "error executing hook")
            },
        );
        suite.test(format!("cured::old_kernel::link::{calls}"), move |bed| {
            link(bed)?.write()?;
            unchanged(&without(bed, calls)?, "error executing hook")
        });
    }
    suite.test("cured::covered_value", covered_value);
    suite.test("cured::no_proc_sys::subset", |bed| {
        no_proc_sys(bed, "options", serde_json::json!(["subset=pid"]))
    });
    suite.test("cured::no_proc_sys::no_proc", |bed| {
        no_proc_sys(bed, "destination", "/tmp".into())
    });
    suite.run()
}

/// A container in a pod's network namespace.
fn bundle(bed: &Bed) -> TestResult<Bundle> {
    Ok(Bundle::new(bed, "b", &format!("cat {KEY}"))?
        .join_namespace("network", &bed.path("netns"))
        .sysctl(SYSCTL, "7"))
}

/// The container whose mount of `/proc` has another `member`.
fn no_proc_sys(bed: &Bed, member: &str, value: serde_json::Value) -> TestResult {
    let mut bundle = bundle(bed)?;
    for mount in bundle.config["mounts"].as_array_mut().into_iter().flatten() {
        if mount["destination"] == "/proc" {
            mount[member] = value.clone();
        }
    }
    bundle.write()?;
    unchanged(&around(bed, "run wrapped b")?, READ_ONLY)
}

/// A volume over the key's folder, in which the key is a link to another one.
fn link(bed: &Bed) -> TestResult<Bundle> {
    let volume = bed.path("volume");
    fs::create_dir(&volume)?;
    symlink("../core/somaxconn", volume.join("ip_unprivileged_port_start"))?;
    Ok(bundle(bed)?
        .unprotected()
        .bind(&volume, "/proc/sys/net/ipv4", &["bind"]))
}

/// Runs `call`; then prints what the pod's keys are.
fn around(bed: &Bed, call: &str) -> TestResult<Output> {
    let text = format!(
        r#"in_netns() {{ nsenter --net="$BED/netns" "$@"; }}
        touch netns
        unshare --net="$BED/netns" true
        in_netns sysctl -qw net.ipv4.ip_default_ttl=65
        read_only_proc_sys
        status=0
        {call} || status=$?
        echo $(in_netns cat {KEY} /proc/sys/net/core/somaxconn /proc/sys/net/ipv4/ip_default_ttl)
        umount netns
        exit $status"#
    );
    let config = bed.config_with("profiles = []\n")?;
    bed.runtime_script(&CRUN, &text)?.env("CONFIG", config).run()
}

/// The wrapper and the hook on a kernel without these calls.
fn without(bed: &Bed, calls: &str) -> TestResult<Output> {
    let strace = need::command("strace")?;
    let old = format!(
        "#!/bin/sh\nexec {} -f -qq -o {} -e trace={calls} -e inject={calls}:error=ENOSYS {} \"$@\"\n",
        strace.display(),
        bed.path("trace").display(),
        runtime_bridge()?.display()
    );
    bed.file("old.sh", old)?;
    let output = around(bed, "{ chmod +x old.sh; BRIDGE=$BED/old.sh run wrapped b; }")?;
    for call in calls.split(',') {
        let trace = fs::read_to_string(bed.path("trace"))?;
        let injected = |line: &str| line.contains(call) && line.contains("INJECTED");
        equal(call, trace.lines().any(injected), true)?;
    }
    Ok(output)
}

/// The container does not run, and the pod's keys are as before.
fn unchanged(output: &Output, says: &str) -> TestResult {
    output.fails_with(says)?;
    equal("in the pod", output.stdout.trim(), "1024 4096 65")
}

/// A key whose value before is not the one that is mounted over it.
fn covered_value(bed: &Bed) -> TestResult {
    let cover = "/proc/sys/net/ipv4/tcp_syn_retries".as_ref();
    bundle(bed)?
        .unprotected()
        .bind(cover, "/proc/sys/net/ipv4/ip_default_ttl", &["bind"])
        .sysctl("net.ipv4.ip_default_ttl", "77")
        .sysctl(SYSCTL, "99999")
        .write()?;
    unchanged(&around(bed, "run wrapped b")?, "error executing hook")
}
