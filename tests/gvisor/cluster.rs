//! The commands of docs/gvisor.md, from a bare sandbox to a cluster of one node, and what happens there without us.

#[path = "../support/mod.rs"]
mod support;

use std::process::ExitCode;
use std::time::Duration;

use support::{
    Bed, Block, CHECKOUT, GVISOR_LACKING, RUNC_1_5, Script, Suite, TestResult, blocks_print, equal, fail,
    need, section,
};

/// To be typed into the sandbox: from then on nsprep only runs its command.
const WITHOUT_NSPREP: &str = "nsprep() { while [ \"$1\" != -- ]; do shift; done; shift; \"$@\"; }\n";
/// The same for the wrapper: the runtime is runc itself.
const WITHOUT_WRAPPER: &str = "ln -sf \"$(command -v runc)\" procemu-runc\n";
const CLUSTER: &str = include_str!("cluster.sh");

fn main() -> ExitCode {
    let mut suite = Suite::new();
    let blocks = suite.page("docs/gvisor.md").blocks();
    for (name, body) in [
        ("bare::kubelet", bare_kubelet as fn(&Bed, &[Block]) -> TestResult),
        ("bare::pod", bare_pod),
        ("bare::pod_on_host_network", bare_pod_on_host_network),
        ("cured::page", page),
    ] {
        let blocks = blocks.clone();
        suite.test(name, move |bed| body(bed, &blocks));
    }
    suite.run()
}

/// Types `commands` into a shell, and from the page's step `sandbox` on into the shell inside that this starts.
fn typed(bed: &Bed, commands: &str) -> TestResult<Script> {
    for program in ["containerd", "kubelet", "etcd", "kube-apiserver", "kubectl"] {
        need::tool(program)?;
    }
    RUNC_1_5.path()?;
    GVISOR_LACKING.path()?;
    need::command("busybox")?;
    need::command("openssl")?;
    // gVisor keeps its state in /run. The shells read and write by turns: in a file each would go on where it was itself.
    let text = r#"set -o pipefail; mount -t tmpfs tmpfs /run; cd "$CHECKOUT"; PATH=$(dirname "$NSPREP"):$PATH; cat "$TYPED" | bash | cat"#;
    let script = bed.script(text)?.env("TYPED", bed.file("typed", commands)?);
    Ok(script.env("CHECKOUT", CHECKOUT).limit(Duration::from_secs(300)))
}

/// What is typed for a step: errors end the shell, and its output comes below its name.
fn commands(step: &Block) -> String {
    format!("set -eu; echo '== {}'\n{}\n", step.name, step.commands())
}

/// The same for some of the page's steps.
fn page_says(blocks: &[Block], names: &[&str]) -> TestResult<String> {
    let step = |name: &&str| match blocks.iter().find(|step| step.name == *name) {
        Some(step) => Ok(commands(step)),
        None => fail(format!("no step {name}")),
    };
    names.iter().map(step).collect()
}

/// etcd and the API server run, the kubelet does not.
fn bare_kubelet(bed: &Bed, blocks: &[Block]) -> TestResult {
    let before = page_says(blocks, &["programs", "sandbox"])?;
    let steps = page_says(
        blocks,
        &[
            "prepare",
            "containerd",
            "image",
            "api-server",
            "kubelet-config",
            "kubelet",
        ],
    )?;
    let end = "! wait $kubelet; kubectl get --raw /readyz; grep 'Failed to start ContainerManager' kubelet.log >&2; exit 1";
    let output = typed(bed, &format!("{before}{WITHOUT_NSPREP}{steps}{end}\n"))?.run()?;
    output.fails_with("open /proc/sys/vm/panic_on_oom: no such file or directory")?;
    output.fails_with("write /proc/sys/vm/overcommit_memory: input/output error")?;
    equal("the API server is ready", output.stdout.ends_with("ok"), true)
}

/// The node is Ready, and its pods on the pod network do not start.
fn bare_pod(bed: &Bed, blocks: &[Block]) -> TestResult {
    let before = page_says(blocks, &["programs", "sandbox", "prepare"])?;
    let config = page_says(blocks, &["containerd", "image", "kubelet-config", "kubelet"])?;
    let steps = page_says(blocks, &["api-server", "network", "node", "node-ready", "pod"])?;
    let end = "until kubectl get events | grep FailedCreatePodSandBox >&2; do sleep 1; done; exit 1";
    let text = format!("{before}{WITHOUT_WRAPPER}{config}kill $kubelet\n{steps}{end}\n");
    // containerd asks for two keys there, which runc writes in no fixed order.
    let output = typed(bed, &text)?.run()?;
    output.fails_with("error during container init: open sysctl net.ipv4.")?;
    output.fails_with("no such file or directory")
}

/// Nor do those on the host's network.
fn bare_pod_on_host_network(bed: &Bed, blocks: &[Block]) -> TestResult {
    let before = page_says(blocks, &["programs", "sandbox", "prepare"])?;
    let steps = page_says(
        blocks,
        &["containerd", "image", "kubelet-config", "kubelet", "static-pod"],
    )?;
    let end = "until grep 'Error syncing pod' kubelet.log >&2; do sleep 1; done; exit 1";
    typed(bed, &format!("{before}{WITHOUT_WRAPPER}{steps}{end}\n"))?
        .run()?
        .fails_with("open /proc/sys/kernel/cap_last_cap: no such file or directory")
}

/// The whole page: every step succeeds and prints what the page says, and of its pods nothing is left.
fn page(bed: &Bed, blocks: &[Block]) -> TestResult {
    let all: String = blocks.iter().map(commands).collect();
    // The kubelet takes the records of dead containers away once a minute.
    let end = r#"all_left() { ctr containers list -q 2> /dev/null; left; }
        comes_true eval '[ -z "$(all_left)" ]' || all_left"#;
    let output = typed(bed, &format!("{all}echo '== left'\n{CLUSTER}{end}\n"))?.succeed()?;
    blocks_print(blocks, &output)?;
    equal("left", section(&output, "left")?, Vec::<&str>::new())
}
