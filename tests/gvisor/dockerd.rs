//! The real dockerd inside a real gVisor whose kernel lacks its keys and runc's.

#[path = "../support/mod.rs"]
mod support;

use std::process::ExitCode;

use support::{
    Bed, Block, GVISOR_LACKING, RUNC_1_1, RUNC_1_5, Script, Suite, TestResult, blocks_print, equal, need,
    section, typed_blocks,
};

const DOCKERD: &str = include_str!("dockerd.sh");

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.test("bare", bare);
    suite.test("cured", cured);
    let page_of = suite.page("docs/gvisor.md");
    let blocks = ["cgroup-v1", "dockerd"].map(|name| page_of.block(name));
    suite.test("page", move |bed| page(bed, &blocks));
    suite.run()
}

/// A script with the functions of `dockerd.sh`.
fn script(bed: &Bed, text: &str) -> TestResult<Script> {
    need::command("busybox")?;
    let (new, old) = (RUNC_1_5.path()?, RUNC_1_1.path()?);
    let tree = need::debian("docker")?;
    let script = bed.sandbox(GVISOR_LACKING, &format!("{DOCKERD}\n{text}"))?;
    let script = script.env("RUNC", new).env("OLD_RUNC", old);
    Ok(script.env("TREE", tree))
}

/// dockerd starts without its keys, and says which; containers do not, or lack the key.
fn bare(bed: &Bed) -> TestResult {
    let text = r#"dockerd_up bare
        echo '== new'; refused -- true
        echo '== old'; refused --runtime bare-old -- cat /proc/sys/kernel/cap_last_cap
        echo '== sysctl'; refused --sysctl net.ipv4.ip_unprivileged_port_start=7 -- true
        echo '== old sysctl'; refused --runtime bare-old --sysctl net.ipv4.ip_unprivileged_port_start=7 -- true
        echo '== log'; lacking_keys"#;
    let output = script(bed, text)?.succeed()?;
    for (name, says) in [
        (
            "new",
            "error during container init: open /proc/sys/kernel/cap_last_cap: no such file or directory",
        ),
        (
            "old",
            "can't open '/proc/sys/kernel/cap_last_cap': No such file or directory",
        ),
        (
            "sysctl",
            "openat2 /proc/./sys/net/ipv4/ip_unprivileged_port_start: no such file or directory",
        ),
        (
            "old sysctl",
            "open /proc/sys/net/ipv4/ip_unprivileged_port_start: operation not permitted",
        ),
    ] {
        let said = section(&output, name)?.join("\n");
        equal(format!("{name}: {said}"), said.contains(says), true)?;
    }
    let lacking = [
        "/proc/sys/kernel/keys/root_maxkeys",
        "/proc/sys/kernel/threads-max",
        "/proc/sys/net/ipv6/conf/all/disable_ipv6",
    ];
    equal("its log", section(&output, "log")?, lacking.to_vec())
}

/// With its profile around it, and the wrapper as its runtime: a container's whole life, by both versions of runc.
fn cured(bed: &Bed) -> TestResult {
    let text = r#"dockerd_up procemu "$NSPREP" exec --profile dockerd --
        pid=$(cat "$ENGINE/pid"); cp "/proc/$pid/mountinfo" before
        key=/proc/sys/kernel/cap_last_cap low=net.ipv4.ip_unprivileged_port_start range=net.ipv4.ip_local_port_range
        for runtime in procemu procemu-old; do
            echo "== $runtime"
            box --runtime $runtime -- cat $key
            box --runtime $runtime --sysctl $low=7 --sysctl "$range=2000 3000" -- cat /proc/sys/${low//./\/} /proc/sys/${range//./\/}
        done
        echo '== life'; docker info --format '{{.DefaultRuntime}}'
        docker run --detach --name one --network none --memory 64m box \
            sh -c 'trap "exit 3" TERM; cat '$key'; while :; do sleep 0.05; done' > id
        cat "/sys/fs/cgroup/memory/docker/$(cat id)/memory.limit_in_bytes"
        docker exec one cat $key
        docker run --rm --network container:one --privileged box cat $key
        docker stop one; docker inspect --format '{{.State.ExitCode}}' one
        docker start one; docker exec one cat $key; docker stop one
        docker logs one; docker rm one
        docker ps --all --quiet; diff before "/proc/$pid/mountinfo"
        echo '== writable'
        scan='find /proc/sys -type f | sort | while read -r key; do ! (: >> $key) 2> /dev/null || echo $key; done'
        for flag in --read-only --privileged; do
            box $flag --runtime bare-old -- sh -c "$scan" > bare; box $flag -- sh -c "$scan" > ours; diff bare ours; wc -l < ours
        done
        echo '== log'; lacking_keys"#;
    let output = script(bed, text)?.succeed()?;
    for name in ["procemu", "procemu-old"] {
        equal(name, section(&output, name)?, ["40", "7", "2000 3000"].to_vec())?;
    }
    equal(
        "a container's life",
        section(&output, "life")?.join(" "),
        "procemu 67108864 40 40 one 3 one 40 one 40 40 one",
    )?;
    let writable = section(&output, "writable")?;
    equal("writable", (writable.first(), writable.len()), (Some(&"0"), 2))?;
    equal("writable if privileged", writable[1] == "0", false)?;
    equal("its log", section(&output, "log")?, Vec::<&str>::new())
}

/// The commands of the page, with programs and an image's files as it expects them.
fn page(bed: &Bed, blocks: &[Block]) -> TestResult {
    let text = format!(
        r#"mkdir -p /run/page/bin; cd /run/page
        ln -s "$RUNC" bin/runc; ln -s "$NSPREP" bin/nsprep; ln -s "$BRIDGE" bin/runtime-bridge
        export PATH=$PWD/bin:$TREE/usr/sbin:$TREE/usr/bin:$PATH LD_LIBRARY_PATH; LD_LIBRARY_PATH=$(echo "$TREE"/usr/lib/*-linux-gnu)
        unset DOCKER_HOST
        mkdir -p root/bin; cp "$(PATH=$PATH:/usr/sbin:/sbin command -v busybox)" root/bin/; ln -s busybox root/bin/cat
        {}"#,
        typed_blocks(blocks)
    );
    blocks_print(blocks, &script(bed, &text)?.succeed()?)
}
