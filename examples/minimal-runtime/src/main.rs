//! A container runtime as small as can be, to show where procemu goes in one: `minimal-runtime run BUNDLE`.
//!
//! `keys.rs` is what it does with procemu; `container.rs` calls that between mounting `/proc` and pivot_root(2). It has no cgroups, devices,
//! seccomp filter, user namespaces, hooks or terminals: it is no runtime to be used.

mod config;
mod container;
mod keys;
mod mounts;

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use nix::sched::{CloneFlags, unshare};

/// Whatever goes wrong ends the container with a line.
pub type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let args: Vec<OsString> = env::args_os().skip(1).collect();
    let outcome = match args.as_slice() {
        [verb, bundle] if verb == "run" => run(Path::new(bundle)),
        [verb, bundle] if verb == "init" => container::init(Path::new(bundle)).map(|never| match never {}),
        _ => Err("usage: minimal-runtime run BUNDLE".into()),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("minimal-runtime: {error}");
        ExitCode::FAILURE
    })
}

/// Ends as the container's process does.
fn run(bundle: &Path) -> Outcome<ExitCode> {
    let ids = CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS;
    let all = ids | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET;
    unshare(all).map_err(|e| format!("unshare: {e}"))?;
    // A new pid namespace holds for the children, and its first one is its init.
    let status = Command::new("/proc/self/exe").arg("init").arg(bundle).status()?;
    let code = status.code().or(status.signal().map(|signal| 128 + signal));
    Ok(ExitCode::from(u8::try_from(code.unwrap_or(1)).unwrap_or(1)))
}
