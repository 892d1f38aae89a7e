//! The library inside a runtime of somebody's own: `examples/minimal-runtime`.

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::process::ExitCode;

use support::{Bed, Bundle, Output, Suite, TestResult, equal, minimal_runtime};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.test("cured::key", key);
    suite.test("cured::sysctls", sysctls);
    suite.test("cured::exit_code", exit_code);
    suite.test("refused::proc_is_a_link", proc_is_a_link);
    suite.test("refused::command_line", command_line);
    suite.run()
}

/// Runs it, after `place` was made.
fn run(bed: &Bed, place: &str, arguments: &str) -> TestResult<Output> {
    bed.script(&format!("{place}\n\"$MINIMAL\" {arguments}"))?
        .env("MINIMAL", minimal_runtime()?)
        .run()
}

/// What the container's `/proc` lacks is there, takes no writes, and what is masked stays so.
fn key(bed: &Bed) -> TestResult {
    let program = "cat /proc/sys/kernel/cap_last_cap /proc/sys/kernel/ostype; hostname; echo $$
        for key in kernel/cap_last_cap kernel/shmmni net/ipv4/ip_default_ttl; do (echo 77 > /proc/sys/$key) 2> /dev/null && echo \"wrote $key\"; done
        : < /proc/timer_list && { read -r line < /proc/timer_list || echo masked; }
        grep -c procemu /proc/self/mountinfo > /dev/null && echo mounted; ls /";
    Bundle::new(bed, "b", program)?
        .bind_proc(&bed.path("inner"))
        .write()?;
    let output = run(bed, "deprived_proc inner kernel/cap_last_cap", "run b")?;
    let last = fs::read_to_string("/proc/sys/kernel/cap_last_cap")?;
    equal(
        "the container",
        output.success()?,
        format!("{last}Linux\nrunc\n1\nmasked\nmounted\nbin\ndev\nmnt\nproc\nsys\ntmp").as_str(),
    )
}

/// Its own are the kernel's; one that the kernel lacks is shown.
fn sysctls(bed: &Bed) -> TestResult {
    let program = "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/net/ipv4/nosuch";
    Bundle::new(bed, "b", program)?
        .sysctl("net.ipv4.ip_unprivileged_port_start", "77")
        .sysctl("net.ipv4.nosuch", "5")
        .write()?;
    equal("the container", run(bed, "", "run b")?.success()?, "77\n5")
}

fn exit_code(bed: &Bed) -> TestResult {
    Bundle::new(bed, "b", "exit 7")?.write()?;
    equal("exit code", run(bed, "", "run b")?.status.code(), Some(7))
}

fn proc_is_a_link(bed: &Bed) -> TestResult {
    let rootfs = Bundle::new(bed, "b", "echo started")?.write()?.join("rootfs");
    fs::remove_dir(rootfs.join("proc"))?;
    symlink("/", rootfs.join("proc"))?;
    let output = run(bed, "", "run b")?;
    equal("standard output", output.stdout.as_str(), "")?;
    output.fails_with("/proc")
}

fn command_line(bed: &Bed) -> TestResult {
    run(bed, "", "start b")?.fails_with("minimal-runtime: usage: minimal-runtime run BUNDLE")
}
