//! Docker as Debian has it, on this Linux: dockerd 20.10, its containerd, and each runtime.

#[path = "../support/mod.rs"]
mod support;

use std::process::ExitCode;

use support::{
    Bed, Block, CRUN, DETACHED, RUNC_1_1, RUNC_1_5, Runtime, Script, Suite, TestResult, blocks_print, equal,
    made_up_values, need, section, typed_blocks, with_denial,
};

const DOCKER: &str = include_str!("docker.sh");

/// What `docker run` is given, once with the runtime and once with the wrapper.
const OPTIONS: [&str; 10] = [
    "--volume named:/named --volume /srv/tree:/tree:rshared --volume /srv/tree:/fixed:ro --workdir /tmp --env A=B",
    "--read-only --user 1000:1000 --tmpfs /scratch --hostname box",
    "--network none --cap-add SYS_ADMIN --security-opt seccomp=unconfined",
    "--network host --sysctl kernel.shmmni=99",
    "--pid container:one --ipc container:one --network container:one",
    "--pid host --ipc host --uts host",
    "--memory 64m --cpus 0.5 --pids-limit 50 --ulimit nofile=100 --shm-size 1m --oom-score-adj 500",
    "--sysctl net.ipv4.ip_unprivileged_port_start=7 --sysctl kernel.shmmni=99 --security-opt no-new-privileges",
    "--cgroupns private --cap-drop ALL",
    "--security-opt systempaths=unconfined --cap-add SYS_ADMIN --cap-add NET_ADMIN",
];

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.for_runtimes("same_as_bare", |bed, runtime| {
        same_as_bare(bed, runtime, &OPTIONS)
    });
    suite.for_runtimes("privileged", privileged);
    suite.for_runtimes("life", life);
    suite.for_runtimes("user_namespace", user_namespace);
    suite.for_runtimes("lacking", lacking);
    suite.for_runtimes("refused", refused);
    let guide = suite.page("docs/guides/docker-in-lxc.md").blocks();
    suite.test("in_lxc", move |bed| in_lxc(bed, &guide));
    let blocks = suite.page("docs/engines/docker.md").blocks();
    suite.test("page", move |bed| page(bed, &blocks));
    suite.run()
}

fn script(bed: &Bed, runtime: Runtime, text: &str) -> TestResult<Script> {
    bed.engine("docker", runtime, &format!("{DOCKER}\n{text}"))
}

/// With any option a container is what it is without us, and has the keys.
fn same_as_bare(bed: &Bed, runtime: Runtime, all: &[&str]) -> TestResult {
    let calls = all.iter().map(|options| format!("same_as_bare {options}\n"));
    let calls: String = calls.collect();
    let text = format!(
        r#"machine_with_docker
        runtime-bridge install docker --runtime "$NAME" > /dev/null; systemctl reload docker
        mkdir -p /srv/tree; mount -t tmpfs tmpfs /srv/tree; mount --make-shared /srv/tree
        docker volume create named > /dev/null
        left > before
        docker run --detach --name one --ipc shareable busybox sleep 1000 > /dev/null
        {calls}
        docker rm --force one > /dev/null; echo '== left'; left | diff before - || true"#
    );
    let output = script(bed, runtime, &text)?.succeed()?;
    for options in all {
        let printed = section(&output, options)?.join("\n");
        equal(options, printed, format!("exit code 7\n{}", made_up_values()))?;
    }
    equal("left", section(&output, "left")?, Vec::<&str>::new())
}

/// The same of one with all rights.
fn privileged(bed: &Bed, runtime: Runtime) -> TestResult {
    need::all_capabilities()?;
    same_as_bare(bed, runtime, &["--privileged"])
}

/// From `docker run` to `docker rm`, as the default runtime; then with dockerd restarted, and with us taken out again.
fn life(bed: &Bed, runtime: Runtime) -> TestResult {
    let text = r#"machine_with_docker '"live-restore": true'
        cp /etc/docker/daemon.json before.json; left > before
        runtime-bridge install docker --as-default --runtime "$NAME" > /dev/null; systemctl reload docker
        echo '== life'; life
        echo '== left'; left | diff before - || true
        echo '== restarted'
        docker info --format '{{.DefaultRuntime}}'
        docker run --detach --name long busybox sleep 1000 > id; pid=$(docker inspect --format '{{.State.Pid}}' long)
        systemctl restart docker
        [ "$(docker inspect --format '{{.State.Pid}}' long)" = "$pid" ]
        docker exec long cat /proc/sys/fs/made_up
        docker stop --time 0 long; docker start long; docker exec long cat /proc/sys/fs/made_up
        echo '== uninstalled'
        runtime-bridge uninstall docker > /dev/null; cmp before.json /etc/docker/daemon.json; ls -A /etc/docker
        systemctl reload docker; docker info --format '{{.DefaultRuntime}}'
        docker run --rm busybox cat /proc/sys/fs/made_up 2>&1 || true
        systemctl restart docker
        docker exec long cat /proc/sys/fs/made_up
        docker stop --time 0 long; docker start long 2>&1 || true; docker rm long
        left | diff before - || true"#;
    let output = script(bed, runtime, text)?.succeed()?;
    let code = if runtime == CRUN { 125 } else { 127 };
    let life = format!(
        "1|1000 B|one|3|one|1|one|one|3|one|one|one|one|137|1|1|1|1|one|exit code 5|exit code {code}|executable file not found|in|\
         /dev/pts/0|1|1|1|1|again|healthy|6"
    );
    equal("a container's life", section(&output, "life")?.join("|"), life)?;
    equal("left", section(&output, "left")?, Vec::<&str>::new())?;
    equal(
        "restarted",
        section(&output, "restarted")?.join(" "),
        "procemu 1 long long 1",
    )?;
    let uninstalled = format!(
        "daemon.json|key.json|{}|cat: can't open '/proc/sys/fs/made_up': No such file or directory|1|long|\
         Error response from daemon: Unknown runtime specified procemu|Error: failed to start containers: long|long",
        runtime.command()
    );
    equal(
        "uninstalled",
        section(&output, "uninstalled")?.join("|"),
        uninstalled,
    )
}

/// With `userns-remap` dockerd keeps its bundles from the containers' root.
fn user_namespace(bed: &Bed, runtime: Runtime) -> TestResult {
    let text = r#"for file in /etc/subuid /etc/subgid; do echo 'dockremap:100000:65536' >> $file; done
        echo 'dockremap:x:901:901::/:/bin/false' >> /etc/passwd; echo 'dockremap:x:901:' >> /etc/group
        machine_with_docker '"userns-remap": "default"'; left > before
        runtime-bridge install docker --runtime "$NAME" > /dev/null; systemctl reload docker
        box() { docker run --rm --runtime procemu "$@"; }
        echo '== protected'
        box busybox sh -c "$PRINT cat /proc/self/uid_map; for key in fs/made_up kernel/shmmni; do ! (echo 2 > \$key) 2> /dev/null || echo took \$key; done"
        echo '== unprotected'
        box --security-opt systempaths=unconfined busybox sh -c 'cd /proc/sys; echo 2 > fs/made_up; echo 99 > kernel/shmmni; cat fs/made_up kernel/shmmni'
        cat /proc/sys/kernel/shmmni
        echo '== host'
        box --userns host busybox sh -c "$PRINT cat /proc/self/uid_map"
        echo '== sysctl'
        box --sysctl net.ipv4.no_such_key=5 --sysctl kernel.shmmni=98 busybox cat /proc/sys/net/ipv4/no_such_key /proc/sys/kernel/shmmni
        echo '== left'; left | diff before - || true"#;
    let output = script(bed, runtime, text)?.succeed()?;
    let map = |first: &str, count: &str| format!("{}\n{:>10} {first:>10} {count:>10}", made_up_values(), 0);
    let printed = |name| section(&output, name).map(|lines| lines.join("\n"));
    equal("protected", printed("protected")?, map("100000", "65536"))?;
    equal("unprotected", printed("unprotected")?, "2\n99\n4096")?;
    equal("host", printed("host")?, map("0", "4294967295"))?;
    equal("sysctl", printed("sysctl")?, "5\n98")?;
    equal("left", printed("left")?, "")
}

/// On a machine whose /proc lacks a key that runtimes read, and in containers whose /proc lacks it.
fn lacking(bed: &Bed, runtime: Runtime) -> TestResult {
    let text = r#"deprive /proc kernel/cap_last_cap; deprived_proc lacking kernel/cap_last_cap
        machine_with_docker
        runtime-bridge install docker --runtime "$NAME" > /dev/null; systemctl reload docker
        for runtime in "$NAME" procemu; do
            echo "== $runtime"
            docker run --rm --runtime $runtime --volume "$BED/lacking:/proc" busybox cat /proc/sys/kernel/cap_last_cap 2>&1 || true
        done"#;
    let output = script(bed, runtime, text)?.succeed()?;
    let bare = section(&output, runtime.command())?.join("\n");
    let says = match runtime {
        RUNC_1_1 => "cat: can't open '/proc/sys/kernel/cap_last_cap': No such file or directory",
        CRUN => "OCI runtime create failed: open /proc/sys/kernel/cap_last_cap: No such file or directory",
        _ => "error during container init: open /proc/sys/kernel/cap_last_cap: no such file or directory",
    };
    equal(format!("bare: {bare}"), bare.contains(says), true)?;
    equal("cured", section(&output, "procemu")?, ["40"].to_vec())
}

/// What is wrong is said where the user looks, and nothing is left.
fn refused(bed: &Bed, runtime: Runtime) -> TestResult {
    let text = r#"machine_with_docker; left > before
        runtime-bridge install docker --as-default --runtime "$NAME" > /dev/null; systemctl reload docker
        echo '== hook'; ! docker run --sysctl net.ipv4.ip_unprivileged_port_start=99999 busybox true 2>&1
        echo 'tables = ["/etc/procemu/none.toml"]' > /etc/procemu/bridge.toml
        echo '== table'; ! docker run busybox true 2>&1
        echo '== left'; docker container prune --force > /dev/null; left | diff before - || true"#;
    let output = script(bed, runtime, text)?.succeed()?;
    // containerd shows the last line that a runtime logs. crun's does not say what the hook said.
    let hook = match runtime {
        CRUN => "error executing hook `/usr/local/bin/runtime-bridge` (exit code: 1)",
        _ => "sysctl net.ipv4.ip_unprivileged_port_start=99999: ",
    };
    for (name, says) in [
        ("hook", hook),
        (
            "table",
            "OCI runtime create failed: cannot read /etc/procemu/none.toml: no such file or directory",
        ),
    ] {
        let said = section(&output, name)?.join("\n");
        equal(format!("{name}: {said}"), said.contains(says), true)?;
    }
    equal("left", section(&output, "left")?, Vec::<&str>::new())
}

/// The commands of the guide, where dockerd and all that it starts are denied what AppArmor denies in a guest.
fn in_lxc(bed: &Bed, blocks: &[Block]) -> TestResult {
    let text = format!(
        r#"dockerd() {{ exec perl "$DENY" '{DETACHED}' /usr/sbin/dockerd; }}
        machine_with_docker; rm -r /etc/procemu
        {}"#,
        typed_blocks(blocks)
    );
    let output = with_denial(bed, script(bed, RUNC_1_5, &text)?)?.succeed()?;
    blocks_print(blocks, &output)
}

/// The commands of the page, on a machine without our table.
fn page(bed: &Bed, blocks: &[Block]) -> TestResult {
    let text = format!(
        "machine_with_docker; rm -r /etc/procemu\n{}",
        typed_blocks(blocks)
    );
    blocks_print(blocks, &script(bed, RUNC_1_5, &text)?.succeed()?)
}
