//! deploy/kubernetes: what an API server says of it, and on a cluster of one node what docs/engines/kubernetes.md says of it.

#[path = "../support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use support::{
    Bed, Block, CHECKOUT, CONTAINERDS, Containerd, Script, Suite, TestResult, blocks_print, equal, fail,
    need, section,
};

const CONTROL_PLANE: &str = include_str!("../support/node/control_plane.sh");

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.test("manifests::api_server", manifests);
    let page_of = suite.page("docs/engines/kubernetes.md");
    let other_nodes = page_of.block("other-nodes");
    suite.test("manifests::patches", move |bed| patches(bed, &other_nodes));
    suite.test("manifests::wrong", wrong_manifest);
    let class = suite.page("docs/engines/containerd.md").block("runtime-class");
    suite.test("manifests::runtime_class", move |bed| runtime_class(bed, &class));
    let blocks = page_of.blocks();
    for containerd in CONTAINERDS {
        let blocks = blocks.clone();
        suite.test(format!("page::containerd_{}", containerd.version), move |bed| {
            page(bed, containerd, &blocks)
        });
    }
    suite.run()
}

/// A PATH with these programs of `scripts/tools.sh`.
fn tools(names: &[&str]) -> TestResult<String> {
    let programs = names.iter().copied().map(need::tool);
    let programs = programs.collect::<TestResult<Vec<PathBuf>>>()?;
    let folders = programs.iter().filter_map(|program| program.parent());
    let folders: Vec<_> = folders.map(|folder| folder.display().to_string()).collect();
    Ok(folders.join(":"))
}

/// A machine with an API server.
fn api_server(bed: &Bed, text: &str) -> TestResult<Script> {
    need::command("openssl")?;
    let node = include_str!("../support/node/node.sh");
    let prepare = r#"mkdir -p "$NODE"; PATH=$TOOLS:$PATH:/usr/sbin:/sbin; ADDRESS=10.0.0.1
        ip address add "$ADDRESS/32" dev lo; control_plane"#;
    let script = bed.machine(&format!("{node}\n{CONTROL_PLANE}\n{prepare}\n{text}"))?;
    Ok(script
        .env("TOOLS", tools(&["etcd", "kube-apiserver", "kubectl"])?)
        .env("CONTAINERD", "2.2")
        .env("DEPLOY", format!("{CHECKOUT}/deploy/kubernetes")))
}

/// Nothing is refused and no field is unknown. What is in a namespace can only be asked about when that is there.
fn manifests(bed: &Bed) -> TestResult {
    let text = r#"kubectl apply -f "$DEPLOY/namespace.yaml"
        kubectl apply --dry-run=server --validate=strict -k "$DEPLOY" | sed 's/procemu-[a-z0-9]\{10\} /procemu-HASH /'
        kubectl get -n procemu daemonsets,configmaps -o name"#;
    let output = api_server(bed, text)?.succeed()?;
    equal(
        "said",
        output,
        "namespace/procemu created
namespace/procemu unchanged (server dry run)
serviceaccount/procemu created (server dry run)
configmap/procemu-HASH created (server dry run)
daemonset.apps/procemu-install created (server dry run)
daemonset.apps/procemu-uninstall created (server dry run)
runtimeclass.node.k8s.io/procemu created (server dry run)",
    )
}

/// Nor in the RuntimeClass that containerd's page has.
fn runtime_class(bed: &Bed, class: &Block) -> TestResult {
    let text = r#"kubectl apply --dry-run=server --validate=strict -f "$CLASS""#;
    let class = bed.file("class.yaml", &class.text)?;
    let output = api_server(bed, text)?.env("CLASS", class).succeed()?;
    equal(
        "said",
        output,
        "runtimeclass.node.k8s.io/procemu created (server dry run)",
    )
}

/// Nor in the patches that the page has for other nodes.
fn patches(bed: &Bed, patches: &Block) -> TestResult {
    let site = bed.file("site.yaml", format!("resources: [../deploy]\n{}\n", patches.text))?;
    let text = r#"kubectl apply -f "$DEPLOY/namespace.yaml" > /dev/null
        cp -r "$DEPLOY" "$NODE/deploy"; mkdir "$NODE/site"; cp "$SITE" "$NODE/site/kustomization.yaml"
        kubectl apply --dry-run=server --validate=strict -k "$NODE/site" -o yaml | grep -c 'restart=systemctl restart k3s$'"#;
    let output = api_server(bed, text)?.env("SITE", site).succeed()?;
    equal("patched", output, "2")
}

/// The same with a field that there is not, and with a value that is not allowed.
fn wrong_manifest(bed: &Bed) -> TestResult {
    let text = r#"kubectl apply -f "$DEPLOY/namespace.yaml" > /dev/null
        for change in s/hostPID/hostPids/ s/Exists/Exist/; do
          cp -r "$DEPLOY" "$NODE/wrong"
          sed -i "$change" "$NODE/wrong/install.yaml"
          ! kubectl apply --dry-run=server --validate=strict -k "$NODE/wrong" > /dev/null 2> error || exit
          grep -oE 'unknown field "[^"]*"|Unsupported value: "[^"]*"|Invalid value: "[^"]*"' error
          rm -r "$NODE/wrong"
        done"#;
    let output = api_server(bed, text)?.succeed()?;
    equal(
        "said",
        output,
        "unknown field \"spec.template.spec.hostPids\"\nInvalid value: \"Exist\"\nUnsupported value: \"Exist\"",
    )
}

/// runtime-bridge as one static file.
fn static_bridge() -> TestResult<PathBuf> {
    let output = Command::new(format!("{CHECKOUT}/scripts/static.sh")).output()?;
    match output.status.success() {
        true => Ok(Path::new(String::from_utf8_lossy(&output.stdout).trim()).join("runtime-bridge")),
        false => fail(String::from_utf8_lossy(&output.stderr)),
    }
}

/// The whole page: every step succeeds and prints what the page says. In between it is looked at what must not have happened.
fn page(bed: &Bed, containerd: Containerd, blocks: &[Block]) -> TestResult {
    let mut text = format!("{CONTROL_PLANE}\n{}\n", include_str!("kubernetes.sh"));
    text.push_str(
        "cluster; bystander; bridge_image 1; bridge_image 2 another; cd \"$BED\"; cp -r \"$DEPLOY\" deploy\n",
    );
    for step in blocks {
        text.push_str(&format!("echo '== {}'\n{}\n", step.name, step.commands()));
        for (_, name, commands, _) in CHECKS.iter().filter(|(after, ..)| *after == step.name) {
            text.push_str(&format!("echo '== {name}'\n{commands}\n"));
        }
    }
    need::command("strip")?;
    let script = bed.linux_node(containerd, &text)?;
    let path = tools(&[
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kubectl",
    ])?;
    let output = script
        .env("PLANE", path)
        .env("STATIC", static_bridge()?)
        .env("DEPLOY", format!("{CHECKOUT}/deploy"))
        .limit(Duration::from_secs(400))
        .run()?;
    if !output.status.success() {
        return output.fail("the page failed");
    }
    // ctr 2.2 says on each call that cgroup v1 is old.
    let printed = output.stdout.lines().filter(|line| !line.starts_with("time="));
    let printed = printed.collect::<Vec<_>>().join("\n");
    blocks_print(blocks, &printed)?;
    for (_, name, _, prints) in CHECKS {
        equal(name, section(&printed, name)?.join("\n").trim(), prints.trim())?;
    }
    Ok(())
}

/// After which step of the page, a name, commands, and what they print.
const CHECKS: [(&str, &str, &str, &str); 6] = [
    (
        "apply",
        "nothing before the label",
        r#"kubectl -n procemu get pods 2>&1
        "$BRIDGE" node -- status 2>&1 || true
        mkdir wrong; echo profile > wrong/bridge.toml; unshare --mount "$BRIDGE" node --files wrong -- status 2>&1 | head -n 1 || true
        is_before; ! ls /opt/procemu 2> /dev/null"#,
        "No resources found in procemu namespace.
runtime-bridge: process 1 is in this mount namespace: a pod needs hostPID, and on the node itself `install` is enough
runtime-bridge: /etc/procemu/bridge.toml:1: key with no value, expected `=`
config.toml",
    ),
    // No API credentials on the node; a pod that ends takes nothing out, and the next one restarts nothing.
    (
        "install-log",
        "an eviction",
        "kubectl -n procemu get pods -o jsonpath='{..volumes[*].name}'; echo
        kubectl -n procemu delete pods --all > /dev/null; grep -c procemu.io /etc/containerd/config.toml; rolled_out install
        kubectl -n procemu logs daemonset/procemu-install -c install; restarts",
        "files\n1\n/etc/containerd/config.toml is as it was asked for\n1",
    ),
    (
        "update",
        "after the update",
        r#"restarts; ctr --address "$NODE/containerd.sock" -n k8s.io containers list | grep -c procemu/ || true
        sed -i s/ours/new/ site/site.toml; kubectl apply -k site > /dev/null; rolled_out install
        pod_of_ours two; kubectl wait --for condition=Ready pod/two > /dev/null; kubectl exec two -- cat /proc/sys/kernel/site; restarts
        cp "$NODE/before.toml" /etc/containerd/config.toml
        kubectl -n procemu rollout restart daemonset/procemu-install > /dev/null; rolled_out install
        grep -c procemu.io /etc/containerd/config.toml; restarts"#,
        "1\n0\nnew\n1\n1\n2",
    ),
    (
        "remove",
        "pods after the removal",
        r#"is_before; restarts
        if [ "$CONTAINERD" = 2.2 ]; then { kubectl exec two -- true 2>&1 || true; } | grep -qF 'no runtime for "procemu"'; fi
        kubectl get pod two -o jsonpath='{.status.phase}'; echo; kubectl delete pod two
        pod_of_ours three; until_true "an event" eval 'kubectl describe pod three | grep -o "1 node(s) didn.t match Pod.s node affinity/selector"'
        kubectl delete pod three"#,
        r#"config.toml
3
Running
pod "two" deleted from default namespace
1 node(s) didn't match Pod's node affinity/selector
pod "three" deleted from default namespace"#,
    ),
    ("remove", "failures", "failures", FAILURES),
    (
        "delete",
        "the end",
        r#"kubectl get namespaces,runtimeclasses -o name | grep procemu || true
        kubectl get pod bystander -o jsonpath='{..restartCount}{..phase}'; echo
        cat /proc/[0-9]*/comm | grep -E 'runtime-bridge|procemu' || true"#,
        "0Running",
    ),
];

/// What `failures` of kubernetes.sh prints: with each restart once more where it failed, none where it would fail again.
const FAILURES: &str = "
- does not come back
grep -qw ok` failed (exit status: 1) with the same change before; name another command, or remove /run/procemu/restart/containerd.failed
config.toml
2
no runtime for \"procemu\" is configured
pod/early condition met
3
config.toml
- a file of somebody else
/etc/procemu/bridge.toml is not as runtime-bridge left it; move it away, or put what it has into the ConfigMap
config.toml
tables = [\"/etc/procemu/site.toml\"]
allowed_profiles = [\"kubelet\"]
- killed
/etc/containerd/config.toml is as it was asked for
done: systemctl restart containerd && ctr plugins list id==cri | grep -qw ok
2
config.toml
";
