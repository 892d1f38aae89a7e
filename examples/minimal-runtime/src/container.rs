//! The container's first process: from new namespaces to its program.

use std::convert::Infallible;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use caps::CapSet;
use nix::unistd::{chdir, fchdir, pivot_root, sethostname};
use procemu::Root;
use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_bind_recursive, mount_change, unmount};

use crate::config::{Config, Process};
use crate::{Outcome, keys, mounts};

/// Becomes the program of the bundle. Called in the new namespaces, as the first process of the pid namespace.
pub fn init(bundle: &Path) -> Outcome<Infallible> {
    // What is in a container can be reached from there through /proc/<pid>/exe, to be written to later (CVE-2019-5736).
    procemu::reexec_sealed(None)?;
    let config = Config::read(bundle)?;
    let host = Root::procfs("/proc")?;
    let shown = bundle.join(&config.root.path).canonicalize()?;
    // Nothing of ours reaches the host.
    mount_change(
        "/",
        MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC,
    )?;
    mount_bind_recursive(&shown, &shown).map_err(|e| format!("bind {}: {e}", shown.display()))?;
    let rootfs = File::open(&shown)?;
    mounts::all(&rootfs, &config.mounts)?;
    sethostname(&config.hostname)?;

    // /proc is mounted, and nothing in it is read-only or hidden yet.
    keys::prepare(&rootfs, &shown, &config.linux, &host)?.keep();

    for path in config.linux.masked_paths.iter().flatten() {
        mounts::mask(&rootfs, Path::new(path))?;
    }
    for path in config.linux.readonly_paths.iter().flatten() {
        mounts::read_only(&rootfs, Path::new(path))?;
    }
    fchdir(&rootfs)?;
    pivot_root(".", ".").map_err(|e| format!("pivot_root: {e}"))?;
    unmount(".", UnmountFlags::DETACH).map_err(|e| format!("umount of the old root: {e}"))?;
    chdir(&config.process.cwd).map_err(|e| format!("chdir {}: {e}", config.process.cwd.display()))?;
    become_program(&config.process)
}

fn become_program(process: &Process) -> Outcome<Infallible> {
    let kept = process
        .capabilities
        .get("bounding")
        .map_or(&[][..], Vec::as_slice);
    for capability in caps::runtime::procfs_all_supported(None)? {
        if !kept.contains(&capability.to_string()) {
            caps::drop(None, CapSet::Bounding, capability)?;
        }
    }
    rustix::thread::set_no_new_privs(true)?;
    let (program, args) = process.args.split_first().ok_or("process.args is empty")?;
    let env = process.env.iter().filter_map(|variable| variable.split_once('='));
    let error = Command::new(program).args(args).env_clear().envs(env).exec();
    Err(format!("exec {program}: {error}").into())
}
