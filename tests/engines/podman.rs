//! podman as Debian has it, on this Linux: podman 4.3, its conmon and netavark, and each runtime.

#[path = "../support/mod.rs"]
mod support;

use std::process::ExitCode;

use support::{
    Bed, Block, CRUN, RUNC_1_1, Runtime, Script, Suite, TestResult, blocks_print, equal, made_up_values,
    need, section, typed_blocks,
};

const PODMAN: &str = include_str!("podman.sh");

/// What `podman run` is given, once with the runtime and once with the wrapper.
const OPTIONS: [&str; 9] = [
    "--volume named:/named --volume /srv/tree:/tree:rshared --volume /srv/tree:/fixed:ro --workdir /tmp --env A=B",
    "--read-only --user 1000:1000 --tmpfs /scratch --hostname box",
    "--network none --cap-add SYS_ADMIN --security-opt seccomp=unconfined",
    "--network host --ipc private --sysctl kernel.shmmni=99",
    "--pid container:one --ipc container:one --network container:one",
    "--memory 64m --cpus 0.5 --pids-limit 50 --shm-size 1m --oom-score-adj 500",
    "--sysctl net.ipv4.ip_unprivileged_port_start=7 --sysctl kernel.shmmni=99 --security-opt no-new-privileges",
    "--cap-drop ALL --uidmap 0:100000:65536 --gidmap 0:100000:65536",
    "--privileged",
];

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.for_runtimes("same_as_bare", same_as_bare);
    suite.for_runtimes("life", life);
    suite.for_runtimes("pods", pods);
    suite.for_runtimes("lacking", lacking);
    suite.for_runtimes("hook_alone", hook_alone);
    let block = suite.page("docs/guides/rootless.md").block("podman");
    suite.for_runtimes("rootless", rootless);
    suite.test("hybrid", hybrid);
    suite.test("rootless::page", move |bed| rootless_page(bed, block));
    let blocks = suite.page("docs/engines/podman.md").blocks();
    suite.test("page", move |bed| page(bed, &blocks));
    suite.run()
}

fn script(bed: &Bed, runtime: Runtime, text: &str) -> TestResult<Script> {
    need::command("script")?;
    bed.engine(
        "podman",
        runtime,
        &format!("{PODMAN}\nmachine_with_podman\n{text}"),
    )
}

/// podman's crun in a mixed cgroup v1 and v2, also where it lacks its key, and podman as doctor's cures have it.
fn hybrid(bed: &Bed) -> TestResult {
    need::command("jq")?;
    let text = r#"mkdir /sys/fs/cgroup/unified; mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified
        cures() { nsprep doctor --for podman --json | jq -r ".findings[] | select(.id == \"$1\" and .level == \"fails\") | .cure[]"; }
        nsprep doctor --for podman --json | jq -e .place.cgroups.mixed > /dev/null || { echo pure; exit 0; }
        podman run --rm busybox echo started || true
        cure=$(cures crun_hybrid | grep 'podman \.\.\.$')
        eval "${cure%...} run --rm busybox echo started"
        deprive /proc kernel/cap_last_cap
        eval "${cure%...} run --rm busybox echo started" || true
        cure=$(cures keys_lacking | grep '^runtime-bridge install podman')
        eval "${cure%#*}" > /dev/null; then=${cure#*# then }
        eval "${then%...} run --rm busybox echo started""#;
    let output = script(bed, CRUN, text)?.run()?;
    if output.stdout == "pure\n" {
        return need::skip("needs cgroup v1 beside a v2 that has controllers");
    }
    for error in [
        "cgroups in hybrid mode not supported",
        "open /proc/sys/kernel/cap_last_cap",
    ] {
        if !output.stderr.contains(error) {
            return output.fail(format!("should have failed once by {error:?}"));
        }
    }
    equal("started", output.success()?.as_str(), "started\nstarted")
}

/// With any option a container is what it is without us, and has the keys.
fn same_as_bare(bed: &Bed, runtime: Runtime) -> TestResult {
    let calls: String = OPTIONS
        .map(|options| format!("same_as_bare {options}\n"))
        .concat();
    let text = format!(
        r#"runtime-bridge install podman --runtime "$NAME" > /dev/null
        mkdir -p /srv/tree; mount -t tmpfs tmpfs /srv/tree; mount --make-shared /srv/tree
        podman volume create named > /dev/null
        podman run --detach --name one --ipc shareable busybox sleep 1000 > /dev/null
        left > before
        {calls}
        echo '== left'; left | diff before - || true; podman rm --force --time 0 one > /dev/null"#
    );
    let output = script(bed, runtime, &text)?.succeed()?;
    for options in OPTIONS {
        let printed = section(&output, options)?.join("\n");
        equal(options, printed, format!("exit code 7\n{}", made_up_values()))?;
    }
    equal("left", section(&output, "left")?, Vec::<&str>::new())
}

/// From `podman run` to `podman rm`, as the default runtime; then with us taken out again, while a container runs.
fn life(bed: &Bed, runtime: Runtime) -> TestResult {
    let text = r#"files() { find /etc/containers -type f ! -name netavark.lock | sort; }
        files > files; left > before
        runtime-bridge install podman --as-default --runtime "$NAME" > /dev/null
        echo '== life'; life
        echo '== left'; left | diff before - || true
        echo '== refused'
        podman run --rm --sysctl net.ipv4.ip_unprivileged_port_start=99999 busybox true 2>&1 || true
        podman run --rm --annotation procemu.io/profile=kubelet busybox true 2>&1 || true
        echo 'allowed_profiles = ["kubelet"]' >> /etc/procemu/bridge.toml
        podman run --rm --annotation procemu.io/profile=kubelet busybox true && echo allowed
        echo '== uninstalled'
        podman run --detach --name long busybox sleep 1000 > id
        runtime-bridge uninstall podman > /dev/null; files | diff files - || true
        podman exec long cat /proc/sys/fs/made_up; podman stop --time 0 long
        podman start long; podman exec long cat /proc/sys/fs/made_up; podman rm --force --time 0 long > id
        podman run --rm busybox cat /proc/sys/fs/made_up 2>&1 || true
        left | diff before - || true
        echo '== by name'
        runtime-bridge install podman --runtime "$NAME" > /dev/null
        podman --runtime procemu run --detach --name long busybox sleep 1000 > id
        runtime-bridge uninstall podman > /dev/null; podman stop --time 0 long 2>&1 | grep '^Error'
        runtime-bridge install podman --runtime "$NAME" > /dev/null; podman stop --time 0 long; podman rm long > id"#;
    let output = script(bed, runtime, text)?.succeed()?;
    let life = "1|1000 B|one|3|one|1|one|3|one|one|137|1|1|1|1|exit code 5|exit code 127|in|/dev/pts/0|6|1";
    equal("a container's life", section(&output, "life")?.join("|"), life)?;
    equal("left", section(&output, "left")?, Vec::<&str>::new())?;
    let refused = section(&output, "refused")?.join("\n");
    for says in [
        "sysctl net.ipv4.ip_unprivileged_port_start=99999: ",
        "annotation procemu.io/profile: profile \"kubelet\" is not allowed, allowed_profiles in bridge.toml names none",
        "\nallowed",
    ] {
        equal(format!("refused: {refused}"), refused.contains(says), true)?;
    }
    equal(
        "uninstalled",
        section(&output, "uninstalled")?.join("|"),
        "1|long|long|1|cat: can't open '/proc/sys/fs/made_up': No such file or directory",
    )?;
    equal(
        "by name",
        section(&output, "by name")?.join("|"),
        "Error: runtime procemu is missing: OCI runtime attempted to invoke a command that was not found|long",
    )
}

/// The containers of a pod have one value of an emulated key that belongs to a namespace of the pod's.
fn pods(bed: &Bed, runtime: Runtime) -> TestResult {
    let text = r#"left > before
        echo "\"net/ipv4/writable\" = { value = 1, mode = \"0644\" }" >> "$TABLE"
        echo 'allowed_profiles = ["kubelet"]' >> /etc/procemu/bridge.toml
        runtime-bridge install podman --as-default --runtime "$NAME" > /dev/null
        both='cd /proc/sys/net/ipv4; echo $(cat no_such_key writable)'
        podman pod create --name pod --sysctl net.ipv4.no_such_key=5 > id
        podman run --detach --pod pod --name one --privileged busybox sleep 1000 > id
        podman run --detach --pod pod --name two busybox sleep 1000 > id
        echo '== pod'
        podman exec one sh -c "$both"; podman exec two sh -c "$both"
        podman exec one sh -c 'echo 2 > /proc/sys/net/ipv4/writable'; podman exec two sh -c "$both"
        podman run --rm --pod pod busybox sh -c "$both"
        podman restart --time 0 one > id; podman exec one sh -c "$both"
        podman pod rm --force --time 0 pod > id
        echo '== kube'
        cat > pod.yaml << YAML
{ apiVersion: v1, kind: Pod, metadata: { name: played, annotations: { procemu.io/profile: PROFILE } },
  spec: { containers: [{ name: main, image: localhost/busybox:latest, command: [sleep, "1000"] }] } }
YAML
        sed s/PROFILE/runc/ pod.yaml | podman play kube - 2>&1 | grep -m 1 -o 'profile "runc" is not allowed.*kubelet'
        podman pod rm --force --time 0 played > id
        sed s/PROFILE/kubelet/ pod.yaml | podman play kube - > id 2>&1
        podman exec played-main cat /proc/sys/fs/made_up
        podman pod rm --force --time 0 played > id
        echo '== left'; left | grep -v /systemd/ | diff before - || true"#;
    let output = script(bed, runtime, text)?.succeed()?;
    equal("pod", section(&output, "pod")?.join("|"), "5 1|5 1|5 2|5 2|5 2")?;
    equal(
        "kube",
        section(&output, "kube")?.join("|"),
        "profile \"runc\" is not allowed, allowed_profiles in bridge.toml names kubelet|1",
    )?;
    equal("left", section(&output, "left")?, Vec::<&str>::new())
}

/// On a machine whose /proc lacks a key that runtimes read, and in containers whose /proc lacks it.
fn lacking(bed: &Bed, runtime: Runtime) -> TestResult {
    let text = r#"deprive /proc kernel/cap_last_cap; deprived_proc lacking kernel/cap_last_cap
        runtime-bridge install podman --runtime "$NAME" > /dev/null
        for runtime in "$NAME" procemu; do
            echo "== $runtime"
            podman --runtime $runtime run --rm --volume "$BED/lacking:/proc" busybox cat /proc/sys/kernel/cap_last_cap 2>&1 || true
        done"#;
    let output = script(bed, runtime, text)?.succeed()?;
    let bare = section(&output, runtime.command())?.join("\n");
    let says = match runtime {
        RUNC_1_1 => "cat: can't open '/proc/sys/kernel/cap_last_cap': No such file or directory",
        CRUN => "crun: open /proc/sys/kernel/cap_last_cap: No such file or directory",
        _ => "error during container init: open /proc/sys/kernel/cap_last_cap: no such file or directory",
    };
    equal(format!("bare: {bare}"), bare.contains(says), true)?;
    equal("cured", section(&output, "procemu")?, ["40"].to_vec())
}

/// By a hook of podman's or a CDI device, without the wrapper. podman asks for a sysctl in every container with a network.
fn hook_alone(bed: &Bed, runtime: Runtime) -> TestResult {
    let text = r#"left > before; key=/proc/sys/fs/made_up low=/proc/sys/net/ipv4/ip_unprivileged_port_start
        echo 'allowed_profiles = ["container"]' >> /etc/procemu/bridge.toml
        box() { podman run --rm --network none "$@" 2>&1 || true; }
        for target in hooks-dir cdi; do
            runtime-bridge install $target > /dev/null
            echo "== $target"; box busybox cat $key
            box --annotation procemu.io/profile=container busybox cat $key
            [ $target = hooks-dir ] || box --device procemu.io/keys=all busybox cat $key
            runtime-bridge uninstall $target > /dev/null
        done
        runtime-bridge install hooks-dir --as-default > /dev/null
        echo '== default'; box busybox cat $key
        echo '== sysctl'; box --sysctl net.ipv4.ip_unprivileged_port_start=7 busybox cat $low
        echo '== missing sysctl'; box --sysctl net.ipv4.no_such_key=7 busybox true
        runtime-bridge uninstall hooks-dir > /dev/null
        echo '== left'; box busybox cat $key; left | diff before - || true"#;
    let output = script(bed, runtime, text)?.succeed()?;
    let absent = "cat: can't open '/proc/sys/fs/made_up': No such file or directory";
    // What such a runtime writes after the hooks it cannot write below an overmount, whichever of the sysctls it takes first.
    let read_only = ": read-only file system";
    let (given, sysctl, missing) = match runtime {
        RUNC_1_1 => (read_only, read_only, read_only),
        CRUN => (
            "1",
            "7",
            "crun: open /proc/sys/net/ipv4/no_such_key: No such file or directory",
        ),
        _ => ("1", "7", "/no_such_key: no such file or directory"),
    };
    for (name, lines) in [
        ("hooks-dir", [absent, given].as_slice()),
        ("cdi", &[absent, absent, given]),
        ("default", &[given]),
        ("sysctl", &[sysctl]),
        ("missing sysctl", &[missing]),
        ("left", &[absent]),
    ] {
        let printed = section(&output, name)?;
        let is_right =
            printed.len() == lines.len() && printed.iter().zip(lines).all(|(line, end)| line.contains(end));
        equal(format!("{name}: {printed:?}"), is_right, true)?;
    }
    Ok(())
}

/// A user without rights, who has the image too, and types what is in `/home/somebody/script`.
const SOMEBODY: &str = r#"echo 'somebody:x:1001:1001::/home/somebody:/bin/sh' >> /etc/passwd
    for file in /etc/subuid /etc/subgid; do echo 'somebody:200000:65536' >> $file; done
    mkdir -p /home/somebody /run/user/1001; tar -C "$BED/own/root" -cf /home/somebody/image.tar .
    chown 1001:1001 /home/somebody /run/user/1001
    ln -s runtime-bridge "/usr/local/bin/procemu-$NAME"
    somebody() {
        setpriv --reuid 1001 --regid 1001 --clear-groups env HOME=/home/somebody XDG_RUNTIME_DIR=/run/user/1001 bash /home/somebody/script
    }
    cat > /home/somebody/script << 'SH'
set -e; cd; podman() { command podman --storage-driver vfs "$@"; }
podman import --quiet --change ENV=PATH=/bin image.tar busybox > /dev/null
SH
"#;

/// The commands of the guide.
fn rootless_page(bed: &Bed, block: Block) -> TestResult {
    let blocks = [block];
    let text = format!(
        r#"{SOMEBODY}
        printf '[keys]\n"kernel/mine" = {{ value = 7 }}\n' > /etc/procemu/mine.toml
        echo 'tables = ["/etc/procemu/mine.toml"]' > /etc/procemu/bridge.toml
        cat "$TYPED" >> /home/somebody/script; somebody"#
    );
    let typed = bed.file("typed", typed_blocks(&blocks))?;
    let output = script(bed, CRUN, &text)?.env("TYPED", typed).succeed()?;
    blocks_print(&blocks, &output)
}

/// By a user without rights, who has installed it for himself.
fn rootless(bed: &Bed, runtime: Runtime) -> TestResult {
    let text = r#"cat >> /home/somebody/script << 'SH'
runtime-bridge install podman --runtime "$NAME" --config ~/.config/containers/containers.conf.d/procemu.conf > /dev/null
box() { podman run --rm --network none "$@" 2>&1 || true; }
box busybox cat /proc/sys/fs/made_up
box --runtime procemu busybox sh -c "$PRINT cat /proc/self/uid_map"
runtime-bridge uninstall podman --config ~/.config/containers/containers.conf.d/procemu.conf > /dev/null
ls .config/containers/containers.conf.d
SH
        somebody"#;
    let output = script(bed, runtime, &format!("{SOMEBODY}\n{text}"))?.succeed()?;
    let bare = "cat: can't open '/proc/sys/fs/made_up': No such file or directory";
    let ids = format!(
        "{:>10} {:>10} {:>10}\n{:>10} {:>10} {:>10}",
        0, 1001, 1, 1, 200_000, 65_536
    );
    equal("rootless", output, format!("{bare}\n{}\n{ids}", made_up_values()))
}

/// The commands of the page, on a machine without our table.
fn page(bed: &Bed, blocks: &[Block]) -> TestResult {
    let text = format!("rm -r /etc/procemu\n{}", typed_blocks(blocks));
    blocks_print(blocks, &script(bed, CRUN, &text)?.succeed()?)
}
