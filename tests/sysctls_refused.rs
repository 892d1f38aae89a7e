//! `linux.sysctl` where a security module lets the runtime not write: the hook does, or policy decides.

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;

use support::{
    Bed, Bundle, CRUN, DETACHED, Output, RUNC_1_1, RUNC_1_5, Runtime, Suite, TestResult, equal, with_denial,
};

const KEY: &str = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
const SYSCTL: &str = "net.ipv4.ip_unprivileged_port_start";
/// Denies it wherever it is.
const EVERYWHERE: &str = "/ip_unprivileged_port_start$";

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.for_runtimes("bare::detached", bare_detached);
    suite.for_runtimes("bare::everywhere", bare_everywhere);
    suite.for_runtimes("cured::detached::hook", |bed, runtime| {
        detached(bed, bundle(bed, "0")?, runtime, "hook")
    });
    suite.for_runtimes("cured::detached::emulate", |bed, runtime| {
        detached(bed, bundle(bed, "0")?, runtime, "emulate")
    });
    suite.for_runtimes("cured::detached::user_namespace", |bed, runtime| {
        detached(bed, bundle(bed, "0")?.user_namespace(), runtime, "hook")
    });
    suite.for_runtimes("cured::everywhere::hook", everywhere_fails);
    suite.for_runtimes("cured::everywhere::emulate", everywhere_emulated);
    suite.for_runtimes("cured::everywhere::fail", everywhere_left);
    suite.for_runtimes("cured::wrong_value::hook", |bed, runtime| {
        wrong_value(bed, runtime, "hook")
    });
    suite.for_runtimes("cured::wrong_value::emulate", |bed, runtime| {
        wrong_value(bed, runtime, "emulate")
    });
    suite.for_runtimes("cured::not_owned", not_owned);
    suite.for_runtimes("cured::all_or_none::refused", refused_second);
    suite.for_runtimes("cured::all_or_none::wrong_value", wrong_second);
    suite.for_runtimes("cured::all_or_none::replaced", replaced_first);
    suite.for_runtimes("cured::all_or_none::attach", failed_attach);
    // crun writes itself what is denied only to the others.
    for runtime in [RUNC_1_1, RUNC_1_5] {
        suite.test(format!("cured::covered::{}", runtime.name), move |bed| {
            covered(bed, runtime)
        });
    }
    suite.for_runtimes("cured::missing::fail", missing);
    suite.run()
}

/// A bundle with a network namespace, whose container prints the key and the mounts of ours.
fn bundle(bed: &Bed, value: &str) -> TestResult<Bundle> {
    let program = format!("cat {KEY}; grep procemu: /proc/self/mountinfo | wc -l; touch /tmp/done; sleep 10");
    Ok(Bundle::new(bed, "b", &program)?
        .own_namespace("network")
        .sysctl(SYSCTL, value))
}

/// Runs `call`, to which `pattern` is denied, with this policy.
fn denied(bed: &Bed, runtime: Runtime, pattern: &str, policy: &str, call: &str) -> TestResult<Output> {
    let config = bed.config_with(&format!("profiles = []\n[policy]\n{policy}\n"))?;
    let text = format!(
        r#"inside() {{ wait_for b/rootfs/tmp/done; cat b.out; nsenter --target "$(cat b.pid)" --net cat {KEY}; }}
        export -f inside
        denied '{pattern}' {call}"#
    );
    with_denial(bed, bed.runtime_script(&runtime, &text)?)?
        .env("CONFIG", config)
        .run()
}

/// What the runtime itself says of the key.
fn own_words(runtime: Runtime) -> String {
    match runtime {
        RUNC_1_5 => format!("open sysctl {SYSCTL} file: reopen fd "),
        CRUN => format!("open {KEY}: Permission denied"),
        _ => format!("open {KEY}: permission denied"),
    }
}

/// What our hook says; crun drops it.
fn hook_says(runtime: Runtime, line: &str) -> String {
    match runtime {
        CRUN => "error executing hook".to_owned(),
        _ => line.to_owned(),
    }
}

fn bare_detached(bed: &Bed, runtime: Runtime) -> TestResult {
    bundle(bed, "0")?.write()?;
    let output = denied(bed, runtime, DETACHED, "", "container rt b inside")?;
    match runtime {
        RUNC_1_5 => {
            output.fails_with(&own_words(runtime))?;
            output.fails_with(": permission denied")
        }
        // They write by path, what is mounted.
        _ => equal("the container, then from outside", output.success()?, "0\n0\n0"),
    }
}

fn bare_everywhere(bed: &Bed, runtime: Runtime) -> TestResult {
    bundle(bed, "0")?.write()?;
    denied(bed, runtime, EVERYWHERE, "", "run rt b")?.fails_with(&own_words(runtime))
}

/// It is the kernel's own key that has the value, with nothing over it.
fn detached(bed: &Bed, bundle: Bundle, runtime: Runtime, policy: &str) -> TestResult {
    let tmp = bundle.write()?.join("rootfs/tmp");
    // For root in a user namespace.
    fs::set_permissions(tmp, Permissions::from_mode(0o777))?;
    let policy = format!("refused_sysctls = {policy:?}");
    let output = denied(bed, runtime, DETACHED, &policy, "container wrapped b inside")?;
    equal("standard error", output.stderr.as_str(), "")?;
    equal("the container, then from outside", output.success()?, "0\n0\n0")
}

fn everywhere_fails(bed: &Bed, runtime: Runtime) -> TestResult {
    bundle(bed, "0")?.write()?;
    let output = denied(bed, runtime, EVERYWHERE, "", "run wrapped b")?;
    equal("standard output", output.stdout.as_str(), "")?;
    output.fails_with(&hook_says(
        runtime,
        &format!("sysctl {SYSCTL}=0: open for writing("),
    ))?;
    output.fails_with(&hook_says(runtime, "): permission denied"))
}

/// The container reads what was asked for; the namespace has what it had, and the log says so.
fn everywhere_emulated(bed: &Bed, runtime: Runtime) -> TestResult {
    let mut bundle = bundle(bed, "0")?.unprotected();
    let program = format!(
        "echo 7 2> /dev/null > {KEY}; {}",
        bundle.config["process"]["args"][2]
    );
    bundle.config["process"]["args"][2] = program.replace('"', "").into();
    bundle.write()?;
    let call = r#"bash -euc 'OPTIONS="--log $BED/log" container wrapped b inside; grep -o "level=warning.*emulated" log | wc -l'"#;
    let output = denied(bed, runtime, EVERYWHERE, "refused_sysctls = \"emulate\"", call)?;
    equal(
        "the container, then from outside, then warnings",
        output.success()?,
        "0\n1\n1024\n1",
    )
}

fn everywhere_left(bed: &Bed, runtime: Runtime) -> TestResult {
    bundle(bed, "0")?.write()?;
    denied(
        bed,
        runtime,
        EVERYWHERE,
        "refused_sysctls = \"fail\"",
        "run wrapped b",
    )?
    .fails_with(&own_words(runtime))
}

/// What the kernel does not take as a value is not emulated either.
fn wrong_value(bed: &Bed, runtime: Runtime, policy: &str) -> TestResult {
    bundle(bed, "99999")?.write()?;
    let policy = format!("refused_sysctls = {policy:?}");
    let output = denied(bed, runtime, DETACHED, &policy, "run wrapped b")?;
    equal("standard output", output.stdout.as_str(), "")?;
    let says = match runtime {
        // Nobody refuses it to open the key, so it is crun that writes.
        CRUN => format!("write to {KEY}: Invalid argument"),
        _ => format!("sysctl {SYSCTL}=99999: write("),
    };
    output.fails_with(&says)?;
    equal(
        "the reason",
        output.stderr.to_lowercase().contains("invalid argument"),
        true,
    )
}

fn not_owned(bed: &Bed, runtime: Runtime) -> TestResult {
    bundle(bed, "0")?.host_namespace("network").write()?;
    let says = match runtime {
        CRUN => format!("the sysctl `{SYSCTL}` requires a new network namespace"),
        _ => format!(r#"sysctl \"{SYSCTL}\" not allowed in host network namespace"#),
    };
    let policy = "refused_sysctls = \"emulate\"";
    denied(bed, runtime, EVERYWHERE, policy, "run wrapped b")?.fails_with(&says)
}

/// Runs a container in a pod's network namespace that asks for another TTL there too, and fails; gives what it said and the TTL.
fn in_pod(
    bed: &Bed,
    runtime: Runtime,
    config: &Path,
    pattern: &str,
    call: &str,
) -> TestResult<(Output, String)> {
    let text = format!(
        r#"in_netns() {{ nsenter --net="$BED/netns" "$@"; }}
        export -f in_netns
        touch netns
        unshare --net="$BED/netns" true
        in_netns sysctl -qw net.ipv4.ip_default_ttl=65
        status=0
        denied '{pattern}' {call} || status=$?
        in_netns cat /proc/sys/net/ipv4/ip_default_ttl > ttl
        umount netns
        exit $status"#
    );
    let output = with_denial(bed, bed.runtime_script(&runtime, &text)?)?
        .env("CONFIG", config)
        .run()?;
    equal("standard output", output.stdout.as_str(), "")?;
    let ttl = fs::read_to_string(bed.path("ttl"))?;
    Ok((output, ttl.trim().to_owned()))
}

fn pod_bundle(bed: &Bed, value: &str) -> TestResult<Bundle> {
    Ok(bundle(bed, value)?
        .join_namespace("network", &bed.path("netns"))
        .sysctl("net.ipv4.ip_default_ttl", "77"))
}

/// A denial past which the hook writes; in crun there is none, which has made the mounted keys read-only by then.
fn past(runtime: Runtime) -> &'static str {
    if runtime == CRUN { "^nothing$" } else { DETACHED }
}

fn refused_second(bed: &Bed, runtime: Runtime) -> TestResult {
    pod_bundle(bed, "0")?.write()?;
    // With nothing else for the hook to do: crun would write the first key itself.
    let config = bed.config_with("profiles = []\n")?;
    let (output, ttl) = in_pod(bed, runtime, &config, EVERYWHERE, "run wrapped b")?;
    output.fails_with(&hook_says(
        runtime,
        &format!("sysctl {SYSCTL}=0: open for writing("),
    ))?;
    equal("the pod's value", ttl.as_str(), "65")
}

fn wrong_second(bed: &Bed, runtime: Runtime) -> TestResult {
    pod_bundle(bed, "99999")?.write()?;
    let config = bed.config(&support::made_up_table(bed)?)?;
    let (output, ttl) = in_pod(bed, runtime, &config, past(runtime), "run wrapped b")?;
    output.fails_with(&hook_says(runtime, &format!("sysctl {SYSCTL}=99999: write(")))?;
    equal("the pod's value", ttl.as_str(), "65")
}

/// What the table replaces is written too, and put back.
fn replaced_first(bed: &Bed, runtime: Runtime) -> TestResult {
    pod_bundle(bed, "99999")?.write()?;
    let always = r#"{ value = 7, when = "always" }"#;
    let table = bed.table(
        "t.toml",
        &[
            ("net/ipv4/ip_default_ttl", always),
            ("net/ipv4/made_up", "{ value = 7 }"),
        ],
    )?;
    let (output, ttl) = in_pod(bed, runtime, &bed.config(&table)?, past(runtime), "run wrapped b")?;
    output.fails_with(&hook_says(runtime, &format!("sysctl {SYSCTL}=99999: write(")))?;
    equal("the pod's value", ttl.as_str(), "65")
}

/// Past the denial nothing leads the hook from the key to another one, as a mount over it would.
fn covered(bed: &Bed, runtime: Runtime) -> TestResult {
    let mut bundle = pod_bundle(bed, "77")?;
    let cover = format!(
        r#"pid=$(sed 's/.*"pid": *\([0-9]*\).*/\1/')
        keys={}
        nsenter --target "$pid" --mount --net mount --bind "$keys/ip_default_ttl" "$keys/ip_unprivileged_port_start""#,
        bed.path("b/rootfs/proc/sys/net/ipv4").display()
    );
    bundle.config["linux"]["sysctl"] = serde_json::json!({SYSCTL: "77"});
    bundle.config["hooks"]["createRuntime"] =
        serde_json::json!([{"path": "/bin/bash", "args": ["bash", "-euc", cover]}]);
    bundle.write()?;
    let config = bed.config(&support::made_up_table(bed)?)?;
    let (output, ttl) = in_pod(bed, runtime, &config, DETACHED, "run wrapped b")?;
    equal("the pod's value", ttl.as_str(), "65")?;
    output.fails_with(&format!("sysctl {SYSCTL}=77: open for writing("))
}

/// The mounts fail when both keys have been written: they were to show a key of a process that is gone.
fn failed_attach(bed: &Bed, runtime: Runtime) -> TestResult {
    pod_bundle(bed, "0")?.write()?;
    let mark = r#"bash -euc '
        "$BRIDGE" rewrite --runtime "$RUNTIME" --config "$CONFIG" "$BED/b" > /dev/null
        perl -0pi -e "s/\"procemu\": \{/\"procemu\": {\"lending\":{\"pid\":$$,\"namespace\":1,\"keys\":[\"net\/ipv4\/made_up\"]},/" b/config.json
        grep -q lending b/config.json
        run rt b'"#;
    let config = bed.config(&support::made_up_table(bed)?)?;
    let (output, ttl) = in_pod(bed, runtime, &config, past(runtime), mark)?;
    output.fails_with(&hook_says(runtime, "is not its process any more"))?;
    equal("the pod's value", ttl.as_str(), "65")
}

/// With `missing_sysctls = "fail"` the runtime says it, and below an overmount the hook.
fn missing(bed: &Bed, runtime: Runtime) -> TestResult {
    Bundle::new(bed, "b", "echo started")?
        .own_namespace("network")
        .sysctl("net.ipv4.made_up_too", "1")
        .write()?;
    let policy = "[policy]\nmissing_sysctls = \"fail\"\n";
    let table = support::made_up_table(bed)?;
    let beside = format!("tables = [{:?}]\n", table.display());
    let not_found = match runtime {
        RUNC_1_5 => "openat2 fsmount:fscontext:proc/./sys/net/ipv4/made_up_too: no such file or directory",
        CRUN => "open /proc/sys/net/ipv4/made_up_too: No such file or directory",
        _ => "open /proc/sys/net/ipv4/made_up_too: no such file or directory",
    };
    let lacks = hook_says(runtime, "sysctl net.ipv4.made_up_too=1: the kernel lacks it");
    for (tables, says) in [("", not_found), (beside.as_str(), lacks.as_str())] {
        let config = bed.config_with(&format!("profiles = []\n{tables}{policy}"))?;
        let output = bed
            .runtime_script(&runtime, "run wrapped b")?
            .env("CONFIG", config)
            .run()?;
        equal("standard output", output.stdout.as_str(), "")?;
        output.fails_with(says)?;
    }
    Ok(())
}
