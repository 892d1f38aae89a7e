//! Which key a path or a descriptor of another process means.

use std::fs;
use std::io::IoSliceMut;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::libc;
use nix::sys::statfs::{FsType, PROC_SUPER_MAGIC, statfs};
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;
use procemu::SysctlKey;

/// `SYSFS_MAGIC` in linux/magic.h.
const SYSFS: FsType = FsType(0x6265_6572);

/// Reading goes in steps that do not cross a page's end: the next page may not be there.
const PAGE: u64 = 4096;

/// The key that the path at `address` means in process `pid`.
pub fn key_at(pid: Pid, folder: i32, address: u64) -> Option<SysctlKey> {
    let path = text_at(pid, address)?;
    let whole = if path.starts_with('/') {
        path
    } else {
        let base = match folder {
            libc::AT_FDCWD => format!("/proc/{pid}/cwd"),
            folder => format!("/proc/{pid}/fd/{folder}"),
        };
        format!("{}/{path}", shown(Path::new(&base))?)
    };
    key_of(&plain(&whole))
}

/// The key that process `pid` has open as `file`.
pub fn key_open(pid: Pid, file: i32) -> Option<SysctlKey> {
    key_of(&shown(Path::new(&format!("/proc/{pid}/fd/{file}")))?)
}

/// A relative one would be taken for a sysctl's name.
fn key_of(path: &str) -> Option<SysctlKey> {
    path.starts_with('/').then(|| path.parse().ok())?
}

/// Where the file behind this link of `/proc` lies, with `/proc` and `/sys` where they belong.
fn shown(link: &Path) -> Option<String> {
    let target = fs::read_link(link).ok()?;
    let target = String::from_utf8_lossy(target.as_os_str().as_bytes()).into_owned();
    let target = target.strip_prefix("(unreachable)").unwrap_or(&target);
    let kind = statfs(link).ok().map(|fs| fs.filesystem_type());
    Some(match kind {
        Some(PROC_SUPER_MAGIC) => within(target, "proc"),
        Some(SYSFS) => within(target, "sys"),
        // An overmount: in this mount namespace, or below a root filesystem.
        _ => match target.rfind("/proc/sys") {
            Some(at) => target[at..].to_owned(),
            None => target.to_owned(),
        },
    })
}

/// A path in a file system that is mounted at a folder of this name, from there on; one that is mounted nowhere shows paths that
/// begin at its own root.
fn within(path: &str, name: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let below = match parts.iter().rposition(|part| *part == name) {
        // `/sys/net` of a procfs that is mounted nowhere has no such part.
        Some(at) => &parts[at + 1..],
        None => &parts[..],
    };
    format!("/{name}/{}", below.join("/"))
        .trim_end_matches('/')
        .to_owned()
}

/// Without `.`, `..` and empty parts.
fn plain(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

fn text_at(pid: Pid, address: u64) -> Option<String> {
    let mut bytes = Vec::new();
    let mut at = address;
    // PATH_MAX, as the kernel has it.
    while bytes.len() < 4096 {
        let mut part = vec![0; usize::try_from(PAGE - at % PAGE).ok()?];
        let remote = RemoteIoVec {
            base: usize::try_from(at).ok()?,
            len: part.len(),
        };
        let count = process_vm_readv(pid, &mut [IoSliceMut::new(&mut part)], &[remote]).ok()?;
        let part = part.get(..count).filter(|part| !part.is_empty())?;
        if let Some(end) = part.iter().position(|byte| *byte == 0) {
            bytes.extend_from_slice(&part[..end]);
            return String::from_utf8(bytes).ok();
        }
        bytes.extend_from_slice(part);
        at = at.checked_add(count as u64)?;
    }
    None
}

/// The eight bytes at `address`.
pub fn word_at(pid: Pid, address: u64) -> Option<u64> {
    let mut bytes = [0; 8];
    let remote = RemoteIoVec {
        base: usize::try_from(address).ok()?,
        len: bytes.len(),
    };
    let count = process_vm_readv(pid, &mut [IoSliceMut::new(&mut bytes)], &[remote]).ok()?;
    (count == bytes.len()).then(|| u64::from_ne_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_from_the_mountpoint_on() {
        for (path, name, expected) in [
            ("/proc/sys/net", "proc", "/proc/sys/net"),
            ("/tmp/proc/rootfs/proc/sys/net", "proc", "/proc/sys/net"),
            // Mounted nowhere.
            ("/sys/net/ipv4", "proc", "/proc/sys/net/ipv4"),
            ("/", "proc", "/proc"),
            ("/rootfs/sys/module", "sys", "/sys/module"),
            ("/module", "sys", "/sys/module"),
        ] {
            assert_eq!(within(path, name), expected, "{path}");
        }
        assert_eq!(plain("/proc/./sys//net/../kernel/x"), "/proc/sys/kernel/x");
        assert_eq!(plain("/../.."), "/");
    }

    #[test]
    fn own_memory_and_descriptors_are_read() {
        let path = c"/proc/./sys/kernel/panic";
        let me = Pid::this();
        let key: SysctlKey = "kernel/panic".parse().unwrap();
        let at = path.as_ptr() as u64;
        assert_eq!(key_at(me, libc::AT_FDCWD, at), Some(key));
        assert_eq!(key_at(me, libc::AT_FDCWD, 8), None);
        let word = 0x1234_5678_9abc_def0_u64;
        assert_eq!(word_at(me, (&raw const word) as u64), Some(word));
        assert_eq!(word_at(me, 8), None);
        use std::os::fd::AsRawFd;
        let folder = fs::File::open("/proc/sys/kernel").unwrap();
        let made_up = c"made_up";
        let found = key_at(me, folder.as_raw_fd(), made_up.as_ptr() as u64);
        assert_eq!(found, Some("kernel/made_up".parse().unwrap()));
        // What belongs to one process is no key.
        assert_eq!(
            key_at(me, libc::AT_FDCWD, c"/proc/self/made_up".as_ptr() as u64),
            None
        );
        assert_eq!(key_at(me, libc::AT_FDCWD, c"/etc/made_up".as_ptr() as u64), None);
    }
}
