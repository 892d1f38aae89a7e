//! What a container sees that got the keys: the union of the kernel's and ours, everything of the kernel's as it was.

mod support;

use std::process::ExitCode;

use support::{
    Bed, Bundle, MADE_UP, Propagation, RUNTIMES, Runtime, Suite, TestResult, equal, fail, made_up_table,
    made_up_values, print_made_up, same_lines, section,
};

/// What changes from one read to the next.
const LIVE: [&str; 11] = [
    "kernel.random.uuid",
    "kernel.random.entropy_avail",
    "kernel.ns_last_pid",
    "kernel.pty.nr",
    "fs.file-nr",
    "fs.inode-nr",
    "fs.inode-state",
    "fs.dentry-state",
    "fs.aio-nr",
    "net.netfilter.nf_conntrack_count",
    "fs.quota.syncs",
];

const LIST: &str = "echo '== find'; find /proc/sys\n\
    echo '== ls'; ls -A /proc/sys /proc/sys/kernel /proc/sys/net /proc/sys/net/ipv4 /proc/sys/fs\n\
    echo '== modes'; find /proc/sys -exec stat -c '%F %a %u %g %n' '{}' +\n\
    echo '== sysctl'; sysctl -a 2> /dev/null || true\n";

fn main() -> ExitCode {
    let mut suite = Suite::new();
    for runtime in RUNTIMES {
        let name = runtime.name;
        suite.test(format!("cured::union::{name}"), move |bed| union(bed, runtime));
        suite.test(format!("cured::exec::{name}"), move |bed| exec(bed, runtime));
        suite.test(format!("cured::nothing_lacking::{name}"), move |bed| {
            nothing_lacking(bed, runtime)
        });
        suite.test(format!("cured::no_place_for_keys::{name}"), move |bed| {
            no_place_for_keys(bed, runtime)
        });
        suite.test(format!("bare::user_namespace::{name}"), move |bed| {
            user_namespace_bare(bed, runtime)
        });
        suite.test(format!("cured::user_namespace::{name}"), move |bed| {
            user_namespace(bed, runtime)
        });
        suite.test(format!("bare::shared_volume::{name}"), move |bed| {
            shared_volume(bed, runtime, "rt")
        });
        suite.test(format!("cured::shared_volume::{name}"), move |bed| {
            shared_volume(bed, runtime, "wrapped")
        });
    }
    suite.run()
}

fn union(bed: &Bed, runtime: Runtime) -> TestResult {
    let program = format!("{LIST}echo '== made up'\n{}", print_made_up());
    Bundle::new(bed, "b", LIST)?.write()?;
    let bare = bed.runtime_script(&runtime, "run rt b")?.succeed()?;
    Bundle::new(bed, "c", &program)?.write()?;
    let config = bed.config(&made_up_table(bed)?)?;
    let cured = bed
        .runtime_script(&runtime, "run wrapped c")?
        .env("CONFIG", config)
        .succeed()?;

    equal("values", section(&cured, "made up")?.join("\n"), made_up_values())?;

    let paths: Vec<String> = MADE_UP
        .iter()
        .map(|(key, _, _)| format!("/proc/sys/{key}"))
        .collect();
    let ours = paths.iter().map(String::as_str).chain(["/proc/sys/net/made"]);
    same_lines(
        "find",
        section(&cured, "find")?,
        section(&bare, "find")?.into_iter().chain(ours.clone()),
    )?;
    let names = ["made_up_key", "made_up", "made"];
    same_lines(
        "ls",
        section(&cured, "ls")?,
        section(&bare, "ls")?.into_iter().chain(names),
    )?;

    let mine = |line: &&str| ours.clone().any(|path| line.ends_with(&format!(" {path}")));
    let modes = section(&cured, "modes")?;
    same_lines(
        "modes",
        modes.iter().copied().filter(|line| !mine(line)),
        section(&bare, "modes")?,
    )?;
    let made_up = [
        "regular file 444 0 0 /proc/sys/kernel/made_up_key",
        "regular file 444 0 0 /proc/sys/net/ipv4/made_up",
        "regular file 444 0 0 /proc/sys/net/made/up",
        "regular file 644 0 0 /proc/sys/fs/made_up",
        "directory 555 0 0 /proc/sys/net/made",
    ];
    same_lines("modes of ours", modes.iter().copied().filter(mine), made_up)?;

    let lively = |line: &&str| LIVE.iter().any(|key| line.starts_with(&format!("{key} =")));
    let ours: Vec<String> = MADE_UP
        .iter()
        .map(|(key, _, value)| format!("{} = {value}", key.replace('/', ".")))
        .collect();
    let expected = section(&bare, "sysctl")?
        .into_iter()
        .chain(ours.iter().map(String::as_str));
    same_lines(
        "sysctl -a",
        section(&cured, "sysctl")?
            .into_iter()
            .filter(|line| !lively(line)),
        expected.filter(|line| !lively(line)),
    )
}

/// `exec` enters the container that was prepared; runc needs no wrapper for that, crun reads keys outside first.
fn exec(bed: &Bed, runtime: Runtime) -> TestResult {
    Bundle::new(bed, "b", "sleep 100")?
        .bind_proc(&bed.path("inner"))
        .write()?;
    let mut calls = vec!["wrapped"];
    if !runtime.reads_outer_proc() {
        calls.push("rt");
    }
    for call in calls {
        let text = format!(
            "deprived_proc inner kernel/cap_last_cap; deprive /proc kernel/cap_last_cap\n\
             inside() {{ {call} exec \"$ID-b\" sh -c 'cat /proc/sys/kernel/cap_last_cap; exit 3' || test $? = 3; }}\n\
             container wrapped b inside"
        );
        let last_cap = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap")?;
        equal(
            "read by exec",
            bed.runtime_script(&runtime, &text)?.succeed()?,
            last_cap.trim_end(),
        )?;
    }
    Ok(())
}

/// A container that lacks nothing gets no hook and is what it is without us.
fn nothing_lacking(bed: &Bed, runtime: Runtime) -> TestResult {
    let bundle = Bundle::new(
        bed,
        "b",
        "echo $(cat /proc/sys/kernel/ostype); cat /proc/self/mountinfo | grep -c procemu:",
    )?
    .write()?;
    let config = bed.config(&bed.table("t.toml", &[("kernel/ostype", r#"{ value = "not this" }"#)])?)?;
    let output = bed
        .runtime_script(&runtime, "run wrapped b || true")?
        .env("CONFIG", config)
        .succeed()?;
    equal("standard output", output, "Linux\n0")?;
    let text = std::fs::read_to_string(bundle.join("config.json"))?;
    if text.contains("runtime-bridge") {
        fail(format!("a hook where nothing is lacking:\n{text}"))
    } else {
        Ok(())
    }
}

const IDENTITY: &str = "id -u; cat /proc/self/uid_map";

/// Any overmount below /proc, without a spare clone of it, keeps a user namespace from mounting its procfs.
fn user_namespace_bare(bed: &Bed, runtime: Runtime) -> TestResult {
    Bundle::new(bed, "b", IDENTITY)?.user_namespace().write()?;
    bed.runtime_script(&runtime, "run rt b")?.succeed()?;
    let output = bed
        .runtime_script(&runtime, "deprive /proc vm/overcommit_ratio; run rt b")?
        .run()?;
    let said = output.stderr.to_lowercase();
    if output.status.success() || !said.contains("mount") || !said.contains("operation not permitted") {
        return output.fail("a procfs for a user namespace should have been refused");
    }
    Ok(())
}

fn user_namespace(bed: &Bed, runtime: Runtime) -> TestResult {
    Bundle::new(bed, "b", &format!("{IDENTITY}\n{}", print_made_up()))?
        .user_namespace()
        .write()?;
    let config = bed.config(&made_up_table(bed)?)?;
    let output = bed
        .runtime_script(&runtime, "run wrapped b")?
        .env("CONFIG", config)
        .succeed()?;
    let expected = format!("0\n         0     100000      65536\n{}", made_up_values());
    equal("standard output", output, expected)
}

/// Kubernetes' Bidirectional: what the container mounts in a shared volume appears on the host.
fn shared_volume(bed: &Bed, runtime: Runtime, call: &str) -> TestResult {
    let program =
        "mount -t tmpfs inner /mnt/inner && echo hello > /mnt/inner/file && touch /tmp/done && sleep 100";
    Bundle::new(bed, "b", program)?
        .capability("CAP_SYS_ADMIN")
        .shared_root()
        .bind(&bed.path("volume"), "/mnt", &["rbind", "rshared"])
        .write()?;
    let config = bed.config(&made_up_table(bed)?)?;
    let text = format!(
        "mkdir volume; mount -t tmpfs volume \"$BED/volume\"; mkdir volume/inner\n\
         inside() {{ wait_for b/rootfs/tmp/done; cat volume/inner/file; }}\n\
         container {call} b inside"
    );
    let script = bed
        .runtime_script(&runtime, &text)?
        .propagation(Propagation::Shared)
        .env("CONFIG", config);
    equal("the volume as the host sees it", script.succeed()?, "hello")
}

/// A container without /proc, or with processes alone in it, starts as it would without us.
fn no_place_for_keys(bed: &Bed, runtime: Runtime) -> TestResult {
    let config = bed.config(&made_up_table(bed)?)?;
    for name in ["no_proc", "subset"] {
        let mut bundle = Bundle::new(bed, name, "echo started")?;
        let mounts = bundle.config["mounts"].as_array_mut().into_iter().flatten();
        for mount in mounts.filter(|mount| mount["destination"] == "/proc") {
            match name {
                "no_proc" => mount["destination"] = "/mnt".into(),
                _ => mount["options"] = serde_json::json!(["subset=pid"]),
            }
        }
        bundle.write()?;
        let run = |call: &str| {
            let script = bed.runtime_script(&runtime, &format!("run {call} {name}"))?;
            script.env("CONFIG", &config).run()
        };
        let (bare, cured) = (run("rt")?, run("wrapped")?);
        equal(
            name,
            (cured.status.code(), cured.stdout),
            (bare.status.code(), bare.stdout),
        )?;
    }
    Ok(())
}
