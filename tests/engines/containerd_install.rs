//! containerd's configuration with the bridge in it, as both containerds read it, and the commands of docs/engines/containerd.md.

#[path = "../support/mod.rs"]
mod support;

use std::process::ExitCode;

use support::{
    Bed, Block, CONTAINERD_1_6, CONTAINERDS, CRI_PODS, Containerd, Suite, TestResult, equal, fail, section,
};

const PAGE: &str = include_str!("../../docs/engines/containerd.md");
const AROUND_PAGE: &str = include_str!("containerd/page.sh");
const CONFIG: &str = include_str!("containerd/config.sh");

fn main() -> ExitCode {
    let mut suite = Suite::new();
    let blocks = suite.page("docs/engines/containerd.md").blocks();
    for containerd in CONTAINERDS {
        let version = containerd.version;
        suite.test(format!("config::containerd_{version}"), move |bed| {
            config(bed, containerd)
        });
        let blocks = blocks.clone();
        suite.test(format!("page::containerd_{version}"), move |bed| {
            page(bed, containerd, &blocks)
        });
    }
    suite.run()
}

/// What is effective after an install, in all sorts of files; uninstalled, the file is what it was.
fn config(bed: &Bed, containerd: Containerd) -> TestResult {
    let output = bed.linux_node(containerd, CONFIG)?.succeed()?;
    let plain = [
        "default runc",
        "procemu BinaryName BIN/procemu-runc",
        "procemu NoNewKeyring true",
        "runtime procemu",
        "runtime runc",
    ];
    let systemd = ["kept", "procemu SystemdCgroup true", "runc SystemdCgroup true"];
    let short = [
        "procemu SystemdCgroup true",
        "runc SystemdCgroup true",
        "runtime test-handler",
        "test-handler BinaryName /other",
    ];
    let old = containerd == CONTAINERD_1_6;
    let refused = "runtime-bridge: /etc/containerd/config.toml imports /etc/containerd/conf.d/a.toml, \
        which has the last word on the runtimes; name that one with --config";
    let holds = |name: &str, more: &[&str]| {
        let mut expected: Vec<_> = plain.iter().chain(more).copied().collect();
        expected.sort_unstable();
        expected.push("default procemu");
        equal(name, section(&output, name)?, expected)
    };
    holds("no file", &[])?;
    holds("the default file", &[])?;
    holds("the default file, edited", &systemd)?;
    holds("a short file", &short)?;
    holds("version 2", &[])?;
    if old {
        equal("imports", section(&output, "imports")?, [refused])?;
    } else {
        holds("migrated", &[])?;
        holds("imports", &["runtime other"])?;
    }
    let name = "an import with the default";
    equal(name, section(&output, name)?, [refused])?;
    let mut named = vec![
        "default other",
        "procemu BinaryName BIN/procemu-runc",
        "runtime other",
        "runtime procemu",
    ];
    if !old {
        // Its own stays beside what the file names.
        named.push("runtime runc");
    }
    equal("named", section(&output, "named")?, named)
}

/// The whole page, and what holds between its steps.
fn page(bed: &Bed, containerd: Containerd, blocks: &[Block]) -> TestResult {
    let mut text = format!("{CRI_PODS}\n{AROUND_PAGE}\n");
    for step in blocks {
        text += &format!("echo '== {}'\n{}\n", step.name, step.commands());
        text += match step.name.as_str() {
            "try" => "echo '== after try'; has_key procemu; no_pod $pod; has_key runc; no_pod $pod\n",
            "default" => "echo '== after default'; has_key ''; kept=$pod kept_container=$made\n",
            "allow" => {
                "echo '== after allow'; in_vain pod_of procemu '.annotations = { \"procemu.io/profile\": \"kubelet\" }'\n"
            }
            "uninstall" => {
                "echo '== after uninstall'; cmp /etc/containerd/config.toml $NODE/was; runtime-bridge status
                say $kept_container 'cat /proc/sys/kernel/mine'; no_pod $kept; has_key ''; no_pod $pod\n"
            }
            _ => "",
        };
    }
    text += "echo '== left'; print_left; ls /etc/containerd /etc/cdi /usr/local/bin | grep -E 'procemu' || true\n";
    let output = bed.linux_node(containerd, &text)?.succeed()?;
    for step in blocks {
        let printed = section(&output, &step.name)?.join("\n");
        equal(
            &step.name,
            printed.as_str(),
            step.prints.as_deref().unwrap_or_default(),
        )?;
    }
    equal("after try", section(&output, "after try")?, ["7", "absent"])?;
    equal("after default", section(&output, "after default")?, ["7"])?;
    let said = section(&output, "after allow")?.join("\n");
    let line = said
        .find("OCI runtime create failed")
        .map(|at| said[at..].trim_end_matches(": unknown"));
    match line {
        Some(line) if PAGE.lines().any(|of_page| of_page == line) => {}
        _ => return fail(format!("the page has not the line that is said: {said}")),
    }
    equal(
        "after uninstall",
        section(&output, "after uninstall")?,
        [
            "containerd: /etc/containerd/config.toml: not installed",
            "7",
            "absent",
        ],
    )?;
    equal("left", section(&output, "left")?.join("\n"), "")
}
