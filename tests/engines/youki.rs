//! youki, by hooks: by the wrapper, and by a bundle that was made ready for a plain one.

#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::process::ExitCode;

use support::{
    Bed, Bundle, Script, Suite, TestResult, YOUKI, equal, made_up_table, made_up_values, move_hook,
    print_made_up, section,
};

/// Tries to write each key that there is, and to make new ones.
const WRITES: &str = "find /proc/sys -type f | while read -r key; do { true >> $key; } 2> /dev/null && echo \"write $key\"; done
    find /proc/sys -type d | while read -r folder; do { true > $folder/new; } 2> /dev/null && echo \"create in $folder\"; done; true";

/// `to_the_end CALL`: the container of the bundle `b` from its start to its end. Not by `run`, which waits for ever where the container has
/// ended before youki 0.7.0 begins to wait.
const TO_THE_END: &str =
    "ended() { until_true 'the end of b' grep -q '^== end' b.out; sed '/^== end/d' b.out; }
    to_the_end() { container $1 b ended; }
    ";

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

/// The script with a container's life in it, of youki.
fn script(bed: &Bed, text: &str) -> TestResult<Script> {
    bed.runtime_script(&YOUKI, &format!("{TO_THE_END}{text}"))
}

fn bundle(bed: &Bed) -> TestResult<Bundle> {
    let program = format!(
        "{}echo '== own'; cat /proc/sys/kernel/ostype; echo '== writable'; {WRITES}; echo '== end'",
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
    let script = script(bed, &format!("{prepare}to_the_end {call}"))?;
    check(&script.env("CONFIG", config).succeed()?)
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
    check(&script(bed, "to_the_end rt")?.succeed()?)
}

fn user_namespace(bed: &Bed) -> TestResult {
    bundle(bed)?.user_namespace().write()?;
    let config = bed.config(&made_up_table(bed)?)?;
    let script = script(bed, "chmod 755 .; to_the_end wrapped")?;
    check(&script.env("CONFIG", config).succeed()?)
}

/// One that the kernel lacks ends youki; with the wrapper the container reads it, and its own is the kernel's.
fn sysctl(bed: &Bed, call: &str) -> TestResult {
    let program =
        "cat /proc/sys/net/ipv4/nosuch /proc/sys/net/ipv4/ip_unprivileged_port_start; echo '== end'";
    Bundle::new(bed, "b", program)?
        .own_namespace("network")
        .sysctl("net.ipv4.nosuch", "5")
        .sysctl("net.ipv4.ip_unprivileged_port_start", "77")
        .write()?;
    let output = script(bed, &format!("to_the_end {call}"))?.run()?;
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
    let output = script(bed, "to_the_end wrapped")?.env("CONFIG", config).run()?;
    equal("standard output", output.stdout.as_str(), "")?;
    output.fails_with("proc")
}
