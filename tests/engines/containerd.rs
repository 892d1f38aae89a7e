//! Pods and containers by the CRI and by ctr, behind both containerds, without a kubelet.

#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use support::{
    Bed, CONTAINERD_1_6, CONTAINERD_2_2, CONTAINERDS, CRI_PODS, CRUN, Containerd, RUNC_1_1, RUNC_1_5,
    Runtime, Script, Suite, TestResult, equal, section,
};

const PODS: &str = include_str!("containerd/pods.sh");
const USERS: &str = include_str!("containerd/users.sh");
const LACKING: &str = include_str!("containerd/lacking.sh");
const PROFILE: &str = include_str!("containerd/profile.sh");
const SHIM: &str = include_str!("containerd/shim.sh");
const CDI: &str = include_str!("containerd/cdi.sh");

/// Which runtime goes with which containerd.
const PAIRS: [(Containerd, Runtime); 5] = [
    (CONTAINERD_1_6, RUNC_1_1),
    (CONTAINERD_1_6, CRUN),
    (CONTAINERD_2_2, RUNC_1_1),
    (CONTAINERD_2_2, RUNC_1_5),
    (CONTAINERD_2_2, CRUN),
];

fn main() -> ExitCode {
    let mut suite = Suite::new();
    for (containerd, runtime) in PAIRS {
        let name = name(containerd, runtime);
        suite.test(format!("pods::{name}"), move |bed| pods(bed, containerd, runtime));
        suite.test(format!("users::{name}"), move |bed| {
            users(bed, containerd, runtime)
        });
    }
    for containerd in CONTAINERDS {
        for runtime in [RUNC_1_5, CRUN] {
            let name = name(containerd, runtime);
            suite.test(format!("lacking::{name}"), move |bed| {
                lacking(bed, containerd, runtime)
            });
        }
        let version = containerd.version;
        suite.test(format!("profile::containerd_{version}"), move |bed| {
            profile(bed, containerd)
        });
        suite.test(format!("shim::containerd_{version}"), move |bed| {
            shim(bed, containerd)
        });
        suite.test(format!("cdi::containerd_{version}"), move |bed| {
            cdi(bed, containerd)
        });
    }
    suite.run()
}

fn name(containerd: Containerd, runtime: Runtime) -> String {
    format!("containerd_{}::{}", containerd.version, runtime.name)
}

/// A script as [`Bed::linux_node`] makes it, with the functions of `cri_pods.sh`, `$NAME` and `$RUNTIME`, and in `$TABLE` three keys
/// that no kernel has: one of the network, one of IPC, one of each container's own.
fn script(bed: &Bed, containerd: Containerd, runtime: Runtime, text: &str) -> TestResult<Script> {
    let script = bed.linux_node(containerd, &format!("{CRI_PODS}\n{text}"))?;
    Ok(script
        .env("NAME", runtime.name)
        .env("RUNTIME", runtime.path()?)
        .env("TABLE", table(bed)?))
}

fn table(bed: &Bed) -> io::Result<PathBuf> {
    bed.table(
        "table.toml",
        &[
            ("net/ipv4/made_up", r#"{ value = 1, mode = "0644" }"#),
            ("fs/mqueue/made_up", r#"{ value = 2, mode = "0644" }"#),
            ("kernel/made_up", r#"{ value = 3, mode = "0644" }"#),
        ],
    )
}

/// Holds what a script printed against what it should have: sections and their text. A line that ends in `...` has to be there in part.
fn sections(output: &str, expected: &[(&str, &str)]) -> TestResult {
    for (name, text) in expected.iter().chain(&[("left", "")]) {
        let lines = section(output, name)?;
        let same = lines.len() == text.lines().count()
            && text
                .lines()
                .zip(&lines)
                .all(|(text, line)| match text.strip_suffix("...") {
                    Some(part) => line.contains(part),
                    None => *line == text,
                });
        if !same {
            equal(name, lines.join("\n").as_str(), *text)?;
        }
    }
    Ok(())
}

/// The kernel's own value.
fn cap_last_cap() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/cap_last_cap")?
        .trim()
        .to_owned())
}

/// containerd 2.2 writes an ociVersion that this crun does not know.
const UNKNOWN_VERSION: &str = "OCI runtime create failed: unknown version specified...";
const LACKS: &str =
    "error during container init: open /proc/sys/kernel/cap_last_cap: no such file or directory...";

/// What a pod's containers have in common they have alone, in all sorts of pods.
fn pods(bed: &Bed, containerd: Containerd, runtime: Runtime) -> TestResult {
    let output = script(bed, containerd, runtime, PODS)?.succeed()?;
    let bare = match (containerd, runtime) {
        (CONTAINERD_2_2, CRUN) => UNKNOWN_VERSION,
        _ => "runs",
    };
    sections(
        &output,
        &[
            ("bare", bare),
            (
                "pod",
                "7 2 3\nstdout F 7\nstdout F 3\n20000 30000\nrefused\nrefused\nrefused\nno keyring",
            ),
            ("privileged", "7 2 3\n5 5 5\n5 5 3"),
            ("restarted", "5 5 3"),
            ("another pod", "1 2 3\none pid namespace"),
            ("host network", "1 2 3"),
            ("template", "3\none tmpfs\n1"),
            (
                "volumes",
                "/both/late:\nfile\n/in/late:\nfile\n/no/late:\nrefused\nfile\n1 2 3",
            ),
        ],
    )
}

/// Containers whose root is another user, also one who may have no more keys.
fn users(bed: &Bed, containerd: Containerd, runtime: Runtime) -> TestResult {
    let fill = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/engines/containerd/fill_keys.pl");
    let output = script(bed, containerd, runtime, USERS)?
        .env("FILL", fill)
        .succeed()?;
    // ctr of containerd 2.2 stands in for that of 1.6.
    let refused = match runtime {
        CRUN => UNKNOWN_VERSION.replace("OCI runtime create failed: ", ""),
        _ => NO_QUOTA.to_owned(),
    };
    sections(
        &output,
        &[
            ("users by ctr", "1 2 3\n0 1900000000 65536"),
            ("no quota", &format!("{refused}\n1 2 3")),
        ],
    )?;
    if (containerd, runtime) != (CONTAINERD_2_2, RUNC_1_5) {
        return Ok(());
    }
    sections(
        &output,
        &[
            // Its keyring is its own; what is not read-only takes writes, for the whole pod.
            (
                "users of a pod",
                "0 1900000000 65536\nown keyring\n1 2 3\nrefused\n5 2 3",
            ),
            (
                "no quota for a pod",
                &format!("{NO_QUOTA}\n0 1900100000 65536\nno keyring"),
            ),
        ],
    )
}

const NO_QUOTA: &str = "error during container init: unable to join session keyring: unable to create session key: disk quota exceeded...";

/// A key that the runtime reads in the container (runc) or around itself (crun), and that is not there.
fn lacking(bed: &Bed, containerd: Containerd, runtime: Runtime) -> TestResult {
    let script = script(bed, containerd, runtime, LACKING)?;
    let output = match runtime {
        CRUN => script.env("LACKING", "kernel/cap_last_cap"),
        _ => script,
    };
    let bare = match (containerd, runtime) {
        (CONTAINERD_2_2, CRUN) => UNKNOWN_VERSION,
        (_, CRUN) => {
            "OCI runtime create failed: open /proc/sys/kernel/cap_last_cap: No such file or directory..."
        }
        _ => LACKS,
    };
    sections(&output.succeed()?, &[("bare", bare), ("cured", &cap_last_cap()?)])
}

/// A pod's annotation is its containers' too, and one that is not allowed ends with the sandbox.
fn profile(bed: &Bed, containerd: Containerd) -> TestResult {
    let output = script(bed, containerd, RUNC_1_1, PROFILE)?.succeed()?;
    let last = cap_last_cap()?;
    let given = r#"{"procemu.io/profile":"runc"}"#;
    let refused = |profile| {
        format!(
            "OCI runtime create failed: annotation procemu.io/profile: profile {profile:?} is not allowed, \
             allowed_profiles in bridge.toml names runc...\n0"
        )
    };
    sections(
        &output,
        &[
            ("none", "absent 3"),
            ("allowed", &format!("{given}\n{given}\n{last} 3")),
            ("kubelet", &refused("kubelet")),
            ("nosuch", &refused("nosuch")),
            ("another handler", "runs"),
            ("of a container", &format!("{{}}\nabsent 3\n{given}\n{last} 3")),
        ],
    )
}

/// The runtime of our own name, and where its shim looks for containerd's.
fn shim(bed: &Bed, containerd: Containerd) -> TestResult {
    let output = script(bed, containerd, RUNC_1_5, SHIM)?.succeed()?;
    let missing = "runtime-bridge: no containerd-shim-runc-v2 on PATH, beside containerd or beside containerd-shim-procemu-v2\nexit 1";
    let path = "/run/kept/bin:NODE/empty:NODE/first:NODE/second -id x";
    sections(
        &output,
        &[
            ("ctr", "absent\nexit 7\n3\nexit 7\n3"),
            ("pod", "1 2 3\nabsent"),
            (
                "state",
                "/run/kept/bin \n/run/kept/bin/runc /opt/procemu/runtime-bridge",
            ),
            ("no shim", &format!("{missing}\n{missing}")),
            (
                "shims",
                &format!("/opt/procemu {path}\nNODE/beside {path}\nNODE/second {path}"),
            ),
        ],
    )
}

/// The hook alone. containerd 1.6 knows no CDI.
fn cdi(bed: &Bed, containerd: Containerd) -> TestResult {
    let output = script(bed, containerd, RUNC_1_5, CDI)?.succeed()?;
    let bridge = support::runtime_bridge()?;
    let installed = format!(
        "cdi: /etc/cdi/procemu.json: {}, for those that ask for it\nnot installed",
        bridge.display()
    );
    let last = cap_last_cap()?;
    let (cured, unknown) = match containerd {
        CONTAINERD_1_6 => (LACKS.to_owned(), LACKS),
        _ => (
            format!("{last} 1 2 3\nrefused"),
            "CDI device injection failed: unresolvable CDI devices procemu.io/keys=all...",
        ),
    };
    sections(
        &output,
        &[
            ("bare", LACKS),
            ("by annotation", &cured),
            ("by device", &cured),
            // Nothing takes a sysctl away from the runtime.
            ("sysctl", "open sysctl net.ipv4.made_up file: ..."),
            ("installed", &installed),
            ("uninstalled", unknown),
        ],
    )
}
