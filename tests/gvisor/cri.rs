//! Pods by the CRI alone, inside a real gVisor: containerd as it is, and runtimes with and without us.

#[path = "../support/mod.rs"]
mod support;

use std::process::ExitCode;

use support::{
    Bed, CRUN, GVISOR_LACKING, RUNC_1_1, RUNC_1_5, RUNTIMES, Runtime, Suite, TestResult, equal, section,
};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    for runtime in RUNTIMES {
        suite.test(runtime.name, move |bed| pods(bed, runtime));
    }
    suite.run()
}

/// A pod on the node's network and one on a network of its own, each from RunPodSandbox to RemovePodSandbox. Bare, the second one
/// fails whatever the runtime.
fn pods(bed: &Bed, runtime: Runtime) -> TestResult {
    let script = bed.runtime_node(GVISOR_LACKING, runtime, include_str!("cri.sh"))?;
    let output = script.succeed()?;
    for (network, text) in [
        ("NODE", bare_on_node(runtime)),
        ("POD", bare_on_pod_network(runtime)),
    ] {
        let said = section(&output, &format!("bare {network}"))?.join("\n");
        // containerd asks for both, and runc writes them in no fixed order.
        let said = said.replace("ping_group_range", "ip_unprivileged_port_start");
        equal(format!("bare {network}: {said}"), said.contains(text), true)?;
        let cured = format!("cured {network}");
        equal(&cured, section(&output, &cured)?, &["40", "0"][..])?;
    }
    equal("left", section(&output, "left")?.join("\n"), "")
}

fn bare_on_node(runtime: Runtime) -> &'static str {
    match runtime {
        RUNC_1_5 => {
            "error during container init: open /proc/sys/kernel/cap_last_cap: no such file or directory"
        }
        CRUN => "OCI runtime create failed: unknown version specified",
        _ => "runs",
    }
}

fn bare_on_pod_network(runtime: Runtime) -> &'static str {
    match runtime {
        RUNC_1_1 => "open /proc/sys/net/ipv4/ip_unprivileged_port_start: operation not permitted",
        CRUN => "OCI runtime create failed: unknown version specified",
        _ => {
            "open sysctl net.ipv4.ip_unprivileged_port_start file: unsafe procfs detected: openat2 \
             /proc/./sys/net/ipv4/ip_unprivileged_port_start: no such file or directory"
        }
    }
}
