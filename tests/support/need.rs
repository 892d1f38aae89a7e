//! What a test cannot do without; where it is missing, the test is skipped and says so.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Stop, TestResult};

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
