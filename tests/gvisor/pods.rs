//! Pods inside a real gVisor, where a read-only mount of a tmpfs protects no attributes, and there is no mount_setattr(2).

#[path = "../support/mod.rs"]
mod support;

use std::process::ExitCode;

use support::{Bed, GVISOR, Pod, RUNC_1_1, RUNC_1_5, Runtime, Suite, TestResult, equal};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    for runtime in [RUNC_1_1, RUNC_1_5] {
        suite.test(format!("one_value::{}", runtime.name), move |bed| {
            one_value(bed, runtime)
        });
    }
    suite.run()
}

/// Keys that containerd asks for in every pod and gVisor lacks, and of the table: two that take writes, one that takes none, one that is replaced.
fn one_value(bed: &Bed, runtime: Runtime) -> TestResult {
    let table = bed.table(
        "table.toml",
        &[
            ("net/ipv4/made_up", r#"{ value = 1, mode = "0644" }"#),
            ("kernel/shm_rmid_forced", r#"{ value = 0, mode = "0644" }"#),
            ("net/made/fixed", "{ value = 2 }"),
            (
                "net/core/somaxconn",
                r#"{ value = 4, mode = "0644", when = "always" }"#,
            ),
        ],
    )?;
    let pod = Pod::Containerd;
    pod.sandbox(bed)?
        .join_namespace("network", &bed.path("netns"))
        .sysctl("net.ipv4.ip_unprivileged_port_start", "80")
        .sysctl("kernel.shm_rmid_forced", "1")
        .write()?;
    pod.container(bed, "privileged")?.unprotected().write()?;
    pod.container(bed, "protected")?.write()?;
    pod.container(bed, "late")?.write()?;
    let text = r#": > netns; unshare --net="$BED/netns" true
        keys="net/ipv4/made_up kernel/shm_rmid_forced net/made/fixed net/ipv4/ip_unprivileged_port_start net/core/somaxconn"
        values() { at $1 sh -c 'cd /proc/sys; echo $(cat '"$keys"')'; }
        for name in sandbox privileged protected; do up wrapped $name; done
        for name in sandbox privileged protected; do values $name; done
        at privileged sh -c 'echo 5 > /proc/sys/net/ipv4/made_up; echo 0 > /proc/sys/kernel/shm_rmid_forced; echo 9 > /proc/sys/net/core/somaxconn'
        up wrapped late
        for name in sandbox privileged protected late; do values $name; done
        for name in sandbox protected late privileged; do for key in $keys; do
            for try in 'echo 9 >' 'chmod 666' 'busybox chown 1' 'busybox truncate -s 0' 'touch' 'rm -f'; do
                case $name$key in privilegednet/ipv4/made_up | privilegedkernel/* | privilegednet/core/*) continue ;; esac
                ! at $name sh -c "$try /proc/sys/$key" 2> /dev/null || echo could $name $try $key
            done
        done; done
        down privileged; up wrapped privileged; values privileged
        at privileged sh -c 'echo 6 > /proc/sys/net/ipv4/made_up'; values sandbox
        down late protected privileged sandbox
        up wrapped sandbox; up wrapped protected; values protected
        down protected sandbox; ls state; grep procemu: /proc/self/mountinfo || true"#;
    let script = bed
        .runtime_sandbox(GVISOR, &runtime, text)?
        .env("CONFIG", bed.config(&table)?);
    let expected = [
        ["1 1 2 80 4"; 3].as_slice(),
        &["5 0 2 80 9"; 4],
        &["5 0 2 80 9", "6 0 2 80 9", "1 1 2 80 4"],
    ];
    equal(
        "values",
        script.succeed()?.lines().collect::<Vec<_>>(),
        expected.concat(),
    )
}
