//! Real runtimes inside a real gVisor, whose kernel lacks what they and their engines ask for.

#[path = "../support/mod.rs"]
mod support;

use std::process::ExitCode;

use support::{
    Bed, Bundle, CRUN, GVISOR, GVISOR_LACKING, RUNC_1_1, RUNC_1_5, RUNTIMES, Runtime, Script, Suite,
    TestResult, equal,
};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    for runtime in RUNTIMES {
        let name = runtime.name;
        suite.test(format!("bare::sysctls::{name}"), move |bed| {
            let bare = sysctls(bed, runtime, "rt")?;
            bare.run()?.fails_with(sysctl_says(runtime))
        });
        suite.test(format!("cured::sysctls::{name}"), move |bed| {
            let wrapped = sysctls(bed, runtime, "wrapped")?;
            equal("values", wrapped.succeed()?, "0\n0\t2147483647")
        });
        suite.test(format!("bare::cap_last_cap::{name}"), move |bed| {
            cap_last_cap_bare(bed, runtime)
        });
        suite.test(format!("cured::cap_last_cap::{name}"), move |bed| {
            let wrapped = cap_last_cap(bed, runtime, "wrapped")?;
            equal("value", wrapped.succeed()?, "started\n40")
        });
        suite.test(format!("cured::sysfs::{name}"), move |bed| sysfs(bed, runtime));
        for protected in [true, false] {
            let which = if protected { "protected" } else { "privileged" };
            suite.test(format!("nothing_writable::{which}::{name}"), move |bed| {
                nothing_writable(bed, runtime, protected)
            });
        }
    }
    suite.run()
}

fn sysctl_says(runtime: Runtime) -> &'static str {
    match runtime {
        RUNC_1_1 => "open /proc/sys/net/ipv4/ip_unprivileged_port_start: operation not permitted",
        CRUN => "open /proc/sys/net/ipv4/ip_unprivileged_port_start: No such file or directory",
        _ => {
            "open sysctl net.ipv4.ip_unprivileged_port_start file: unsafe procfs detected: openat2 \
             /proc/./sys/net/ipv4/ip_unprivileged_port_start: no such file or directory"
        }
    }
}

/// A container with the sysctls that containerd asks for in every pod. Its network namespace is there already: crun
/// cannot set one up in gVisor. Bare it has one of the two, since runtimes write them in no fixed order.
fn sysctls(bed: &Bed, runtime: Runtime, call: &str) -> TestResult<Script> {
    let program = "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/net/ipv4/ping_group_range";
    let mut bundle = Bundle::new(bed, "b", program)?.sysctl("net.ipv4.ip_unprivileged_port_start", "0");
    if call == "wrapped" {
        bundle = bundle.sysctl("net.ipv4.ping_group_range", "0\t2147483647");
    }
    bundle.join_namespace("network", &bed.path("netns")).write()?;
    let text = format!(r#": > netns; unshare --net="$BED/netns" true; {call} run --bundle "$BED/b" "$ID""#);
    bed.runtime_sandbox(GVISOR, &runtime, &text)
}

fn cap_last_cap(bed: &Bed, runtime: Runtime, call: &str) -> TestResult<Script> {
    Bundle::new(bed, "b", "echo started; cat /proc/sys/kernel/cap_last_cap")?.write()?;
    bed.runtime_sandbox(GVISOR_LACKING, &runtime, &format!("run {call} b"))
}

/// runc 1.1 goes on without the key, which its container then lacks.
fn cap_last_cap_bare(bed: &Bed, runtime: Runtime) -> TestResult {
    let output = cap_last_cap(bed, runtime, "rt")?.run()?;
    let started = runtime == RUNC_1_1;
    equal("started", output.stdout.contains("started"), started).or_else(|_| output.fail("did it start?"))?;
    output.fails_with(match runtime {
        RUNC_1_1 => "can't open '/proc/sys/kernel/cap_last_cap': No such file or directory",
        RUNC_1_5 => {
            "error during container init: open /proc/sys/kernel/cap_last_cap: no such file or directory"
        }
        _ => "open /proc/sys/kernel/cap_last_cap: No such file or directory",
    })
}

/// Root in the container opens no key for writing that it could not open without us, and changes no attribute of ours.
fn nothing_writable(bed: &Bed, runtime: Runtime, protected: bool) -> TestResult {
    let program = "find -L /proc/sys -type f | sort | while read -r key; do
            ! (: >> $key) 2> /dev/null || echo $key
        done
        for try in 'chmod 666 fixed' 'rm fixed' 'touch fixed' 'mkdir new' 'chmod 777 .'; do
            ! (cd /proc/sys/kernel/made 2> /dev/null && $try 2> /dev/null) || echo could $try
        done";
    for name in ["bare", "ours"] {
        let bundle = Bundle::new(bed, name, program)?;
        let bundle = if protected { bundle } else { bundle.unprotected() };
        bundle.write()?;
    }
    let table = bed.table("table.toml", &[("kernel/made/fixed", "{ value = 1 }")])?;
    let text =
        "run rt bare > bare.out; run wrapped ours > ours.out; diff bare.out ours.out; wc -l < bare.out";
    let script = bed
        .runtime_sandbox(GVISOR, &runtime, text)?
        .env("CONFIG", bed.config(&table)?);
    let writable: u32 = script.succeed()?.trim().parse()?;
    equal("some are writable", writable > 0, !protected)
}

/// A key below the container's own /sys, which is read-only.
fn sysfs(bed: &Bed, runtime: Runtime) -> TestResult {
    let program = "cd /sys/module/nf_conntrack/parameters; cat hashsize
        for try in 'echo 1 > hashsize' 'chmod 666 hashsize' 'touch hashsize' 'mkdir new' 'rm hashsize'; do
            ! sh -c \"$try\" 2> /dev/null || echo could $try
        done; cat hashsize";
    Bundle::new(bed, "b", program)?.write()?;
    let key = "/sys/module/nf_conntrack/parameters/hashsize";
    let table = bed.table("table.toml", &[(key, r#"{ value = 65536, mode = "0644" }"#)])?;
    let script = bed
        .runtime_sandbox(GVISOR, &runtime, "run wrapped b")?
        .env("CONFIG", bed.config(&table)?);
    equal("values", script.succeed()?, "65536\n65536")
}
