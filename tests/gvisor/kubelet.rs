//! The real kubelet and containerd inside a real gVisor whose kernel lacks their keys and runc's.

#[path = "../support/mod.rs"]
mod support;

use std::process::ExitCode;

use support::{
    Bed, GVISOR_LACKING, GVISOR_LACKING_V2, KUBELET_PODS, Script, Suite, TestResult, equal, kubelet_pods,
};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.test("bare", bare);
    suite.test("cured::cgroup_v1", |bed| {
        kubelet_pods(bed, bed.node(GVISOR_LACKING, KUBELET_PODS)?)
    });
    suite.test("cured::cgroup_v2", |bed| {
        kubelet_pods(bed, bed.node(GVISOR_LACKING_V2, KUBELET_PODS)?)
    });
    suite.test("bare::statistics", |bed| {
        let text = r#"in_node kubelet timeout 30 $(kubelet_command) 2>&1 | grep "rootfs info" >&2; exit 1"#;
        statistics(bed, text)?
            .run()?
            .fails_with("unable to find data in memory cache")
    });
    suite.test("cured::statistics", |bed| {
        let text = r#"kubelet_up in_node kubelet "$NSPREP" exec --table "$PERCPU"
            pod static; until_true "a pod that is ready" pod_is_ready static
            until_true "its statistics" pod_has_statistics static; echo statistics
            rm "$NODE/pods/static.yaml"; until_true "its end" no_pods; echo gone"#;
        equal("said", statistics(bed, text)?.succeed()?, "statistics\ngone")
    });
    suite.run()
}

/// Without us the kubelet ends before it has looked at any pod.
fn bare(bed: &Bed) -> TestResult {
    let text = "node; containerd_up
        timeout 30 $(kubelet_command) 2>&1 | grep 'Failed to start ContainerManager' >&2; exit 1";
    let output = bed.node(GVISOR_LACKING, text)?.run()?;
    for key in [
        "vm/panic_on_oom",
        "kernel/panic",
        "kernel/panic_on_oops",
        "kernel/keys/root_maxkeys",
        "kernel/keys/root_maxbytes",
    ] {
        output.fails_with(&format!("open /proc/sys/{key}: no such file or directory"))?;
    }
    output.fails_with("write /proc/sys/vm/overcommit_memory: input/output error")
}

/// A kubelet on cgroup v1 that counts local storage, for which its cadvisor reads a key that the kernel lacks. What stands in for
/// it is to be mounted for the kubelet alone, so that runc can make its cgroups beside it.
fn statistics(bed: &Bed, text: &str) -> TestResult<Script> {
    let text = format!(
        r#"wrapped_node
        sed -i 's|^localStorage.*|cgroupRoot: /pods|' "$NODE/kubelet.yaml"
        for hierarchy in /sys/fs/cgroup/*; do mkdir "$hierarchy/pods"; done
        for file in cpuset.cpus cpuset.mems; do cat "/sys/fs/cgroup/cpuset/$file" > "/sys/fs/cgroup/cpuset/pods/$file"; done
        containerd_up in_node runc
        {text}"#
    );
    let key = "/sys/fs/cgroup/cpuacct/cpuacct.usage_percpu";
    let table = bed.table("percpu.toml", &[(key, r#"{ value = "0 0" }"#)])?;
    Ok(bed.node(GVISOR_LACKING, &text)?.env("PERCPU", table))
}
