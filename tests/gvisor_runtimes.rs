//! Real runtimes inside a real gVisor, whose kernel lacks what engines ask for in `linux.sysctl`.

mod support;

use std::process::ExitCode;

use support::{Bed, Bundle, CRUN, RUNC_1_1, RUNTIMES, Runtime, Script, Suite, TestResult, equal};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    for runtime in RUNTIMES {
        let name = runtime.name;
        suite.test(format!("bare::sysctls::{name}"), move |bed| {
            let bare = sysctls(bed, runtime, "rt")?;
            bare.run()?.fails_with(says(runtime))
        });
        suite.test(format!("cured::sysctls::{name}"), move |bed| {
            let wrapped = sysctls(bed, runtime, "wrapped")?;
            equal("values", wrapped.succeed()?, "0\n0\t2147483647")
        });
    }
    suite.run()
}

fn says(runtime: Runtime) -> &'static str {
    match runtime {
        RUNC_1_1 => "open /proc/sys/net/ipv4/ip_unprivileged_port_start: operation not permitted",
        CRUN => "open /proc/sys/net/ipv4/ip_unprivileged_port_start: No such file or directory",
        _ => {
            "open sysctl net.ipv4.ip_unprivileged_port_start file: unsafe procfs detected: openat2 \
             /proc/./sys/net/ipv4/ip_unprivileged_port_start: no such file or directory"
        }
    }
}

/// A container in a network namespace that is there already (crun cannot set one up in gVisor), with a sysctl that
/// containerd asks for in every pod. Runtimes write them in no fixed order.
fn sysctls(bed: &Bed, runtime: Runtime, call: &str) -> TestResult<Script> {
    let program = "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/net/ipv4/ping_group_range";
    let mut bundle = Bundle::new(bed, "b", program)?.sysctl("net.ipv4.ip_unprivileged_port_start", "0");
    if call == "wrapped" {
        bundle = bundle.sysctl("net.ipv4.ping_group_range", "0\t2147483647");
    }
    bundle.join_namespace("network", &bed.path("netns")).write()?;
    let text = format!(r#": > netns; unshare --net="$BED/netns" true; {call} run --bundle "$BED/b" "$ID""#);
    bed.runtime_sandbox(&runtime, &text)
}
