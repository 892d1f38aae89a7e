//! The real kubelet and containerd inside a real gVisor whose kernel lacks their keys and runc's.

mod support;

use std::process::ExitCode;

use support::{Bed, GVISOR_LACKING, GVISOR_LACKING_V2, Gvisor, Script, Suite, TestResult, equal, section};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.test("bare", bare);
    suite.test("cured::cgroup_v1", |bed| pods(bed, GVISOR_LACKING));
    suite.test("cured::cgroup_v2", |bed| pods(bed, GVISOR_LACKING_V2));
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

/// All pods of one kubelet, from its start to its end.
fn pods(bed: &Bed, gvisor: Gvisor) -> TestResult {
    let output = bed.node(gvisor, include_str!("gvisor_kubelet.sh"))?.succeed()?;
    for (name, expected) in [
        ("static", STATIC),
        ("rich", RICH),
        ("privileged", PRIVILEGED),
        ("network", NETWORK),
        ("left by the pods", ""),
        ("left by the node", ""),
    ] {
        equal(name, section(&output, name)?.join("\n").trim(), expected.trim())?;
    }
    Ok(())
}

/// By the kubelet's own API: logs, and what a command said and ended with; logs again after a crash.
const STATIC: &str = "
40
said
exit 5
40
";

/// As user 1000 without capabilities, under a seccomp filter; the volumes, of which the host's takes no writes; the limit.
const RICH: &str = r#"
uid=1000 gid=1000 groups=1000
CapEff:	0000000000000000
CapBnd:	0000000000000000
NoNewPrivs:	1
Seccomp:	2
disk
memory
host
app="rich"
rich-node
/memory type tmpfs (rw,size=1024k)
67108864
not restarted
"#;

const PRIVILEGED: &str = "
CapEff:	000001ffffffdfff
Seccomp:	0
40
mounted
";

/// The pod's address; the pod's sysctls, of which the kernel has the first one only.
const NETWORK: &str = "
10.88.0.2
20000 30000
1
1000
0 2147483647
";

/// A kubelet on cgroup v1 that counts local storage, for which its cadvisor reads a key that the kernel lacks. What stands in for
/// it is to be mounted for the kubelet alone, so that runc can make its cgroups beside it.
fn statistics(bed: &Bed, text: &str) -> TestResult<Script> {
    let text = format!(
        r#"node
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
