//! A Kubernetes node inside a gVisor sandbox: containerd, the kubelet and runc 1.5.2.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{Bed, Gvisor, RUNC_1_5, Runtime, Script, TestResult, need};

const IMAGE: &str = include_str!("image.sh");
const NODE: &str = include_str!("node.sh");

impl Bed {
    /// A script as [`Bed::sandbox`] makes it, with the functions of `node.sh`.
    ///
    /// # Errors
    /// Skips the test where something is not there.
    pub fn node(&self, gvisor: Gvisor, text: &str) -> TestResult<Script> {
        let script = self.sandbox(gvisor, &format!("{IMAGE}\n{NODE}\n{text}"))?;
        need::command("busybox")?;
        let programs = [
            need::tool("containerd")?,
            need::tool("kubelet")?,
            RUNC_1_5.path()?,
        ];
        let folders = programs.iter().filter_map(|program| program.parent());
        let folders: Vec<_> = folders.map(|folder| folder.display().to_string()).collect();
        let client = need::tool_at("node-client", &client_version()?)?;
        let pods = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/pods");
        Ok(script
            .env("TOOLS", folders.join(":"))
            .env("CLIENT", client)
            .env("PODS", pods))
    }

    /// The same with `$NAME` and `$RUNTIME`.
    ///
    /// # Errors
    /// Skips the test where something is not there.
    pub fn runtime_node(&self, gvisor: Gvisor, runtime: Runtime, text: &str) -> TestResult<Script> {
        let script = self.node(gvisor, text)?;
        Ok(script.env("NAME", runtime.name).env("RUNTIME", runtime.path()?))
    }
}

/// As `scripts/tools.sh` makes it: what the client's source sums up to.
fn client_version() -> TestResult<String> {
    let sources = [
        include_str!("node-client/main.go"),
        include_str!("node-client/go.mod"),
        include_str!("node-client/go.sum"),
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
