//! CRI-O 1.34 on this Linux, by the CRI alone: pods with and without a container of their own for the sandbox.

#[path = "../support/mod.rs"]
mod support;

use std::process::ExitCode;

use support::{Bed, CRUN, Runtime, Suite, TestResult, equal, made_up_values, need, node_client, section};

const CRIO: &str = concat!(
    include_str!("../support/node/cri.sh"),
    "\n",
    include_str!("../support/node/cri_pods.sh"),
    "\n",
    include_str!("crio.sh")
);

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.for_runtimes("pods", |bed, runtime| pods(bed, runtime, false));
    suite.for_runtimes("pods_without_sandbox", |bed, runtime| pods(bed, runtime, true));
    suite.run()
}

/// Bare, then with `install crio`: two containers of a pod, the profile that its annotation chooses, and nothing left.
fn pods(bed: &Bed, runtime: Runtime, drops_sandbox: bool) -> TestResult {
    need::command("jq")?;
    need::file("/usr/lib/cni/bridge")?;
    let text = format!(
        r#"{CRIO}
        echo "\"net/ipv4/writable\" = {{ value = 1, mode = \"0644\" }}" >> "$TABLE"
        machine_with_crio "drop_infra_ctr = {drops_sandbox}"
        systemctl restart crio; left > before
        echo '== bare'
        if pod_of "$NAME" . 2>&1; then
            ! unprotected bare 2>&1 || say "$bare" 'ls /proc/sys/fs/made_up'
            no_pod "$pod"
        fi
        find /etc/crio -type f > files
        runtime-bridge install crio --runtime "$NAME" > /dev/null; systemctl restart crio
        echo '== refused'
        kubelet='.annotations = {{ "procemu.io/profile": "kubelet" }}'
        if pod_of procemu "$kubelet" 2>&1; then ! unprotected one 2>&1; no_pod "$pod"; fi
        echo '== pod'
        pod_of procemu .; unprotected one; unprotected two
        say "$one" "$PRINT"
        say "$one" 'echo 2 > /proc/sys/net/ipv4/writable'; say "$two" 'cat /proc/sys/net/ipv4/writable'
        no_pod "$pod"
        echo '== chosen'
        echo 'allowed_profiles = ["kubelet"]' >> /etc/procemu/bridge.toml
        pod_of procemu "$kubelet"; unprotected one; say "$one" 'cat /proc/sys/fs/made_up'; no_pod "$pod"
        echo '== left'; left | diff before - || true
        runtime-bridge uninstall crio > /dev/null; find /etc/crio -type f | diff files - || true"#
    );
    let script = bed
        .engine("podman", runtime, &text)?
        .env("CRIO", need::tool("crio")?);
    let output = script.env("CLIENT", node_client()?).succeed()?;
    let said = |name| section(&output, name).map(|lines| lines.join("\n"));
    let bare = match runtime {
        CRUN => "unknown version specified",
        _ => "ls: /proc/sys/fs/made_up: No such file or directory",
    };
    for (name, says) in [
        ("bare", bare),
        (
            "refused",
            "annotation procemu.io/profile: profile \"kubelet\" is not allowed",
        ),
    ] {
        let said = said(name)?;
        equal(format!("{name}: {said}"), said.contains(says), true)?;
    }
    // Where there is no sandbox, each container has its own value.
    let shared = if drops_sandbox { "1" } else { "2" };
    equal("pod", said("pod")?, format!("{}\n{shared}", made_up_values()))?;
    equal("chosen", said("chosen")?, "1")?;
    equal("left", said("left")?, "")
}
