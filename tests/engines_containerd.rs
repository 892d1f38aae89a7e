//! Pods and containers by the CRI and by ctr, behind both containerds, without a kubelet.

mod support;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use support::{
    Bed, CONTAINERD_1_6, CONTAINERD_2_2, CRUN, Containerd, RUNC_1_1, RUNC_1_5, Runtime, Script, Suite,
    TestResult, equal, section,
};

const CRI_PODS: &str = include_str!("support/cri_pods.sh");
const PODS: &str = include_str!("engines_containerd_pods.sh");
const LACKING: &str = include_str!("engines_containerd_lacking.sh");
const USERS: &str = include_str!("engines_containerd_users.sh");

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
        let name = format!("containerd_{}::{}", containerd.version, runtime.name);
        suite.test(format!("pods::{name}"), move |bed| pods(bed, containerd, runtime));
        suite.test(format!("users::{name}"), move |bed| {
            users(bed, containerd, runtime)
        });
    }
    for (containerd, runtime) in [(CONTAINERD_1_6, RUNC_1_5), (CONTAINERD_2_2, RUNC_1_5)] {
        let name = format!("containerd_{}::{}", containerd.version, runtime.name);
        suite.test(format!("lacking::{name}"), move |bed| {
            lacking(bed, containerd, runtime)
        });
    }
    suite.run()
}

/// A script as [`Bed::linux_node`] makes it, with the functions of `cri_pods.sh` and `$NAME` and `$RUNTIME`.
fn script(bed: &Bed, containerd: Containerd, runtime: Runtime, text: &str) -> TestResult<Script> {
    let script = bed.linux_node(containerd, &format!("{CRI_PODS}\n{text}"))?;
    Ok(script.env("NAME", runtime.name).env("RUNTIME", runtime.path()?))
}

/// Holds what the script printed against what it should have.
fn sections(output: &str, expected: &[(&str, &str)]) -> TestResult {
    for (name, text) in expected {
        equal(name, section(output, name)?.join("\n"), text.trim())?;
    }
    equal("left", section(output, "left")?.join("\n"), "")
}

/// Three keys that no kernel has: one of the network, one of IPC, one of each container's own.
fn table(bed: &Bed) -> std::io::Result<PathBuf> {
    bed.table(
        "table.toml",
        &[
            ("net/ipv4/made_up", r#"{ value = 1, mode = "0644" }"#),
            ("fs/mqueue/made_up", r#"{ value = 2, mode = "0644" }"#),
            ("kernel/made_up", r#"{ value = 3, mode = "0644" }"#),
        ],
    )
}

/// What a pod's containers have in common they have alone, in all sorts of pods.
fn pods(bed: &Bed, containerd: Containerd, runtime: Runtime) -> TestResult {
    let output = script(bed, containerd, runtime, PODS)?
        .env("TABLE", table(bed)?)
        .succeed()?;
    let bare = section(&output, "bare")?.join("\n");
    // containerd 2.2 writes an ociVersion that this crun does not know.
    let fails = (containerd, runtime) == (CONTAINERD_2_2, CRUN);
    let said = if fails {
        "OCI runtime create failed: unknown version specified"
    } else {
        "runs"
    };
    equal(format!("bare: {bare}"), bare.contains(said), true)?;
    sections(
        &output,
        &[
            (
                "pod",
                "7 2 3\nstdout F 7\nstdout F 3\n20000 30000\nrefused\nrefused\nrefused",
            ),
            ("privileged", "7 2 3\n5 5 5\n5 5 3"),
            ("restarted", "5 5 3"),
            ("another pod", "1 2 3\none pid namespace"),
            ("host network", "1 2 3"),
            (
                "volumes",
                "/both/late:\nfile\n/in/late:\nfile\n/no/late:\nrefused\nfile\n1 2 3",
            ),
        ],
    )
}

/// A runtime that reads a key in the container that the container lacks: both ways of the CRI to say so.
fn lacking(bed: &Bed, containerd: Containerd, runtime: Runtime) -> TestResult {
    let output = script(bed, containerd, runtime, LACKING)?.succeed()?;
    let bare = section(&output, "bare")?.join("\n");
    let said = "error during container init: open /proc/sys/kernel/cap_last_cap: no such file or directory";
    equal(format!("bare: {bare}"), bare.contains(said), true)?;
    let last = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap")?;
    sections(&output, &[("cured", &last)])
}

/// Containers whose root is another user, also one who may have no more keys.
fn users(bed: &Bed, containerd: Containerd, runtime: Runtime) -> TestResult {
    let fill = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/fill_keys.pl");
    let output = script(bed, containerd, runtime, USERS)?
        .env("TABLE", table(bed)?)
        .env("FILL", fill)
        .succeed()?;
    let runs = format!("1 2 3\n0 {ROOT} 65536");
    sections(&output, &[("users by ctr", &runs)])?;
    let quota = section(&output, "no quota")?;
    // ctr of containerd 2.2, which stands in for 1.6's too, writes an ociVersion that crun does not know.
    let said = match runtime {
        CRUN => "unknown version specified",
        _ => NO_QUOTA,
    };
    equal(format!("{quota:?}"), quota[0].contains(said), true)?;
    equal("cured", &quota[1..], &["1 2 3"][..])?;
    if (containerd, runtime) != (CONTAINERD_2_2, RUNC_1_5) {
        return Ok(());
    }
    // A keyring of the container's own, and, as its root, what takes writes where nothing is read-only.
    let pod = format!("0 {ROOT} 65536\n_ses.ID\n1 2 3\nrefused\n5 2 3");
    sections(&output, &[("users of a pod", &pod)])?;
    let quota = section(&output, "no quota for a pod")?;
    equal(format!("{quota:?}"), quota[0].contains(NO_QUOTA), true)?;
    equal(
        "cured",
        quota[1..].join("\n"),
        format!("0 {} 65536\nno keyring", ROOT + 100_000),
    )
}

/// The containers' root, as the script numbers it; it takes another for those without a quota.
const ROOT: u32 = 1_900_000_000;
const NO_QUOTA: &str = "error during container init: unable to join session keyring: unable to create session key: disk quota exceeded";
