//! `linux.sysctl`: what the kernel lacks is emulated, what exists is written, what the container does not own is refused.

mod support;

use std::process::ExitCode;

use support::{Bed, Bundle, CRUN, RUNC_1_1, RUNTIMES, Runtime, Suite, TestResult, equal, made_up_table};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    for runtime in RUNTIMES {
        let name = runtime.name;
        suite.test(format!("bare::lacking::{name}"), move |bed| {
            lacking_bare(bed, runtime)
        });
        suite.test(format!("cured::lacking::{name}"), move |bed| {
            lacking(bed, runtime)
        });
        suite.test(format!("cured::lacking_ipc::{name}"), move |bed| {
            lacking_ipc(bed, runtime)
        });
        suite.test(format!("cured::job_not_owned::{name}"), move |bed| {
            job_not_owned(bed, runtime)
        });
        suite.test(format!("cured::job_without_proc_sys::{name}"), move |bed| {
            job_without_proc_sys(bed, runtime)
        });
        suite.test(format!("cured::replaced::{name}"), move |bed| {
            replaced(bed, runtime)
        });
        suite.test(format!("cured::across_an_overmount::{name}"), move |bed| {
            across_an_overmount(bed, runtime)
        });
        for (what, key, in_runc, in_crun) in [
            (
                "host_network",
                "net.ipv4.made_up",
                "not allowed in host network namespace",
                "requires a new network namespace",
            ),
            (
                "no_namespace",
                "kernel.made_up",
                "is not in a separate kernel namespace",
                "is not namespaced",
            ),
            (
                "existing",
                "vm.overcommit_memory",
                "is not in a separate kernel namespace",
                "is not namespaced",
            ),
        ] {
            for call in ["rt", "wrapped"] {
                let half = if call == "rt" { "bare" } else { "cured" };
                suite.test(format!("{half}::not_owned::{what}::{name}"), move |bed| {
                    let says = if runtime.name == CRUN.name {
                        format!("the sysctl `{key}` {in_crun}")
                    } else {
                        format!(r#"sysctl \"{key}\" {in_runc}"#)
                    };
                    not_owned(bed, runtime, call, key, &says)
                });
            }
        }
    }
    suite.run()
}

/// A job that orders what the container does not own is refused by the hook too; the suite looks at the host's value.
fn job_not_owned(bed: &Bed, runtime: Runtime) -> TestResult {
    Bundle::new(bed, "b", "echo started")?.write()?;
    let config = bed.config(&support::made_up_table(bed)?)?;
    let rewrite = r#""$BRIDGE" rewrite --runtime "$RUNTIME" --config "$CONFIG" "$BED/b""#;
    bed.runtime_script(&runtime, rewrite)?
        .env("CONFIG", config)
        .succeed()?;
    support::edit_config(&bed.path("b"), |config| {
        config["procemu"]["sysctl"] = serde_json::json!({"kernel.shmmni": "4000", "vm.swappiness": "9"});
    })?;
    let output = bed
        .runtime_script(&runtime, "run rt b; cat /proc/sys/vm/swappiness")?
        .run()?;
    let says = if runtime.name == CRUN.name {
        "error executing hook"
    } else {
        "is not in a namespace of the container's own"
    };
    equal("started", output.stdout.contains("started"), false)?;
    output.fails_with(says)
}

/// No container runs without a sysctl of its job's because it has no place for it.
fn job_without_proc_sys(bed: &Bed, runtime: Runtime) -> TestResult {
    Bundle::new(bed, "b", "echo started")?
        .own_namespace("network")
        .sysctl("net.ipv4.made_up", "1")
        .write()?;
    let config = bed.config_with("profiles = []\n")?;
    let rewrite = r#""$BRIDGE" rewrite --runtime "$RUNTIME" --config "$CONFIG" "$BED/b""#;
    bed.runtime_script(&runtime, rewrite)?
        .env("CONFIG", config)
        .succeed()?;
    support::edit_config(&bed.path("b"), |config| {
        for mount in config["mounts"].as_array_mut().into_iter().flatten() {
            if mount["destination"] == "/proc" {
                mount["options"] = serde_json::json!(["subset=pid"]);
            }
        }
    })?;
    let output = bed.runtime_script(&runtime, "run rt b")?.run()?;
    equal("standard output", output.stdout.as_str(), "")?;
    output.fails_with(if runtime.name == CRUN.name {
        "error executing hook"
    } else {
        "the container has no /proc/sys; give it a whole /proc"
    })
}

fn lacking_bare(bed: &Bed, runtime: Runtime) -> TestResult {
    Bundle::new(bed, "b", "true")?
        .own_namespace("network")
        .sysctl("net.ipv4.made_up", "1")
        .write()?;
    let says = match runtime {
        RUNC_1_1 => "open /proc/sys/net/ipv4/made_up: no such file or directory",
        CRUN => "open /proc/sys/net/ipv4/made_up: No such file or directory",
        _ => {
            "open sysctl net.ipv4.made_up file: unsafe procfs detected: \
             openat2 fsmount:fscontext:proc/./sys/net/ipv4/made_up: no such file or directory"
        }
    };
    bed.runtime_script(&runtime, "run rt b")?.run()?.fails_with(says)
}

fn lacking(bed: &Bed, runtime: Runtime) -> TestResult {
    let program = "cat /proc/sys/net/ipv4/made_up /proc/sys/net/made/up /proc/sys/net/ipv4/ip_default_ttl";
    Bundle::new(bed, "b", program)?
        .own_namespace("network")
        .sysctl("net.ipv4.made_up", "1024 2048")
        .sysctl("net.made.up", "3")
        .sysctl("net.ipv4.ip_default_ttl", "77")
        .write()?;
    let config = bed.config_with("profiles = []\n")?;
    let script = bed
        .runtime_script(&runtime, "run wrapped b")?
        .env("CONFIG", config);
    equal("read in the container", script.succeed()?, "1024 2048\n3\n77")
}

/// fs.mqueue.* is the container's with an IPC namespace of its own.
fn lacking_ipc(bed: &Bed, runtime: Runtime) -> TestResult {
    let program = "cat /proc/sys/fs/mqueue/made_up /proc/sys/fs/mqueue/queues_max";
    Bundle::new(bed, "b", program)?
        .own_namespace("ipc")
        .sysctl("fs.mqueue.made_up", "9")
        .sysctl("fs.mqueue.queues_max", "17")
        .write()?;
    let script = bed.runtime_script(&runtime, "run wrapped b")?;
    equal("read in the container", script.succeed()?, "9\n17")
}

/// The table adds keys beside the ones that `linux.sysctl` sets: these must reach the kernel, in the container's namespaces.
fn across_an_overmount(bed: &Bed, runtime: Runtime) -> TestResult {
    let keys = "/proc/sys/kernel/shmmni /proc/sys/net/ipv4/ip_default_ttl";
    let program = format!(
        "cat {keys} /proc/sys/kernel/made_up_key /proc/sys/net/ipv4/made_up; touch /tmp/done; sleep 100"
    );
    Bundle::new(bed, "b", &program)?
        .own_namespace("network")
        .own_namespace("ipc")
        .sysctl("kernel.shmmni", "4321")
        .sysctl("net.ipv4.ip_default_ttl", "77")
        .write()?;
    let config = bed.config(&made_up_table(bed)?)?;
    let text = format!(
        "inside() {{ wait_for b/rootfs/tmp/done; cat b.out; nsenter --target \"$(cat b.pid)\" --net --ipc cat {keys}; }}\n\
         container wrapped b inside"
    );
    let output = bed
        .runtime_script(&runtime, &text)?
        .env("CONFIG", config)
        .succeed()?;
    equal(
        "the container, then its namespaces from outside",
        output,
        "4321\n77\n7\n4096\t131072\n4321\n77",
    )
}

/// A value that the kernel refuses is one for the container all the same, if the table says to replace the key.
fn replaced(bed: &Bed, runtime: Runtime) -> TestResult {
    let key = "net/ipv4/ip_default_ttl";
    let bundle = Bundle::new(bed, "b", &format!("cat /proc/sys/{key}"))?
        .own_namespace("network")
        .sysctl("net.ipv4.ip_default_ttl", "300");
    bundle.write()?;
    for (when, expected) in [("always", Some("300")), ("missing", None)] {
        let entry = format!("{{ sysctl = true, fallback = 64, when = \"{when}\" }}");
        let table = bed.table(
            "t.toml",
            &[(key, entry.as_str()), ("net/ipv4/made_up", "{ value = 7 }")],
        )?;
        let script = bed
            .runtime_script(&runtime, "run wrapped b")?
            .env("CONFIG", bed.config(&table)?);
        match expected {
            Some(value) => equal("read in the container", script.succeed()?, value)?,
            // crun drops what a hook says.
            None if runtime.name == CRUN.name => script.run()?.fails_with("error executing hook")?,
            None => script
                .run()?
                .fails_with("sysctl net.ipv4.ip_default_ttl=300: write(")?,
        }
    }
    Ok(())
}

fn not_owned(bed: &Bed, runtime: Runtime, call: &str, key: &str, says: &str) -> TestResult {
    // With the key in the table too: emulating it would hide that the container may not set it.
    let table = bed.table(
        "t.toml",
        &[
            ("net/ipv4/made_up", "{ value = 7 }"),
            ("kernel/made_up", "{ value = 7 }"),
        ],
    )?;
    let config = bed.config(&table)?;
    Bundle::new(bed, "b", "echo started")?.sysctl(key, "1").write()?;
    let output = bed
        .runtime_script(&runtime, &format!("run {call} b"))?
        .env("CONFIG", config)
        .run()?;
    equal("standard output", output.stdout.as_str(), "")?;
    output.fails_with(says)
}
