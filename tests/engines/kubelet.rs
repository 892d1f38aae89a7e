//! Static pods by the real kubelet, behind both containerds, with us and without.

#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use support::{Bed, CONTAINERDS, Containerd, KUBELET_PODS, Suite, TestResult, equal, kubelet_pods, need};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    for containerd in CONTAINERDS {
        let mut test = |name: &str, body: fn(&Bed, Containerd) -> TestResult| {
            suite.test(format!("{name}::containerd_{}", containerd.version), move |bed| {
                body(bed, containerd)
            });
        };
        test("normal", |bed, containerd| {
            kubelet_pods(bed, bed.linux_node(containerd, KUBELET_PODS)?)
        });
        test("lacking", |bed, containerd| {
            let script = bed.linux_node(containerd, KUBELET_PODS)?;
            kubelet_pods(bed, script.env("LACKING", LACKING))
        });
        test("bare::lacking", bare_lacking);
        test("bare::read_only", bare_read_only);
        test("read_only", read_only);
        test("bare::container", bare_container);
        test("container", container);
    }
    suite.run()
}

/// What the kubelet cannot do without, and a key that runtimes read.
const LACKING: &str = "vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes \
     kernel/cap_last_cap";

/// Keys that the kubelet writes, and what it wants in them.
const WRITTEN: [(&str, &str); 6] = [
    ("vm/overcommit_memory", "1"),
    ("vm/panic_on_oom", "0"),
    ("kernel/panic", "10"),
    ("kernel/panic_on_oops", "1"),
    ("kernel/keys/root_maxkeys", "1000000"),
    ("kernel/keys/root_maxbytes", "25000000"),
];

/// What a kubelet says that ends before it has looked at any pod.
const DIES: &str = "timeout 60 $(kubelet_command) 2>&1 | grep 'Failed to start ContainerManager' >&2; exit 1";

fn bare_lacking(bed: &Bed, containerd: Containerd) -> TestResult {
    let script = bed.linux_node(containerd, &format!("node; containerd_up; {DIES}"))?;
    let output = script.env("LACKING", LACKING).run()?;
    for key in LACKING
        .split_whitespace()
        .filter(|key| !key.contains("cap_last_cap"))
    {
        output.fails_with(&format!("open /proc/sys/{key}: no such file or directory"))?;
    }
    Ok(())
}

/// The kubelet in a read-only /proc/sys, as Docker and OpenVZ show it. It has to want to write there.
fn bare_read_only(bed: &Bed, containerd: Containerd) -> TestResult {
    let mut differ = Vec::new();
    for (key, wanted) in WRITTEN {
        if fs::read_to_string(Path::new("/proc/sys").join(key))?.trim() != wanted {
            differ.push(key);
        }
    }
    if differ.is_empty() {
        return need::skip("needs a machine whose keys are not all as the kubelet wants them");
    }
    let text = format!("node; read_only_proc_sys; containerd_up; {DIES}");
    let output = bed.linux_node(containerd, &text)?.run()?;
    for key in differ {
        output.fails_with(&format!("open /proc/sys/{key}: read-only file system"))?;
    }
    Ok(())
}

/// The same with us: the kubelet writes what it wants, and a pod runs.
fn read_only(bed: &Bed, containerd: Containerd) -> TestResult {
    let text = r#"node; read_only_proc_sys; containerd_up in_node runc; kubelet_up in_node kubelet
        pod static; until_true "the pod to be ready" pod_is_ready static
        cd /proc/sys; in_node kubelet cat $KEYS; cat $KEYS > "$NODE/outside"
        rm "$NODE/pods/static.yaml"; until_true "its end" no_pods; cat $KEYS | cmp - "$NODE/outside""#;
    let keys = WRITTEN.map(|(key, _)| key).join(" ");
    let output = bed.linux_node(containerd, text)?.env("KEYS", keys).succeed()?;
    equal("written", output, WRITTEN.map(|(_, value)| value).join("\n"))
}

/// Without us the pod's sandbox runs, and its container, whose /proc lacks a key, does not.
fn bare_container(bed: &Bed, containerd: Containerd) -> TestResult {
    let text = r#"node; handler runc "$(command -v runc)"; lacking_containers; containerd_up; kubelet_up; pod static
        until_true 'an error' grep -q 'Error syncing pod.*CreateContainerError\|Error syncing pod.*RunContainerError' "$NODE/kubelet.log"
        grep 'Error syncing pod' "$NODE/kubelet.log" >&2; exit 1"#;
    bed.linux_node(containerd, text)?.run()?.fails_with(
        "error during container init: open /proc/sys/kernel/cap_last_cap: no such file or directory",
    )
}

fn container(bed: &Bed, containerd: Containerd) -> TestResult {
    let text = r#"node; handler runc "$(command -v runc)"; lacking_containers; install_bridge --as-default; containerd_up; kubelet_up; pod static
        until_true "the pod to be ready" pod_is_ready static
        until_true "its log" has_logged static 40; logs_of static
        rm "$NODE/pods/static.yaml"; until_true "its end" no_pods"#;
    equal("said", bed.linux_node(containerd, text)?.succeed()?, "40")
}
