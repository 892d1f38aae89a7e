//! Pods: an emulated key of a network or IPC namespace is one for all containers that are in it, as the kernel's own are.

mod support;

use std::process::ExitCode;

use support::{
    Bed, CRUN, Pod, RUNC_1_5, RUNTIMES, Runtime, Script, Suite, TestResult, edit_config, equal, need,
    runtime_bridge,
};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    for runtime in RUNTIMES {
        let name = runtime.name;
        for (engine, pod) in [("containerd", Pod::Containerd), ("cri_o", Pod::CriO)] {
            suite.test(format!("one_value::{engine}::{name}"), move |bed| {
                one_value(bed, runtime, pod)
            });
        }
        suite.test(format!("user_namespace::{name}"), move |bed| {
            user_namespace(bed, runtime)
        });
        suite.test(format!("host_network::{name}"), move |bed| {
            host_network(bed, runtime)
        });
        suite.test(format!("prestart::{name}"), move |bed| prestart(bed, runtime));
        suite.test(format!("no_open_tree::{name}"), move |bed| {
            no_open_tree(bed, runtime)
        });
        suite.test(format!("not_shared::no_annotation::{name}"), move |bed| {
            not_shared(bed, runtime, Pod::Unknown, "wrapped", false)
        });
        suite.test(format!("not_shared::bare_sandbox::{name}"), move |bed| {
            not_shared(bed, runtime, Pod::Containerd, "rt", false)
        });
        suite.test(format!("not_shared::namespaces_of_its_own::{name}"), move |bed| {
            not_shared(bed, runtime, Pod::Containerd, "wrapped", true)
        });
        suite.test(format!("not_shared::not_ours::{name}"), move |bed| {
            not_ours(bed, runtime)
        });
        suite.test(format!("not_shared::swapped::{name}"), move |bed| {
            swapped(bed, runtime)
        });
        suite.test(format!("nobody_is_asked::{name}"), move |bed| {
            nobody_is_asked(bed, runtime)
        });
        suite.test(format!("refused::dead_sandbox::{name}"), move |bed| {
            dead_sandbox(bed, runtime)
        });
        suite.test(format!("refused::another_process::{name}"), move |bed| {
            another_process(bed, runtime)
        });
        suite.test(format!("refused::another_value::{name}"), move |bed| {
            another_value(bed, runtime)
        });
    }
    suite.test("faults::runc-1.5.2", |bed| faults(bed, RUNC_1_5));
    suite.run()
}

/// A key of the table that takes writes, one that takes none, one of the kernel that containers here lack, one that is
/// replaced.
const TABLE: [(&str, &str); 4] = [
    ("net/ipv4/made_up", r#"{ value = 1, mode = "0644" }"#),
    ("net/made/fixed", "{ value = 2 }"),
    ("kernel/shmmni", r#"{ value = 3, mode = "0644" }"#),
    (
        "net/core/somaxconn",
        r#"{ value = 4, mode = "0644", when = "always" }"#,
    ),
];

/// `values NAME` prints them as that container sees them, and the one that only the pod's sysctls give.
const VALUES: &str = "cd \"$BED\"; deprived_proc proc kernel/shmmni
    values() { at $1 sh -c 'cd /proc/sys; echo $(cat net/ipv4/made_up net/made/fixed kernel/shmmni net/ipv4/asked net/core/somaxconn)'; }\n";

/// A pod of a sandbox and the containers `privileged`, `protected`, `late`; the script begins with [`VALUES`].
fn pod(bed: &Bed, runtime: Runtime, pod: Pod, text: &str) -> TestResult<Script> {
    let proc = bed.path("proc");
    pod.sandbox(bed)?
        .bind_proc(&proc)
        .sysctl("kernel.shmmni", "4321")
        .sysctl("net.ipv4.asked", "7 8")
        .write()?;
    pod.container(bed, "privileged")?
        .bind_proc(&proc)
        .unprotected()
        .write()?;
    pod.container(bed, "protected")?.bind_proc(&proc).write()?;
    pod.container(bed, "late")?.bind_proc(&proc).write()?;
    let config = bed.config(&bed.table("table.toml", &TABLE)?)?;
    Ok(bed
        .runtime_script(&runtime, &format!("{VALUES}{text}"))?
        .env("CONFIG", config))
}

fn one_value(bed: &Bed, runtime: Runtime, engine: Pod) -> TestResult {
    let text = "up wrapped sandbox; up wrapped privileged; up wrapped protected
        for name in sandbox privileged protected; do values $name; done
        at privileged sh -c 'echo 5 > /proc/sys/net/ipv4/made_up; echo 6 > /proc/sys/kernel/shmmni; echo 9 > /proc/sys/net/core/somaxconn'
        up wrapped late
        for name in sandbox privileged protected late; do values $name; done
        for name in sandbox protected late; do for key in net/ipv4/made_up net/made/fixed kernel/shmmni net/ipv4/asked net/core/somaxconn; do
            for try in 'echo 9 >' 'chmod 666' 'busybox chown 1' 'busybox truncate -s 0' 'rm -f'; do
                ! at $name sh -c \"$try /proc/sys/$key\" 2> /dev/null || echo could $name $try $key
            done
        done; done
        ! at privileged sh -c 'echo 9 > /proc/sys/net/made/fixed' 2> /dev/null || echo could privileged
        down privileged; up wrapped privileged; values privileged
        at privileged sh -c 'echo 7 > /proc/sys/kernel/shmmni'; values sandbox
        down late protected privileged sandbox
        up wrapped sandbox; up wrapped protected; values protected
        down protected sandbox; ls state; grep procemu: /proc/self/mountinfo || true";
    let output = pod(bed, runtime, engine, text)?.succeed()?;
    let expected = [
        ["1 2 4321 7 8 4"; 3].as_slice(),
        &["5 2 6 7 8 9"; 4],
        &["5 2 6 7 8 9", "5 2 7 7 8 9", "1 2 4321 7 8 4"],
    ];
    equal("values", output.lines().collect::<Vec<_>>(), expected.concat())
}

/// As with hostUsers: false: the sandbox makes the user namespace, the containers join it.
fn user_namespace(bed: &Bed, runtime: Runtime) -> TestResult {
    let table = bed.table("table.toml", &TABLE[..2])?;
    let pod = Pod::Containerd;
    pod.sandbox(bed)?
        .user_namespace()
        .own_namespace("network")
        .write()?;
    for name in ["privileged", "protected"] {
        let bundle = pod.container(bed, name)?;
        let bundle = if name == "privileged" {
            bundle.unprotected()
        } else {
            bundle
        };
        let mut bundle = bundle.join_namespace("user", std::path::Path::new("/proc/SANDBOX/ns/user"));
        let ids = serde_json::json!([{"containerID": 0, "hostID": 100_000, "size": 65_536}]);
        bundle.config["linux"]["uidMappings"] = ids.clone();
        bundle.config["linux"]["gidMappings"] = ids;
        bundle.write()?;
    }
    let text = "for name in sandbox privileged protected; do chown -R 100000:100000 $name/rootfs; up wrapped $name; done
        within() { nsenter --target $(cat $1.pid) --user --mount --net -- \"${@:2}\"; }
        within privileged sh -c 'echo 5 > /proc/sys/net/ipv4/made_up'
        for name in sandbox privileged protected; do within $name cat /proc/sys/net/ipv4/made_up; done
        ! within protected sh -c 'echo 6 > /proc/sys/net/ipv4/made_up' 2> /dev/null
        within protected cat /proc/sys/net/ipv4/made_up
        down privileged protected sandbox";
    let script = bed
        .runtime_script(&runtime, text)?
        .env("CONFIG", bed.config(&table)?);
    equal("values", script.succeed()?, "5\n5\n5\n5")
}

/// Pods that use the host's network share what is emulated of it all the same.
fn host_network(bed: &Bed, runtime: Runtime) -> TestResult {
    let table = bed.table("table.toml", &TABLE[..2])?;
    Pod::Containerd.sandbox(bed)?.host_namespace("network").write()?;
    let container = Pod::Containerd.container(bed, "late")?.unprotected();
    container.host_namespace("network").write()?;
    let text = "up wrapped sandbox; up wrapped late; at late sh -c 'echo 5 > /proc/sys/net/ipv4/made_up'
        at sandbox cat /proc/sys/net/ipv4/made_up; down late sandbox";
    let script = bed
        .runtime_script(&runtime, text)?
        .env("CONFIG", bed.config(&table)?);
    equal("value", script.succeed()?, "5")
}

/// The hook at a stage that is run outside the container.
fn prestart(bed: &Bed, runtime: Runtime) -> TestResult {
    let table = bed.table("table.toml", &TABLE[..2])?;
    Pod::Containerd.sandbox(bed)?.write()?;
    Pod::Containerd.container(bed, "late")?.unprotected().write()?;
    let text = "up wrapped sandbox; up wrapped late; down late
        sed 's|\"createContainer\"|\"prestart\"|' late/config.json > late.json
        up rt late; grep -c prestart late/config.json; at late sh -c 'echo 5 > /proc/sys/net/ipv4/made_up'
        at sandbox cat /proc/sys/net/ipv4/made_up; down late sandbox";
    let script = bed
        .runtime_script(&runtime, text)?
        .env("CONFIG", bed.config(&table)?);
    equal("hooks and value", script.succeed()?, "1\n5")
}

/// An old kernel clones no mounts: own values then.
fn no_open_tree(bed: &Bed, runtime: Runtime) -> TestResult {
    let strace = need::command("strace")?;
    let hook = format!(
        "#!/bin/sh\nexec {} -f -qq -o {} -e trace=open_tree -e inject=open_tree:error=ENOSYS {} hook\n",
        strace.display(),
        bed.path("trace").display(),
        runtime_bridge()?.display()
    );
    bed.file("hook.sh", hook)?;
    let table = bed.table("table.toml", &TABLE[..2])?;
    Pod::Containerd.sandbox(bed)?.unprotected().write()?;
    Pod::Containerd.container(bed, "late")?.write()?;
    let text = r#"up wrapped sandbox; up wrapped late; down late
        sed 's|"path": *"[^"]*runtime-bridge"|"path": "/bin/sh"|; s|"runtime-bridge", *$|"sh",|; s|"hook" *$|"'"$BED"'/hook.sh"|' \
            late/config.json > late.json
        up rt late; grep -q INJECTED trace
        at sandbox sh -c 'echo 6 > /proc/sys/net/ipv4/made_up'
        echo $(at sandbox cat /proc/sys/net/ipv4/made_up) $(at late cat /proc/sys/net/ipv4/made_up)
        ! at late sh -c 'echo 9 > /proc/sys/net/ipv4/made_up' 2> /dev/null || echo could write
        down late sandbox"#;
    let script = bed
        .runtime_script(&runtime, text)?
        .env("CONFIG", bed.config(&table)?);
    equal("in the sandbox and in the container", script.succeed()?, "6 1")
}

/// Own values, as without a pod.
fn not_shared(bed: &Bed, runtime: Runtime, engine: Pod, call: &str, own: bool) -> TestResult {
    let table = bed.table("table.toml", &TABLE[..2])?;
    engine.sandbox(bed)?.unprotected().write()?;
    let container = engine.container(bed, "late")?.unprotected();
    let container = if own {
        container.own_namespace("network")
    } else {
        container
    };
    container.write()?;
    let text = format!(
        "up {call} sandbox; up wrapped late; at late sh -c 'echo 5 > /proc/sys/net/ipv4/made_up'
        at sandbox cat /proc/sys/net/ipv4/made_up 2> /dev/null || echo none
        at late cat /proc/sys/net/ipv4/made_up; down late sandbox"
    );
    let script = bed
        .runtime_script(&runtime, &text)?
        .env("CONFIG", bed.config(&table)?);
    let sandbox = if call == "rt" { "none" } else { "1" };
    equal("values", script.succeed()?, format!("{sandbox}\n5"))
}

/// What a sandbox with all rights mounts over a key is not shown elsewhere: a file of another tmpfs, and what is no file.
fn not_ours(bed: &Bed, runtime: Runtime) -> TestResult {
    let table = bed.table(
        "table.toml",
        &[("net/made/a", "{ value = 1 }"), ("net/made/b", "{ value = 2 }")],
    )?;
    Pod::Containerd.sandbox(bed)?.unprotected().write()?;
    Pod::Containerd.container(bed, "late")?.write()?;
    let text = "up wrapped sandbox
        nsenter --target $(cat sandbox.pid) --mount --net -- sh -c 'mount -t tmpfs t /tmp; mkdir /tmp/procemu:1
            echo 9 > /tmp/a; mount -o bind /tmp/a /proc/sys/net/made/a
            busybox mkfifo /tmp/procemu:1/b; mount -o bind /tmp/procemu:1/b /proc/sys/net/made/b'
        at sandbox cat /proc/sys/net/made/a
        up wrapped late; at late cat /proc/sys/net/made/a /proc/sys/net/made/b; down late sandbox";
    let script = bed
        .runtime_script(&runtime, text)?
        .env("CONFIG", bed.config(&table)?);
    equal("values", script.succeed()?, "9\n1\n2")
}

/// A sandbox with all rights mounts a FIFO over the key between the look at its file and the bind of it. What it shares with
/// the clone brings it there.
fn swapped(bed: &Bed, runtime: Runtime) -> TestResult {
    let strace = need::command("strace")?;
    let calls = "openat,move_mount,mount";
    let hook = format!(
        "#!/bin/sh\nexec {} -f -qq -o {} -e trace={calls} -e inject=mount:delay_enter=300000 {} hook\n",
        strace.display(),
        bed.path("trace").display(),
        runtime_bridge()?.display()
    );
    bed.file("hook.sh", hook)?;
    let table = bed.table("table.toml", &TABLE[1..2])?;
    Pod::Containerd.sandbox(bed)?.unprotected().write()?;
    Pod::Containerd.container(bed, "late")?.write()?;
    let text = r#"up wrapped sandbox; up wrapped late; down late
        sed 's|"path": *"[^"]*runtime-bridge"|"path": "/bin/sh"|; s|"runtime-bridge", *$|"sh",|; s|"hook" *$|"'"$BED"'/hook.sh"|' \
            late/config.json > late.json
        at sandbox sh -c 'mount --make-rshared /proc; mount -t tmpfs t /tmp; busybox mkfifo /tmp/fifo'
        swap() {
            local turns=0
            until sed -n '/move_mount(/,$p' trace 2> /dev/null | grep -q '"fixed", .*O_PATH.* = [0-9]'; do
                turns=$((turns + 1)); [ $turns -lt 1500 ] || exit 1; sleep 0.02
            done
            at sandbox mount -o bind /tmp/fifo /proc/sys/net/made/fixed
        }
        rm -f trace; swap & up rt late; wait $!
        at sandbox busybox stat -c %F /proc/sys/net/made/fixed; at late busybox stat -c %F /proc/sys/net/made/fixed
        down late sandbox"#;
    let script = bed
        .runtime_script(&runtime, text)?
        .env("CONFIG", bed.config(&table)?);
    equal(
        "in the sandbox and in the container",
        script.succeed()?,
        "fifo\nregular file",
    )
}

/// Wherever the hook fails or is killed, the sandbox has what it had, also of mounts that it has in common with what it lends.
fn faults(bed: &Bed, runtime: Runtime) -> TestResult {
    let strace = need::command("strace")?;
    let hook = format!(
        "#!/bin/sh\nexec {} -f -qq -o {} -e trace=mount,umount2,move_mount,open_tree -e inject=$(cat {}) {} hook\n",
        strace.display(),
        bed.path("trace").display(),
        bed.path("fault").display(),
        runtime_bridge()?.display()
    );
    bed.file("hook.sh", hook)?;
    let table = bed.table("table.toml", &[TABLE[1], TABLE[3]])?;
    Pod::Containerd.sandbox(bed)?.unprotected().write()?;
    Pod::Containerd.container(bed, "late")?.write()?;
    let text = r#"up wrapped sandbox; up wrapped late; down late; trap 'down late sandbox 2> /dev/null' EXIT
        sed 's|"path": *"[^"]*runtime-bridge"|"path": "/bin/sh"|; s|"runtime-bridge", *$|"sh",|; s|"hook" *$|"'"$BED"'/hook.sh"|' \
            late/config.json > late.json
        at sandbox mount --make-rshared /
        state() { cat /proc/self/mountinfo; at sandbox cat /proc/1/mountinfo /proc/sys/net/made/fixed /proc/sys/net/core/somaxconn; }
        try() { echo $1 > fault; rm -f trace; up rt late 2> /dev/null; }
        try mount:delay_enter=1:when=1; down late; state > before
        for call in mount umount2 move_mount open_tree; do
            for number in $(seq 1 5 $(grep -c " $call(.* = [0-9]" trace)); do
                for fault in error=ENOSPC signal=KILL; do
                    ! try $call:$fault:when=$number || echo "starts after $call $number $fault"
                    down late 2> /dev/null || true
                    state | diff before - || echo "left by $call $number $fault"
                done
            done
            try mount:delay_enter=1:when=1; down late
        done
        try mount:delay_enter=1:when=1; at late cat /proc/sys/net/core/somaxconn"#;
    let script = bed
        .runtime_script(&runtime, text)?
        .env("CONFIG", bed.config(&table)?);
    equal("said", script.succeed()?, "4")
}

/// To ask the runtime for the sandbox costs a process, which a pod without anything of ours does not pay.
fn nobody_is_asked(bed: &Bed, runtime: Runtime) -> TestResult {
    Pod::Containerd.sandbox(bed)?.write()?;
    Pod::Containerd.container(bed, "late")?.write()?;
    let text = r#"real=$RUNTIME; export RUNTIME="$BED/$(basename "$real")"
        printf '#!/bin/sh\necho "$@" >> "%s/calls"\nexec "%s" "$@"\n' "$BED" "$real" > "$RUNTIME"; chmod 755 "$RUNTIME"
        up wrapped sandbox; up wrapped late; grep -c ' create ' calls; grep -c ' state ' calls || true
        down late sandbox; rm calls
        export CONFIG=$TABLES; up wrapped sandbox; up wrapped late; grep -c ' create ' calls; grep -c ' state ' calls
        down late sandbox"#;
    let nothing = bed.table("nothing.toml", &[("kernel/ostype", "{ value = 1 }")])?;
    let nothing = std::fs::copy(bed.config(&nothing)?, bed.path("nothing")).map(|_| bed.path("nothing"))?;
    let script = bed.runtime_script(&runtime, text)?.env("CONFIG", nothing);
    let script = script.env("TABLES", bed.config(&bed.table("table.toml", &TABLE[..2])?)?);
    equal("calls of create and state", script.succeed()?, "2\n0\n2\n1")
}

fn dead_sandbox(bed: &Bed, runtime: Runtime) -> TestResult {
    let text = r#"up wrapped sandbox; kill -9 $(cat sandbox.pid)
        turns=0; while [ -e /proc/$(cat sandbox.pid)/ns/net ] && [ $turns -lt 500 ]; do sleep 0.02; turns=$((turns + 1)); done
        status=0; up wrapped late || status=$?
        down sandbox; exit $status"#;
    let output = pod(bed, runtime, Pod::Containerd, text)?.run()?;
    output.fails_with(&format!("sandbox {}-sandbox of the pod is stopped", bed.id()))
}

/// The hook notices that the number has come to mean another process.
fn another_process(bed: &Bed, runtime: Runtime) -> TestResult {
    let text = r#"up wrapped sandbox; up wrapped late; cp late/config.json late.json; down late
        sed -i "s|\"namespace\": *[0-9]*|\"namespace\": 7|" late.json
        status=0; up rt late || status=$?
        down sandbox; exit $status"#;
    let output = pod(bed, runtime, Pod::Containerd, text)?.run()?;
    if runtime == CRUN {
        return output.fails_with("error executing hook");
    }
    output.fails_with("is not its process any more")
}

/// What one container asks for cannot be for it alone, and is not its to decide for all.
fn another_value(bed: &Bed, runtime: Runtime) -> TestResult {
    let script = |value: &str| {
        let text = "up wrapped sandbox; status=0; up wrapped late || status=$?; down sandbox; exit $status";
        let script = pod(bed, runtime, Pod::Containerd, text)?;
        edit_config(&bed.path("late"), |config| {
            config["linux"]["sysctl"] = serde_json::json!({"net.ipv4.asked": value});
        })?;
        TestResult::Ok(script)
    };
    let output = script("9")?.run()?;
    if runtime == CRUN {
        return output.fails_with("error executing hook");
    }
    output.fails_with("sysctl net.ipv4.asked=9: the pod has another value; ask for it for the whole pod")
}
