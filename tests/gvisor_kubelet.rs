//! The real kubelet and containerd inside a real gVisor whose kernel lacks their keys and runc's.

mod support;

use std::process::ExitCode;

use support::{Bed, GVISOR_LACKING, RUNC_1_5, Script, Suite, TestResult, equal, need};

const NODE: &str = include_str!("support/node.sh");

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.test("bare::kubelet", bare_kubelet);
    suite.test("bare::pod", bare_pod);
    suite.test("cured::static_pod", static_pod);
    suite.test("bare::statistics", |bed| {
        statistics(bed, "")?
            .run()?
            .fails_with("unable to find data in memory cache")
    });
    suite.test("cured::statistics", |bed| {
        let script = statistics(bed, r#""$NSPREP" exec --table "$PERCPU" --"#)?;
        equal("said", script.succeed()?, "statistics\ngone")
    });
    suite.run()
}

/// A script with the functions of `node.sh`.
fn script(bed: &Bed, text: &str) -> TestResult<Script> {
    let mut folders = Vec::new();
    for (name, program) in [("containerd-2.2.9", "containerd"), ("kubelet-1.34.4", "kubelet")] {
        match support::built(name, program) {
            Some(path) => folders.push(path),
            None => {
                return need::skip(format!(
                    "needs {name}: scripts/tools.sh {program} builds it where Go >= 1.26 is"
                ));
            }
        }
    }
    folders.push(RUNC_1_5.path()?);
    need::command("busybox")?;
    let folders = folders.iter().filter_map(|program| program.parent());
    let tools: Vec<_> = folders.map(|folder| folder.display().to_string()).collect();
    let script = bed.sandbox(GVISOR_LACKING, &format!("{NODE}\nnode\n{text}"))?;
    Ok(script.env("TOOLS", tools.join(":")))
}

fn bare_kubelet(bed: &Bed) -> TestResult {
    let text = "containerd_up; timeout 30 $(kubelet_command) 2>&1 | grep 'Failed to start ContainerManager' >&2; exit 1";
    let output = script(bed, text)?.run()?;
    output.fails_with("open /proc/sys/kernel/panic: no such file or directory")?;
    output.fails_with("write /proc/sys/vm/overcommit_memory: input/output error")
}

/// With the kubelet's keys alone: runc dies in the pod.
fn bare_pod(bed: &Bed) -> TestResult {
    let text = r#"containerd_up in_node runc
        status=0; ctr --address "$NODE/containerd.sock" --namespace k8s.io run --rm --snapshotter native \
            --runc-binary runc localhost/busybox:1 one true || status=$?; exit $status"#;
    script(bed, text)?
        .run()?
        .fails_with("open /proc/sys/kernel/cap_last_cap: no such file or directory")
}

/// Ready, reads the key, starts again after a crash, and goes when its manifest does.
fn static_pod(bed: &Bed) -> TestResult {
    let text = r#"containerd_up in_node runc
        pod one "cat /proc/sys/kernel/cap_last_cap; while [ ! -e /crash ]; do sleep 0.1; done; exit 7"
        in_node kubelet $(kubelet_command) > "$NODE/kubelet.log" 2>&1 &
        until_true "a pod that is ready" pods_show '"type":"Ready"[^}]*"status":"True"'
        cat /var/log/pods/default_one-node_*/main/0.log | cut -d' ' -f4
        task=$(ctr --address "$NODE/containerd.sock" --namespace k8s.io containers list 2> /dev/null | tail -n +2 | cut -d' ' -f1)
        # The sandbox's own files are read-only: it goes on.
        for id in $task; do
            ctr --address "$NODE/containerd.sock" --namespace k8s.io task exec --exec-id crash "$id" sh -c ': > /crash' 2> /dev/null || true
        done
        until_true "a restart" pods_show '"restartCount":1'
        rm "$NODE/pods/one.yaml"
        until_true "its end" pods_show '"items":null'
        until_true "the end of its containers" nothing_runs; echo gone"#;
    equal("said", script(bed, text)?.succeed()?, "40\ngone")
}

/// The kubelet counts local storage, for which its cadvisor reads a key of cgroup v1. `before` stands in front of it: what it
/// mounts there nobody else sees, so that runc can make its cgroups.
fn statistics(bed: &Bed, before: &str) -> TestResult<Script> {
    let text = format!(
        r#"sed -i 's|^localStorage.*|cgroupRoot: /pods|' "$NODE/kubelet.yaml"
        for hierarchy in /sys/fs/cgroup/*; do mkdir "$hierarchy/pods"; done
        for file in cpuset.cpus cpuset.mems; do cat "/sys/fs/cgroup/cpuset/$file" > "/sys/fs/cgroup/cpuset/pods/$file"; done
        containerd_up in_node runc; pod one "sleep 1000"
        in_node kubelet {before} $(kubelet_command) > "$NODE/kubelet.log" 2>&1 &
        until_true "a pod that is ready" pods_show '"type":"Ready"[^}}]*"status":"True"'
        exec 9<> /dev/tcp/127.0.0.1/10255; printf 'GET /stats/summary HTTP/1.0\r\n\r\n' >&9
        cat <&9 > summary; grep -q usageCoreNanoSeconds summary && echo statistics
        rm "$NODE/pods/one.yaml"; until_true "its end" pods_show '"items":null'; echo gone"#
    );
    let table = bed.table(
        "percpu.toml",
        &[(
            "/sys/fs/cgroup/cpuacct/cpuacct.usage_percpu",
            r#"{ value = "0 0" }"#,
        )],
    )?;
    Ok(script(bed, &text)?.env("PERCPU", table))
}
