//! A Kubernetes node: containerd, the kubelet and runc 1.5.2, inside a gVisor sandbox or on a machine of its own.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Bed, Gvisor, RUNC_1_5, Runtime, Script, TestResult, need};

const IMAGE: &str = include_str!("node/image.sh");
const NODE: &str = concat!(include_str!("node/node.sh"), "\n", include_str!("node/cri.sh"));
/// Functions for pods by the CRI whose requests are more than a name, to come before a node's script.
pub const CRI_PODS: &str = include_str!("node/cri_pods.sh");
const IN_GVISOR: &str = include_str!("node/node_gvisor.sh");
const ON_LINUX: &str = include_str!("node/node_linux.sh");

/// A version of containerd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Containerd {
    /// Without its last number.
    pub version: &'static str,
}

/// Debian 12's.
pub const CONTAINERD_1_6: Containerd = Containerd { version: "1.6" };
/// A newer one, whose configuration has version 3.
pub const CONTAINERD_2_2: Containerd = Containerd { version: "2.2" };
/// Both.
pub const CONTAINERDS: [Containerd; 2] = [CONTAINERD_1_6, CONTAINERD_2_2];

impl Containerd {
    /// The daemon.
    ///
    /// # Errors
    /// Skips the test where it is not there.
    pub fn program(self) -> TestResult<PathBuf> {
        match self {
            CONTAINERD_1_6 => Ok(need::debian("docker")?.join("usr/bin/containerd")),
            _ => need::tool("containerd"),
        }
    }

    /// The folders of its programs; the first that has one of a name wins.
    fn folders(self) -> TestResult<Vec<PathBuf>> {
        let mut programs = vec![need::tool("containerd")?];
        if self == CONTAINERD_1_6 {
            programs.insert(0, self.program()?);
        }
        Ok(programs
            .iter()
            .filter_map(|program| program.parent())
            .map(Path::to_owned)
            .collect())
    }
}

impl Bed {
    /// A script as [`Bed::sandbox`] makes it, with the functions of `node.sh` and `cri.sh` and containerd 2.2.
    ///
    /// # Errors
    /// Skips the test where something is not there.
    pub fn node(&self, gvisor: Gvisor, text: &str) -> TestResult<Script> {
        let script = self.sandbox(gvisor, &format!("{IMAGE}\n{IN_GVISOR}\n{NODE}\n{text}"))?;
        with_programs(script, CONTAINERD_2_2)
    }

    /// A script as [`Bed::machine`] makes it, with the functions of `node.sh` and `cri.sh`.
    ///
    /// # Errors
    /// Skips the test where something is not there.
    pub fn linux_node(&self, containerd: Containerd, text: &str) -> TestResult<Script> {
        need::file("/usr/lib/cni/bridge")?;
        need::command("jq")?;
        let script = self.machine(&format!("{IMAGE}\n{ON_LINUX}\n{NODE}\n{text}"))?;
        with_programs(script, containerd)
    }

    /// The same as [`Bed::node`] with `$NAME` and `$RUNTIME`.
    ///
    /// # Errors
    /// Skips the test where something is not there.
    pub fn runtime_node(&self, gvisor: Gvisor, runtime: Runtime, text: &str) -> TestResult<Script> {
        let script = self.node(gvisor, text)?;
        Ok(script.env("NAME", runtime.name).env("RUNTIME", runtime.path()?))
    }
}

fn with_programs(script: Script, containerd: Containerd) -> TestResult<Script> {
    need::command("busybox")?;
    let mut folders = containerd.folders()?;
    let others = [need::tool("kubelet")?, RUNC_1_5.path()?];
    folders.extend(
        others
            .iter()
            .filter_map(|program| program.parent())
            .map(Path::to_owned),
    );
    let folders: Vec<_> = folders
        .iter()
        .map(|folder| folder.display().to_string())
        .collect();
    let client = node_client()?;
    let pods = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/node/pods");
    Ok(script
        .env("TOOLS", folders.join(":"))
        .env("CONTAINERD", containerd.version)
        .env("CLIENT", client)
        .env("PODS", pods))
}

/// What a node is asked by.
///
/// # Errors
/// Skips the test where it was not built.
pub fn node_client() -> TestResult<PathBuf> {
    need::tool_at("node-client", &client_version()?)
}

/// As `scripts/tools.sh` makes it: what the client's source sums up to.
fn client_version() -> TestResult<String> {
    let sources = [
        include_str!("node/client/main.go"),
        include_str!("node/client/go.mod"),
        include_str!("node/client/go.sum"),
    ];
    let mut sum = Command::new("sha256sum")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    if let Some(mut input) = sum.stdin.take() {
        input.write_all(sources.concat().as_bytes())?;
    }
    let output = sum.wait_with_output()?;
    Ok(String::from_utf8_lossy(&output.stdout).chars().take(16).collect())
}
