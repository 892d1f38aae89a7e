//! youki, by hooks: by the wrapper, and by a bundle that was made ready for a plain one.

#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::process::ExitCode;

use support::{
    Bed, Bundle, Suite, TestResult, YOUKI, equal, made_up_table, made_up_values, move_hook, print_made_up,
    section,
};

/// Tries to write each key that there is, and to make new ones.
const WRITES: &str = "find /proc/sys -type f | while read -r key; do { true >> $key; } 2> /dev/null && echo \"write $key\"; done
    find /proc/sys -type d | while read -r folder; do { true > $folder/new; } 2> /dev/null && echo \"create in $folder\"; done; true";

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.test("cured::wrapper", |bed| keys(bed, "wrapped"));
    suite.test("cured::bundle", |bed| keys(bed, "rt"));
    for stage in ["prestart", "createRuntime"] {
        suite.test(format!("cured::{stage}"), move |bed| at(bed, stage));
    }
    suite.test("cured::user_namespace", user_namespace);
    suite.test("bare::sysctl", |bed| sysctl(bed, "rt"));
    suite.test("cured::sysctl", |bed| sysctl(bed, "wrapped"));
    suite.test("refused::proc_is_a_link", proc_is_a_link);
    suite.run()
}

fn bundle(bed: &Bed) -> TestResult<Bundle> {
    let program = format!(
        "{}echo '== own'; cat /proc/sys/kernel/ostype; echo '== writable'; {WRITES}",
        print_made_up()
    );
    Bundle::new(bed, "b", &program)
}

/// Ours are there, the kernel's own as well, and none takes a write.
fn check(output: &str) -> TestResult {
    let ours = output.split("== own").next().unwrap_or_default();
    equal("ours", ours.trim_end(), made_up_values().as_str())?;
    equal(
        "the kernel's",
        section(output, "own")?.join("\n"),
        "Linux".to_owned(),
    )?;
    equal("writable", section(output, "writable")?.join("\n"), String::new())
}

fn keys(bed: &Bed, call: &str) -> TestResult {
    bundle(bed)?.write()?;
    let config = bed.config(&made_up_table(bed)?)?;
    let prepare = match call {
        "rt" => "\"$NSPREP\" bundle --runtime \"$RUNTIME\" --table made_up.toml b >&2\n",
        _ => "",
    };
    let script = bed
        .runtime_script(&YOUKI, &format!("{prepare}run {call} b"))?
        .env("CONFIG", config);
    check(&script.succeed()?)
}

/// The hook called outside of the container.
fn at(bed: &Bed, stage: &str) -> TestResult {
    let folder = bundle(bed)?.write()?;
    let config = bed.config(&made_up_table(bed)?)?;
    let rewrite = r#""$BRIDGE" rewrite --runtime "$RUNTIME" --config "$CONFIG" b"#;
    bed.runtime_script(&YOUKI, rewrite)?
        .env("CONFIG", config)
        .succeed()?;
    move_hook(&folder, stage)?;
    check(&bed.runtime_script(&YOUKI, "run rt b")?.succeed()?)
}

fn user_namespace(bed: &Bed) -> TestResult {
    bundle(bed)?.user_namespace().write()?;
    let config = bed.config(&made_up_table(bed)?)?;
    let script = bed
        .runtime_script(&YOUKI, "chmod 755 .; run wrapped b")?
        .env("CONFIG", config);
    check(&script.succeed()?)
}

/// One that the kernel lacks ends youki; with the wrapper the container reads it, and its own is the kernel's.
fn sysctl(bed: &Bed, call: &str) -> TestResult {
    let program = "cat /proc/sys/net/ipv4/nosuch /proc/sys/net/ipv4/ip_unprivileged_port_start";
    Bundle::new(bed, "b", program)?
        .own_namespace("network")
        .sysctl("net.ipv4.nosuch", "5")
        .sysctl("net.ipv4.ip_unprivileged_port_start", "77")
        .write()?;
    let output = bed.runtime_script(&YOUKI, &format!("run {call} b"))?.run()?;
    match call {
        "rt" => output.fails_with("open subpath in procfs failed"),
        _ => equal("the container", output.success()?, "5\n77"),
    }
}

fn proc_is_a_link(bed: &Bed) -> TestResult {
    let rootfs = bundle(bed)?.write()?.join("rootfs");
    fs::remove_dir(rootfs.join("proc"))?;
    symlink("/", rootfs.join("proc"))?;
    let config = bed.config(&made_up_table(bed)?)?;
    let output = bed
        .runtime_script(&YOUKI, "run wrapped b")?
        .env("CONFIG", config)
        .run()?;
    equal("standard output", output.stdout.as_str(), "")?;
    output.fails_with("proc")
}
