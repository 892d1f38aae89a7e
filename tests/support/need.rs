//! What a test cannot do without; where it is missing, the test is skipped and says so.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Stop, TestResult, binaries};

/// Root with the right to mount.
pub fn root() -> TestResult {
    if !nix::unistd::geteuid().is_root() {
        return skip("needs root");
    }
    if !succeeds(Command::new("unshare").args(["--mount", "--propagation", "slave", "true"])) {
        return skip("needs a mount namespace of its own (CAP_SYS_ADMIN)");
    }
    Ok(())
}

/// A command found in PATH or the system's folders.
pub fn command(name: &str) -> TestResult<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders =
        std::env::split_paths(&path).chain(["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from));
    match folders
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
    {
        Some(file) => Ok(file),
        None => skip(format!("needs the command {name}: scripts/setup.sh installs it")),
    }
}

/// A file of the system.
pub fn file(path: &str) -> TestResult {
    match Path::new(path).exists() {
        true => Ok(()),
        false => skip(format!("needs {path}: scripts/setup.sh installs it")),
    }
}

/// All capabilities that the kernel has.
pub fn all_capabilities() -> TestResult {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("CapBnd:"));
    let bounding = line.and_then(|line| u64::from_str_radix(line.trim(), 16).ok());
    let last = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap").unwrap_or_default();
    let last: Option<u32> = last.trim().parse().ok();
    match (bounding, last) {
        (Some(has), Some(last)) if has.count_ones() == last + 1 => Ok(()),
        _ => skip("needs all capabilities, which a privileged container gets"),
    }
}

/// User namespaces for a user without rights.
pub fn unprivileged_user_namespaces() -> TestResult {
    root()?;
    let mut command = Command::new("setpriv");
    command.args([
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "unshare",
        "--user",
        "--mount",
        "true",
    ]);
    if succeeds(&mut command) {
        Ok(())
    } else {
        skip("needs user namespaces for unprivileged users")
    }
}

/// A key of the kernel.
pub fn key(path: &str) -> TestResult {
    let file = Path::new("/proc/sys").join(path);
    if file.exists() {
        Ok(())
    } else {
        skip(format!("needs a kernel with {}", file.display()))
    }
}

/// What `scripts/tools.sh` builds, by the versions that are named there.
const TOOLS: [(&str, &str); 10] = [
    ("crio", "1.34.0"),
    ("containerd", "2.2.9"),
    ("kubelet", "1.34.4"),
    ("kube-apiserver", "1.34.4"),
    ("kube-controller-manager", "1.34.4"),
    ("kube-scheduler", "1.34.4"),
    ("kubectl", "1.34.4"),
    ("etcd", "3.6.5"),
    ("runsc", "0.0.0-20260905035102-160fafc42237"),
    ("runsc-lacking", "0.0.0-20260905035102-160fafc42237"),
];

/// A program that `scripts/tools.sh` builds.
pub fn tool(name: &str) -> TestResult<PathBuf> {
    let known = TOOLS.iter().find(|(tool, _)| *tool == name);
    let (_, version) = known.expect("the table has every tool that tests name");
    tool_at(name, version)
}

/// The same of one whose version is not in the table.
pub fn tool_at(name: &str, version: &str) -> TestResult<PathBuf> {
    let program = name.trim_end_matches("-lacking");
    match binaries::built(&format!("{name}-{version}"), program) {
        Some(path) => Ok(path),
        None => skip(format!(
            "needs {name} {version}: scripts/tools.sh {name} builds it where Go >= 1.26 is"
        )),
    }
}

/// What `scripts/debian.sh` unpacks: the version, and a program of it.
const UNPACKED: [(&str, &str, &str); 9] = [
    ("docker", "20.10.24", "usr/sbin/dockerd"),
    ("podman", "4.3.1", "usr/bin/podman"),
    ("lxcfs", "5.0.3", "usr/bin/lxcfs"),
    ("proot", "5.1.0", "usr/bin/proot"),
    ("bubblewrap", "0.8.0", "usr/bin/bwrap"),
    ("ping", "20221126", "bin/ping"),
    ("postgresql", "15", "usr/lib/postgresql/15/bin/postgres"),
    ("redis", "7.0.15", "usr/bin/redis-server"),
    ("chromium", "any", "usr/lib/chromium/chromium"),
];

/// The tree that `scripts/debian.sh` unpacks.
pub fn debian(name: &str) -> TestResult<PathBuf> {
    let known = UNPACKED.iter().find(|(unpacked, ..)| *unpacked == name);
    let (_, version, program) = known.expect("the table has all that tests name");
    let found = binaries::built(&format!("{name}-{version}"), program);
    let tree = found.and_then(|path| {
        Some(
            path.ancestors()
                .nth(Path::new(program).components().count())?
                .to_owned(),
        )
    });
    match tree {
        Some(tree) => Ok(tree),
        None => skip(format!(
            "needs {name} {version}: scripts/debian.sh {name} unpacks it on Debian 12"
        )),
    }
}

/// Skips the test because of `reason`.
pub fn skip<T>(reason: impl Into<String>) -> TestResult<T> {
    Err(Stop::Skip(reason.into()))
}

fn succeeds(command: &mut Command) -> bool {
    let quiet = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}
