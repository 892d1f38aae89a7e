//! Where the kernel lacks the new mount API (or any one call of it), the classic one does the same; where it lacks another call that
//! docs/kernel-features.md names, what that page says.

mod support;

use std::process::ExitCode;

use support::{
    Bed, Bundle, RUNTIMES, Runtime, Suite, TestResult, edit_config, equal, made_up_table, made_up_values,
    need, print_made_up,
};

const CALLS: [&str; 5] = ["fsopen", "fsmount", "open_tree", "move_mount", "mount_setattr"];

fn main() -> ExitCode {
    let mut suite = Suite::new();
    let all = CALLS.join(",");
    for calls in CALLS.into_iter().chain([all.as_str()]) {
        let name = if calls == all { "all" } else { calls };
        let calls = calls.to_owned();
        suite.test(format!("bare::strace::{name}"), {
            let calls = calls.clone();
            move |bed| strace_bare(bed, &calls)
        });
        for runtime in RUNTIMES {
            let calls = calls.clone();
            suite.test(format!("cured::hook::{name}::{}", runtime.name), move |bed| {
                hook(bed, runtime, &calls)
            });
        }
        suite.test(format!("cured::exec::{name}"), {
            let calls = calls.clone();
            move |bed| exec(bed, &calls)
        });
        suite.test(format!("cured::attach::{name}"), move |bed| attach(bed, &calls));
    }
    suite.test("cured::attach::out_of_descriptors", out_of_descriptors);
    for runtime in RUNTIMES {
        for calls in ["openat2", "close_range", "statx"] {
            suite.test(format!("cured::hook::{calls}::{}", runtime.name), move |bed| {
                hook(bed, runtime, calls)
            });
        }
        for calls in ["open_tree", "open_tree,fsopen"] {
            suite.test(format!("cured::rewrite::{calls}::{}", runtime.name), move |bed| {
                rewrite(bed, runtime, calls)
            });
        }
    }
    suite.for_runtimes("cured::wrapper::keyctl", keyctl);
    suite.test("cured::pid::setns", setns);
    suite.test("cured::sysfs::statx", sysfs);
    suite.run()
}

/// The command that runs another with these calls answering ENOSYS; what it did is in the file `trace`.
fn without(calls: &str) -> TestResult<String> {
    injected(calls, "error=ENOSYS")
}

/// The same with another answer.
fn injected(calls: &str, answer: &str) -> TestResult<String> {
    let strace = need::command("strace")?;
    Ok(format!(
        "{} -f -qq -o \"$BED/trace\" -e trace={calls} -e inject={calls}:{answer}",
        strace.display()
    ))
}

/// The injection works here at all: mount(8) says so for the classic call.
fn strace_bare(bed: &Bed, calls: &str) -> TestResult {
    need::root()?;
    let text = format!(
        "mkdir t; {} mount -t tmpfs t t 2> said || true",
        without(&format!("mount,{calls}"))?
    );
    bed.script(&format!("{text}; grep -q INJECTED trace; ! mountpoint -q t"))?
        .succeed()?;
    Ok(())
}

fn exec(bed: &Bed, calls: &str) -> TestResult {
    need::root()?;
    let program = format!(
        "{}cat /proc/sys/kernel/ostype /proc/sys/net/ipv4/ip_default_ttl > /dev/null\n",
        print_made_up()
    );
    let text = format!(
        "cat /proc/self/mountinfo > before\n\
         {} \"$NSPREP\" exec --table \"$TABLE\" -- sh -c '{program}'\n\
         grep -q INJECTED trace || echo 'never called'\n\
         diff before /proc/self/mountinfo",
        without(calls)?
    );
    // Without the calls before it, nobody gets to `mount_setattr`.
    let optional = if calls == "mount_setattr" {
        "\nnever called"
    } else {
        ""
    };
    let output = bed.script(&text)?.env("TABLE", made_up_table(bed)?).succeed()?;
    equal("values", output.trim_end_matches(optional), made_up_values())
}

fn attach(bed: &Bed, calls: &str) -> TestResult {
    need::root()?;
    let nsprep = format!("{} \"$NSPREP\"", without(calls)?);
    let text = format!(
        "cat /proc/self/mountinfo > before\n\
         {nsprep} attach --table \"$TABLE\" > /dev/null\n\
         {}{nsprep} verify --table \"$TABLE\" > /dev/null\n\
         {nsprep} detach > /dev/null\n\
         diff before /proc/self/mountinfo",
        print_made_up()
    );
    let output = bed.script(&text)?.env("TABLE", made_up_table(bed)?).succeed()?;
    equal("values", output, made_up_values())
}

/// The hook alone is made to do without: the runtime itself must not be.
fn hook(bed: &Bed, runtime: Runtime, calls: &str) -> TestResult {
    // Nothing of this may be writable either, by whichever way it was made read-only.
    let write =
        "for key in kernel/made_up_key net/ipv4/made_up net/made/up fs/made_up kernel/core_pattern; do
        { true >> /proc/sys/$key; } 2> /dev/null && echo writable $key; done; true";
    Bundle::new(bed, "b", &format!("{}{write}", print_made_up()))?
        .own_namespace("network")
        .write()?;
    let config = bed.config(&made_up_table(bed)?)?;
    let rewrite = r#""$BRIDGE" rewrite --runtime "$RUNTIME" --config "$CONFIG" "$BED/b""#;
    bed.runtime_script(&runtime, rewrite)?
        .env("CONFIG", config)
        .succeed()?;
    let strace = without(calls)?.replace("$BED", &bed.path("").to_string_lossy());
    let bridge = support::runtime_bridge()?;
    let script = bed.file(
        "hook.sh",
        format!("#!/bin/sh\nexec {strace} {} hook\n", bridge.display()),
    )?;
    edit_config(&bed.path("b"), |config| {
        let hook = &mut config["hooks"]["createContainer"][0];
        hook["path"] = "/bin/sh".into();
        hook["args"] = serde_json::json!(["sh", script]);
    })?;
    let output = bed
        .runtime_script(&runtime, "run rt b; grep -q INJECTED trace")?
        .succeed()?;
    equal("values, and nothing writable", output, made_up_values())
}

/// The classic interface has no handle on what it has just bound until it opens one; where it gets none, that goes too.
fn out_of_descriptors(bed: &Bed) -> TestResult {
    need::root()?;
    let strace = need::command("strace")?;
    let text = r#"cat /proc/self/mountinfo > before
        attach() { "$STRACE" -f -qq -o trace -e trace=openat,fsopen -e inject=fsopen:error=ENOSYS "$@" "$NSPREP" attach --table "$TABLE"; }
        attach > /dev/null; "$NSPREP" detach > /dev/null
        calls=$(grep -c openat trace)
        for call in $(seq $((calls - 25)) $calls); do
          if attach -e inject=openat:error=EMFILE:when=$call > /dev/null 2>&1
          then "$NSPREP" detach > /dev/null
          else echo "$call" >> failures; fi
          diff before /proc/self/mountinfo > /dev/null || { echo "left after call $call"; exit; }
        done
        test -s failures"#;
    let script = bed.script(text)?.env("STRACE", strace);
    equal(
        "left",
        script.env("TABLE", made_up_table(bed)?).succeed()?,
        String::new(),
    )
}

/// The wrapper's look at what a new procfs shows: by another way, or in the `/proc` around it. What it makes of the bundle is the same.
fn rewrite(bed: &Bed, runtime: Runtime, calls: &str) -> TestResult {
    for name in ["b", "other"] {
        Bundle::new(bed, name, "true")?
            .own_namespace("network")
            .sysctl("net.ipv4.made_up_too", "5")
            .sysctl("net.ipv4.ip_unprivileged_port_start", "7")
            .write()?;
    }
    let text = format!(
        r#""$BRIDGE" rewrite --runtime "$RUNTIME" --config "$CONFIG" other > said
        {} "$BRIDGE" rewrite --runtime "$RUNTIME" --config "$CONFIG" b | diff said -
        grep -q INJECTED trace
        sed "s|other|b|g" other/config.json | diff - b/config.json; grep -c createContainer b/config.json"#,
        without(calls)?
    );
    let config = bed.config(&made_up_table(bed)?)?;
    let script = bed.runtime_script(&runtime, &text)?.env("CONFIG", config);
    equal("hooks", script.succeed()?, "1")
}

/// A kernel without keyrings refuses none: the runtime is told nothing of them, and goes on without.
fn keyctl(bed: &Bed, runtime: Runtime) -> TestResult {
    Bundle::new(bed, "b", "cat /proc/sys/kernel/made_up_key")?.write()?;
    let strace = without("keyctl")?.replace("trace=keyctl", "trace=keyctl,execve");
    let text = format!(
        r#"{strace} "$BRIDGE" runtime --exec "$RUNTIME" --config "$CONFIG" -- --root "$BED/state" run --bundle b "$ID"
        grep -q INJECTED trace; grep -c -e '--no-new-keyring' trace || true"#
    );
    let table = bed.table("t.toml", &[("kernel/made_up_key", "{ value = 7 }")])?;
    let script = bed
        .runtime_script(&runtime, &text)?
        .env("CONFIG", bed.config(&table)?);
    equal("value, and flags", script.succeed()?, "7\n0")
}

/// Of all namespaces at once, only the first try is refused: each by its file.
fn setns(bed: &Bed) -> TestResult {
    need::root()?;
    let text = format!(
        r#"unshare --mount --net --ipc --uts --pid --fork --mount-proc --kill-child sleep 1000 &
        until pid=$(pgrep --parent $! sleep) && nsenter --target "$pid" --mount --pid test -e /proc/1/comm; do sleep 0.02; done
        {} "$NSPREP" attach --table "$TABLE" --pid "$pid" > /dev/null
        grep -q INJECTED trace
        nsenter --target "$pid" --mount --net --pid sh -c '{}'
        "$NSPREP" detach --pid "$pid" > /dev/null; kill $!"#,
        injected("setns", "error=EINVAL:when=1")?,
        print_made_up()
    );
    let output = bed.script(&text)?.env("TABLE", made_up_table(bed)?).succeed()?;
    equal("values", output, made_up_values())
}

/// Which mount below `/sys` a key is put on is told by mountinfo then.
fn sysfs(bed: &Bed) -> TestResult {
    need::root()?;
    let table = bed.table("t.toml", &[("/sys/kernel/made_up", "{ value = 7 }")])?;
    let text = format!(
        r#"cat /proc/self/mountinfo > before
        {} "$NSPREP" exec --table "$TABLE" -- cat /sys/kernel/made_up
        grep -q INJECTED trace; diff before /proc/self/mountinfo"#,
        without("statx")?
    );
    equal("value", bed.script(&text)?.env("TABLE", table).succeed()?, "7")
}
