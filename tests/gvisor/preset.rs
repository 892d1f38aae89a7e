//! `--preset gvisor` and `preset = "gvisor"`: what fails in a real gVisor without it runs with it, and on Linux nothing changes.

#[path = "../support/mod.rs"]
mod support;

use std::process::ExitCode;

use serde_json::json;
use support::{
    Bed, Bundle, CRUN, GVISOR, GVISOR_LACKING, GVISOR_V2, Gvisor, RUNC_1_1, RUNC_1_5, RUNTIMES, Runtime,
    Script, Suite, TestResult, equal,
};

const PRESET: &str = "preset = \"gvisor\"\n";

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.test("bare::stuck_and_zero", bare_program);
    suite.test("cured::stuck_and_zero", program);
    suite.test("cured::truthful_values", truthful_values);
    for runtime in [RUNC_1_1, RUNC_1_5] {
        let name = runtime.name;
        suite.test(format!("bare::cgroup_namespace::{name}"), move |bed| {
            let bare = cgroup_namespace(bed, runtime, "rt", "")?.run()?;
            bare.fails_with("cgroup namespaces aren't enabled in the kernel")
        });
    }
    for runtime in RUNTIMES {
        let name = runtime.name;
        suite.test(format!("cured::cgroup_namespace::{name}"), move |bed| {
            let wrapped = cgroup_namespace(bed, runtime, "wrapped", PRESET)?;
            equal("said", wrapped.succeed()?, "0\n0\t2147483647")
        });
    }
    suite.test("kept::cgroup_namespace", |bed| {
        let config = format!("{PRESET}[policy]\ncgroup_namespace = \"keep\"\n");
        let wrapped = cgroup_namespace(bed, RUNC_1_5, "wrapped", &config)?.run()?;
        wrapped.fails_with("cgroup namespaces aren't enabled in the kernel")
    });
    suite.test("bare::no_cgroups::crun-1.8.1", |bed| {
        no_cgroups(bed, "rt", "")?
            .run()?
            .fails_with("could not join cgroup")
    });
    for (which, config) in [
        ("preset", PRESET),
        ("policy", "[policy]\ncrun_cgroups = \"auto\"\n"),
    ] {
        suite.test(format!("cured::no_cgroups::{which}"), move |bed| {
            equal("said", no_cgroups(bed, "wrapped", config)?.succeed()?, "exec\nup")
        });
    }
    suite.test("kept::no_cgroups::chosen_manager", |bed| {
        let script = no_cgroups(bed, "wrapped", PRESET)?.env("OPTIONS", "--cgroup-manager=cgroupfs");
        script.run()?.fails_with("could not join cgroup")
    });
    for (version, file) in [("v1", "freezer.state"), ("v2", "cgroup.freeze")] {
        suite.test(format!("bare::no_freezer::{version}"), move |bed| {
            no_freezer(bed, version, "rt")?.run()?.fails_with(file)
        });
        suite.test(format!("cured::no_freezer::{version}"), move |bed| {
            equal(
                "said",
                no_freezer(bed, version, "wrapped")?.succeed()?,
                "exec\nup",
            )
        });
    }
    for runtime in [RUNC_1_5, CRUN] {
        suite.test(format!("bare::unified::{}", runtime.name), move |bed| {
            unified(bed, runtime, "rt")?.run()?.fails_with(match runtime {
                CRUN => "opening file `memory.oom.group` for writing: No such file or directory",
                _ => r#"unable to set unified resource \"memory.oom.group\""#,
            })
        });
        suite.test(format!("cured::unified::{}", runtime.name), move |bed| {
            equal(
                "said",
                unified(bed, runtime, "wrapped")?.succeed()?,
                "up\n98304\nnone left",
            )
        });
    }
    suite.test("linux::program", linux_program);
    suite.test("linux::bundle", linux_bundle);
    for runtime in RUNTIMES {
        suite.test(format!("linux::flags::{}", runtime.name), move |bed| {
            linux_flags(bed, runtime)
        });
    }
    suite.test("linux::read_only_cgroups", read_only_cgroups);
    suite.test("linux::zero", linux_zero);
    suite.test("linux::zero_in_a_container", zero_in_a_container);
    suite.test("wrong::name", wrong_name);
    suite.run()
}

/// A `/proc/stat` as older gVisor had it; the present one counts.
const ZERO_STAT: &str =
    "sed -E 's/^(cpu[0-9]*) .*/\\1 0 0 0 0 0 0 0 0 0 0/; s/^cpu /cpu  /' /proc/stat > zero
    mount --bind zero /proc/stat\n";

fn bare_program(bed: &Bed) -> TestResult {
    let script = bed.sandbox(
        GVISOR,
        &format!("{ZERO_STAT} head -n 1 /proc/stat; echo 1 > /proc/sys/vm/overcommit_memory"),
    )?;
    let output = script.run()?;
    equal("stat", output.stdout.trim_end(), "cpu  0 0 0 0 0 0 0 0 0 0")?;
    output.fails_with("write error: Input/output error")
}

fn program(bed: &Bed) -> TestResult {
    let text = r#""$NSPREP" exec --preset gvisor -- sh -c '
            read -r name user nice system idle rest < /proc/stat; echo "$name $user $nice $system"; test "$idle" -gt 0
            grep -vc ^cpu /proc/stat; sed s/^cpu.*/cpu/ /proc/stat > ours
            cat /proc/sys/vm/overcommit_memory; echo 1 > /proc/sys/vm/overcommit_memory; cat /proc/sys/vm/overcommit_memory'
        sed s/^cpu.*/cpu/ zero | diff - ours; umount /proc/stat
        "$NSPREP" exec --preset gvisor -- cat /proc/self/mountinfo | grep -c ' /proc/stat ' || true
        "$NSPREP" exec --preset gvisor -- "$NSPREP" verify --preset gvisor | grep -v ^ok || true"#;
    let script = bed.sandbox(GVISOR, &format!("{ZERO_STAT}{text}"))?;
    equal("said", script.succeed()?, "cpu 0 0 0\n7\n0\n1\n0")
}

/// In the sandbox, in a network namespace of its own, and as the wrapper finds it for a container.
fn truthful_values(bed: &Bed) -> TestResult {
    let program = "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/net/ipv4/ping_group_range";
    Bundle::new(bed, "b", program)?.own_namespace("network").write()?;
    let text = format!(
        r#""$NSPREP" exec --preset gvisor -- {program}; unshare --net "$NSPREP" exec --preset gvisor -- {program}; run wrapped b"#
    );
    let script = bed
        .runtime_sandbox(GVISOR, &RUNC_1_5, &text)?
        .env("CONFIG", bed.config_with(&format!("profiles = []\n{PRESET}"))?);
    equal(
        "values",
        script.succeed()?,
        "0\n0\t2147483647\n".repeat(3).trim_end(),
    )
}

/// A container that is to have a cgroup namespace, which gVisor has with cgroup v2 only, and pods' sysctls.
fn cgroup_namespace(bed: &Bed, runtime: Runtime, call: &str, config: &str) -> TestResult<Script> {
    let program = "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/net/ipv4/ping_group_range";
    Bundle::new(bed, "b", program)?.own_namespace("cgroup").write()?;
    let script = bed.runtime_sandbox(GVISOR_LACKING, &runtime, &format!("run {call} b"))?;
    Ok(script.env("CONFIG", bed.config_with(config)?))
}

/// crun's whole life of a container where nothing is mounted at /sys/fs/cgroup.
fn no_cgroups(bed: &Bed, call: &str, config: &str) -> TestResult<Script> {
    life(bed, GVISOR, "true", call, config)
}

/// The same where the cgroups have no freezer.
fn no_freezer(bed: &Bed, version: &str, call: &str) -> TestResult<Script> {
    match version {
        "v1" => life(bed, GVISOR, "cgroup_v1", call, PRESET),
        _ => {
            let mount = "mount -t cgroup2 cgroup2 /sys/fs/cgroup";
            life(bed, GVISOR_V2, mount, call, PRESET)
        }
    }
}

fn life(bed: &Bed, gvisor: Gvisor, cgroups: &str, call: &str, config: &str) -> TestResult<Script> {
    Bundle::new(bed, "b", "echo up; exec sleep 60")?.write()?;
    let text = format!(
        r#"{cgroups}; inside() {{ "{call}" exec "$ID-b" echo exec; wait_for_line "$BED/b.out"; cat "$BED/b.out"; {call} kill "$ID-b" KILL; }}
        wait_for_line() {{ local turns=0; until [ -s "$1" ]; do turns=$((turns + 1)); [ $turns -lt 500 ]; sleep 0.02; done; }}
        container {call} b inside"#
    );
    let script = bed.sandbox(gvisor, &text)?;
    Ok(script
        .env("RUNTIME", CRUN.path()?)
        .env("CONFIG", bed.config_with(config)?))
}

/// What the kubelet asks for with cgroup v2.
fn unified(bed: &Bed, runtime: Runtime, call: &str) -> TestResult<Script> {
    let mut bundle = Bundle::new(bed, "b", "echo up")?;
    bundle.config["linux"]["resources"]["unified"] = json!({"memory.oom.group": "1", "memory.high": "98304"});
    bundle.config["hooks"] = json!({"createContainer": [{
        "path": "/bin/sh",
        "args": ["sh", "-c", format!("cat /sys/fs/cgroup/{}-b/memory.high > {}", bed.id(), bed.path("high").display())],
    }]});
    bundle.write()?;
    let text = format!(
        r#"mount -t cgroup2 cgroup2 /sys/fs/cgroup; run {call} b; cat high
        find /sys/fs/cgroup -mindepth 1 -type d; echo none left"#
    );
    let script = bed.sandbox(GVISOR_V2, &text)?;
    // With the whole preset crun would make no cgroup.
    let config = match runtime {
        CRUN => "[policy]\nunified_resources = \"auto\"\n",
        _ => PRESET,
    };
    Ok(script
        .env("RUNTIME", runtime.path()?)
        .env("CONFIG", bed.config_with(config)?))
}

fn linux_program(bed: &Bed) -> TestResult {
    let text = r#""$NSPREP" plan --preset gvisor; "$NSPREP" plan --preset gvisor --profile kubelet
        readlink /proc/self/ns/mnt > before; "$NSPREP" exec --preset gvisor -- readlink /proc/self/ns/mnt | diff before -
        "$NSPREP" verify --preset gvisor | grep -v '(kernel, ' || true
        "$NSPREP" exec --preset gvisor -- cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/net/ipv4/ping_group_range"#;
    let nothing = "nothing to do: no key of the table is lacking";
    equal(
        "said",
        bed.script(text)?.succeed()?,
        format!("{nothing}\n{nothing}\n1024\n1\t0"),
    )
}

fn linux_bundle(bed: &Bed) -> TestResult {
    let bundle = Bundle::new(bed, "b", "true")?
        .own_namespace("cgroup")
        .own_namespace("network");
    let mut bundle = bundle.sysctl("net.ipv4.ip_unprivileged_port_start", "0");
    bundle.config["ociVersion"] = json!("1.0.2");
    bundle.config["linux"]["resources"]["unified"] = json!({"memory.oom.group": "1"});
    bundle.write()?;
    let text = r#"cp b/config.json before; "$NSPREP" bundle --preset gvisor --hook "$BRIDGE" b; cmp before b/config.json
        "$BRIDGE" rewrite --config "$CONFIG" b; cmp before b/config.json"#;
    let script = bed.script(text)?.env("CONFIG", bed.config_with(PRESET)?);
    equal("said", script.succeed()?, "nothing to change\nnothing to change")
}

/// The arguments of the runtime and the bundle's bytes are what they were.
fn linux_flags(bed: &Bed, runtime: Runtime) -> TestResult {
    let mut bundle = Bundle::new(bed, "b", "echo up")?.own_namespace("cgroup");
    bundle.config["ociVersion"] = json!("1.0.2");
    bundle.write()?;
    let name = runtime.name;
    let text = format!(
        r#"cp b/config.json before; run wrapped b; cmp before b/config.json
        printf '#!/bin/sh\n[ "$1" != --version ] || exec "%s" --version\necho "$@"\n' "$RUNTIME" > {name}; chmod +x {name}
        RUNTIME=$BED/{name} run wrapped b; RUNTIME=$BED/{name} run rt b"#
    );
    let script = bed
        .runtime_script(&runtime, &text)?
        .env("CONFIG", bed.config_with(PRESET)?);
    let said = script.succeed()?;
    let lines: Vec<_> = said.lines().collect();
    equal("lines", lines.len(), 3)?;
    equal("said", lines[0], "up")?;
    equal("arguments", lines[1], lines[2])
}

/// crun fails on cgroups that it may not make, on Linux as well, and needs the same.
fn read_only_cgroups(bed: &Bed) -> TestResult {
    Bundle::new(bed, "b", "echo up")?.write()?;
    let read_only = "for c in /sys/fs/cgroup/*/; do
            ! mountpoint -q $c || { mount --bind $c $c; mount -o remount,bind,ro $c; }
        done; ! mount --bind /sys/fs/cgroup /sys/fs/cgroup || mount -o remount,bind,ro /sys/fs/cgroup\n";
    let script = |call| -> TestResult<Script> {
        let script = bed.runtime_script(&CRUN, &format!("{read_only}run {call} b"))?;
        Ok(script.env("CONFIG", bed.config_with(PRESET)?))
    };
    script("rt")?.run()?.fails_with("cgroup")?;
    equal("said", script("wrapped")?.succeed()?, "up")
}

/// Found by looking, whatever the kernel is called.
fn linux_zero(bed: &Bed) -> TestResult {
    let text = r#""$NSPREP" plan --preset gvisor --json | jq -r '.plan.steps[] | .step + " " + .key'; "$NSPREP" attach --preset gvisor
        "$NSPREP" verify --preset gvisor | sed -n 's|^ok *./proc/stat = .* .\(.*\), ro.$|\1|p' 
        read -r name user nice system idle rest < /proc/stat; test "$idle" -gt 0; echo "$name $user"
        "$NSPREP" detach > /dev/null; head -n 1 /proc/stat"#;
    let script = bed.script(&format!("{ZERO_STAT}{text}"))?;
    let said =
        "replace /proc/stat\nprocemu:1: attached /proc/stat\nemulated\ncpu 0\ncpu  0 0 0 0 0 0 0 0 0 0";
    equal("said", script.succeed()?, said)
}

/// A container that is given a procfs with such a file reads what the kernel counts.
fn zero_in_a_container(bed: &Bed) -> TestResult {
    let program =
        "read -r name user nice system idle rest < /proc/stat; test $idle -gt 0 && echo $name counts";
    for name in ["bare", "b"] {
        Bundle::new(bed, name, program)?
            .bind_proc(&bed.path("proc"))
            .write()?;
    }
    let text = format!(
        "{ZERO_STAT}umount /proc/stat; mkdir proc; mount -t proc proc proc; mount --bind zero proc/stat
        run rt bare || echo bare: $?; run wrapped b"
    );
    let script = bed.runtime_script(&RUNC_1_5, &text)?;
    let script = script.env("CONFIG", bed.config_with(&format!("profiles = []\n{PRESET}"))?);
    equal("said", script.succeed()?, "bare: 1\ncpu counts")
}

fn wrong_name(bed: &Bed) -> TestResult {
    let message = "there is no preset \"gvizor\"; the presets are gvisor";
    for (command, code) in [
        ("plan", 2),
        ("exec", 125),
        ("attach", 2),
        ("verify", 2),
        ("bundle", 2),
    ] {
        let rest = match command {
            "exec" => "-- true",
            "bundle" => ".",
            _ => "",
        };
        let text = format!(r#"exec "$NSPREP" {command} --preset gvizor {rest}"#);
        bed.script(&text)?.run()?.refuses(code, &[message])?;
    }
    let config = bed.file("wrong.toml", "\n\npreset = \"gvizor\"\n")?;
    let text = r#"exec "$BRIDGE" rewrite --config "$CONFIG" ."#;
    let script = bed.script(text)?.env("CONFIG", config);
    script.run()?.refuses(1, &["wrong.toml:3: ", message])
}
