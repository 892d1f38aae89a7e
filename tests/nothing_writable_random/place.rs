//! The part of a runtime that makes a container's `/proc`, in the order of either runtime, for thousands of cases; and the way into a
//! container that a real one has made. Both end as the container's root, with its capabilities, and scan.
//!
//! Each runs in a process of its own: this program called again.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::{Gid, Uid, chdir, pivot_root, setgroups, setresgid, setresuid};
use rustix::fs::{StatVfsMountFlags, statvfs};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
use serde_json::{Value, json};

use super::scan::scan;

/// Uid and gid outside of a container's root in a user namespace.
const OUTSIDE: u32 = 100_000;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// What the program does where it was called for a part of a test; nothing where it was called for the tests.
pub fn called(arguments: &[String]) -> Option<Outcome> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    Some(match &words[..] {
        ["--place", bundle, order, hook @ ..] => outside(bundle, order, hook),
        ["--placed", bundle, order, hook @ ..] => inside(Path::new(bundle), order, hook),
        ["--enter", pid, bundle] => enter(pid, bundle),
        ["--entered", pid, bundle] => entered(pid, Path::new(bundle)),
        _ => return None,
    })
}

fn config(bundle: &Path) -> Outcome<Value> {
    Ok(serde_json::from_slice(&fs::read(bundle.join("config.json"))?)?)
}

fn texts<'a>(config: &'a Value, pointer: &str) -> Vec<&'a str> {
    let list = config.pointer(pointer).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).collect()
}

fn mounts(config: &Value) -> impl Iterator<Item = &Value> {
    config["mounts"].as_array().into_iter().flatten()
}

fn lists_user(config: &Value) -> bool {
    let mut namespaces = config["linux"]["namespaces"].as_array().into_iter().flatten();
    namespaces.any(|namespace| namespace["type"] == "user")
}

/// Makes the namespaces, and goes on in a child, which is the first process of the pid namespace.
fn outside(bundle: &str, order: &str, hook: &[&str]) -> Outcome {
    let all = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWPID;
    if lists_user(&config(Path::new(bundle))?) {
        let (user, group) = (Uid::from_raw(OUTSIDE), Gid::from_raw(OUTSIDE));
        setgroups(&[])?;
        setresgid(group, group, group)?;
        setresuid(user, user, user)?;
        // Without it the files in /proc/self are root's.
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::Dumpable)?;
        unshare(all | CloneFlags::CLONE_NEWUSER)?;
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", format!("0 {OUTSIDE} 1\n"))?;
        fs::write("/proc/self/gid_map", format!("0 {OUTSIDE} 1\n"))?;
    } else {
        unshare(all)?;
    }
    again(&[&["--placed", bundle, order], hook].concat())
}

/// Calls this program again, and ends as it does.
fn again(arguments: &[&str]) -> Outcome {
    let status = Command::new(std::env::current_exe()?).args(arguments).status()?;
    std::process::exit(status.code().unwrap_or(1))
}

/// As runc does it, or crun: before its createContainer hooks that one has protected and masked what it is to.
fn inside(bundle: &Path, order: &str, hook: &[&str]) -> Outcome {
    let config = config(bundle)?;
    let rootfs = bundle.join("rootfs");
    let recursive = MsFlags::MS_PRIVATE | MsFlags::MS_REC;
    mount(None::<&str>, "/", None::<&str>, recursive, None::<&str>)?;
    bind(&rootfs, &rootfs, true)?;
    bind(Path::new("/dev/null"), &rootfs.join("dev/null"), false)?;
    for entry in mounts(&config) {
        make(entry, &rootfs)?;
    }
    if order == "crun" {
        protect(&config, &rootfs)?;
    }
    if let [program, arguments @ ..] = hook {
        call(program, arguments, bundle, order)?;
    }
    chdir(&rootfs)?;
    pivot_root(".", ".")?;
    umount2(".", MntFlags::MNT_DETACH)?;
    chdir("/")?;
    if order != "crun" {
        protect(&config, Path::new("/"))?;
    }
    report(&config)
}

fn call(program: &str, arguments: &[&str], bundle: &Path, order: &str) -> Outcome {
    let pid = if order == "crun" { 0 } else { 1 };
    let state =
        json!({"ociVersion": "1.0.2", "id": "placed", "status": "creating", "pid": pid, "bundle": bundle});
    let mut hook = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    let mut input = hook.stdin.take().ok_or("no pipe")?;
    input.write_all(state.to_string().as_bytes())?;
    drop(input);
    match hook.wait()?.success() {
        true => Ok(()),
        false => Err("the hook refuses".into()),
    }
}

fn bind(source: &Path, target: &Path, recursive: bool) -> nix::Result<()> {
    let recursive = if recursive {
        MsFlags::MS_REC
    } else {
        MsFlags::empty()
    };
    mount(
        Some(source),
        target,
        None::<&str>,
        MsFlags::MS_BIND | recursive,
        None::<&str>,
    )
}

/// One of the configuration's mounts.
fn make(entry: &Value, rootfs: &Path) -> Outcome {
    let text = |name: &str| entry[name].as_str().unwrap_or_default();
    let target = below(rootfs, text("destination"));
    let options = texts(entry, "/options");
    let flag = |name: &str, flag: MsFlags| {
        if options.contains(&name) {
            flag
        } else {
            MsFlags::empty()
        }
    };
    let flags = flag("ro", MsFlags::MS_RDONLY)
        | flag("nosuid", MsFlags::MS_NOSUID)
        | flag("nodev", MsFlags::MS_NODEV)
        | flag("noexec", MsFlags::MS_NOEXEC);
    match text("type") {
        "bind" => {
            bind(Path::new(text("source")), &target, true)?;
            if flags.contains(MsFlags::MS_RDONLY) {
                read_only(&target)?;
            }
        }
        // Those of a mount, and not of its file system, as runtimes give them.
        kind @ ("proc" | "tmpfs") if target.starts_with(rootfs.join("proc")) || kind == "proc" => {
            mount(
                Some(kind),
                &target,
                Some(kind),
                flags & !MsFlags::MS_RDONLY,
                None::<&str>,
            )?;
            if kind == "tmpfs" {
                fs::write(target.join("own"), "own\n")?;
                fs::create_dir(target.join("folder"))?;
            }
            if flags.contains(MsFlags::MS_RDONLY) {
                read_only(&target)?;
            }
        }
        // Nothing of /proc.
        _ => {}
    }
    Ok(())
}

fn below(rootfs: &Path, path: &str) -> PathBuf {
    rootfs.join(path.trim_start_matches('/'))
}

fn read_only(target: &Path) -> io::Result<()> {
    let has = statvfs(target)?.f_flag;
    let mut flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    for (flag, own) in [
        (StatVfsMountFlags::NOSUID, MsFlags::MS_NOSUID),
        (StatVfsMountFlags::NODEV, MsFlags::MS_NODEV),
        (StatVfsMountFlags::NOEXEC, MsFlags::MS_NOEXEC),
        (StatVfsMountFlags::NOATIME, MsFlags::MS_NOATIME),
        (StatVfsMountFlags::NODIRATIME, MsFlags::MS_NODIRATIME),
        (StatVfsMountFlags::RELATIME, MsFlags::MS_RELATIME),
    ] {
        flags.set(own, has.contains(flag));
    }
    Ok(mount(None::<&str>, target, None::<&str>, flags, None::<&str>)?)
}

/// `readonlyPaths` and `maskedPaths`; what does not exist is passed over.
fn protect(config: &Value, root: &Path) -> Outcome {
    for path in texts(config, "/linux/readonlyPaths") {
        let path = below(root, path);
        if fs::metadata(&path).is_ok() {
            bind(&path, &path, true)?;
            read_only(&path)?;
        }
    }
    for path in texts(config, "/linux/maskedPaths") {
        let path = below(root, path);
        match fs::metadata(&path) {
            Ok(found) if found.is_dir() => {
                mount(
                    Some("tmpfs"),
                    &path,
                    Some("tmpfs"),
                    MsFlags::MS_RDONLY,
                    None::<&str>,
                )?;
            }
            Ok(_) => bind(&root.join("dev/null"), &path, false)?,
            Err(_) => {}
        }
    }
    Ok(())
}

/// Goes on in a child, which is in the container's pid namespace.
fn enter(pid: &str, bundle: &str) -> Outcome {
    setns(
        File::open(format!("/proc/{pid}/ns/pid"))?,
        CloneFlags::CLONE_NEWPID,
    )?;
    again(&["--entered", pid, bundle])
}

fn entered(pid: &str, bundle: &Path) -> Outcome {
    let config = config(bundle)?;
    let mut kinds = vec![
        ("net", CloneFlags::CLONE_NEWNET),
        ("ipc", CloneFlags::CLONE_NEWIPC),
        ("uts", CloneFlags::CLONE_NEWUTS),
        ("mnt", CloneFlags::CLONE_NEWNS),
    ];
    if lists_user(&config) {
        kinds.insert(0, ("user", CloneFlags::CLONE_NEWUSER));
    }
    let open = |(kind, flag)| Ok((File::open(format!("/proc/{pid}/ns/{kind}"))?, flag));
    let files: Vec<_> = kinds.into_iter().map(open).collect::<io::Result<_>>()?;
    for (file, flag) in files {
        setns(file, flag)?;
    }
    let _ = setgroups(&[]);
    let (user, group) = (Uid::from_raw(0), Gid::from_raw(0));
    setresgid(group, group, group)?;
    setresuid(user, user, user)?;
    report(&config)
}

/// Scans as the container's root, and prints what was seen.
fn report(config: &Value) -> Outcome {
    let roots = procfs(config);
    let read = [texts(config, "/linux/maskedPaths"), texts(config, "/read")].concat();
    let read: Vec<String> = read.into_iter().map(str::to_owned).collect();
    let mut capabilities = CapabilitySet::empty();
    for name in texts(config, "/process/capabilities/effective") {
        let known = CapabilitySet::from_name(name.trim_start_matches("CAP_"));
        capabilities |= known.ok_or_else(|| format!("capability {name} is unknown"))?;
    }
    let sets = CapabilitySets {
        effective: capabilities,
        permitted: capabilities,
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, sets)?;
    let text = scan(&roots, &read).to_string();
    io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// Where the container has a procfs, and whether it is one of its own.
fn procfs(config: &Value) -> Vec<(String, bool)> {
    let root = |entry: &Value| {
        let own = entry["type"] == "proc";
        let place = entry["destination"]
            .as_str()
            .filter(|_| own || entry["source"] == "/proc")?;
        Some((place.to_owned(), own))
    };
    mounts(config).filter_map(root).collect()
}
