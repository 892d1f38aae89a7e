//! A file system in user space that answers whatever an attacker likes: enough of FUSE for one folder with files in it.
//!
//! include/uapi/linux/fuse.h, version 7.31. Everything is written in the machine's byte order.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::path::Path;

use nix::mount::{MsFlags, mount};

/// Opcodes of requests.
const LOOKUP: u32 = 1;
const FORGET: u32 = 2;
const GETATTR: u32 = 3;
const OPEN: u32 = 14;
const READ: u32 = 15;
const RELEASE: u32 = 18;
const STATFS: u32 = 17;
const FLUSH: u32 = 25;
const INIT: u32 = 26;
const OPENDIR: u32 = 27;
const READDIR: u32 = 28;
const RELEASEDIR: u32 = 29;
const BATCH_FORGET: u32 = 42;

const ROOT: u64 = 1;
/// `struct fuse_in_header`.
const HEADER: usize = 40;

/// The names in every folder of it, and which of them are folders themselves.
const NAMES: &[&str] = &["kernel", "net", "fs", "ipv4", "file"];
const FOLDERS: &[&str] = &["kernel", "net", "fs", "ipv4"];

/// How it behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// As file systems do.
    Honest,
    /// It does not tell what file system it is.
    Mute,
    /// Its folders have no end.
    Endless,
}

/// Mounts it at `point` and serves it until it is unmounted. Files have the text `forged`.
///
/// # Errors
/// The errno with which the kernel refuses it.
pub fn serve(point: &Path, manner: Manner) -> io::Result<()> {
    let mut device = OpenOptions::new().read(true).write(true).open("/dev/fuse")?;
    let options = format!(
        "fd={},rootmode=40755,user_id=0,group_id=0,allow_other",
        device.as_raw_fd()
    );
    mount(
        Some("forged"),
        point,
        Some("fuse"),
        MsFlags::empty(),
        Some(&*options),
    )?;
    let mut buffer = vec![0; 1 << 18];
    loop {
        let length = match device.read(&mut buffer) {
            Ok(length) => length,
            // Unmounted.
            Err(error) if error.raw_os_error() == Some(nix::libc::ENODEV) => return Ok(()),
            Err(error) if error.raw_os_error() == Some(nix::libc::ENOENT) => continue,
            Err(error) => return Err(error),
        };
        answer(&mut device, manner, &buffer[..length])?;
    }
}

fn answer(device: &mut File, manner: Manner, request: &[u8]) -> io::Result<()> {
    let word = |at: usize| u32::from_ne_bytes(request[at..at + 4].try_into().unwrap_or_default());
    let long = |at: usize| u64::from_ne_bytes(request[at..at + 8].try_into().unwrap_or_default());
    let (opcode, unique, node) = (word(4), long(8), long(16));
    let body = match opcode {
        FORGET | BATCH_FORGET => return Ok(()),
        INIT => Ok(init()),
        LOOKUP => {
            let name = request[HEADER..]
                .split(|byte| *byte == 0)
                .next()
                .unwrap_or_default();
            let known = NAMES.iter().position(|known| known.as_bytes() == name);
            known.map(|at| entry(child(node, at))).ok_or(nix::libc::ENOENT)
        }
        GETATTR => Ok([valid_for().to_vec(), vec![0; 8], attributes(node)].concat()),
        OPEN | OPENDIR => Ok(vec![0; 16]),
        // The first reading has everything.
        READ if long(HEADER + 8) == 0 => Ok(b"forged\n".to_vec()),
        READDIR if manner == Manner::Endless => Ok(more(long(HEADER + 8), word(HEADER + 16))),
        READDIR if long(HEADER + 8) == 0 => Ok(listing(node)),
        STATFS if manner != Manner::Mute => Ok(vec![0; 80]),
        READ | READDIR | RELEASE | RELEASEDIR | FLUSH => Ok(Vec::new()),
        _ => Err(nix::libc::ENOSYS),
    };
    let (error, body) = match body {
        Ok(body) => (0, body),
        Err(errno) => (-errno, Vec::new()),
    };
    let length = u32::try_from(16 + body.len()).map_err(io::Error::other)?;
    let head = [
        &length.to_ne_bytes()[..],
        &error.to_ne_bytes(),
        &unique.to_ne_bytes(),
    ]
    .concat();
    match device.write(&[head, body].concat()) {
        // Who asked has been killed.
        Err(error) if error.raw_os_error() == Some(nix::libc::ENOENT) => Ok(()),
        other => other.map(drop),
    }
}

/// `struct fuse_init_out`.
fn init() -> Vec<u8> {
    let mut out = Vec::new();
    for word in [7u32, 31, 1 << 16, 0] {
        out.extend(word.to_ne_bytes());
    }
    out.extend([0; 4]);
    out.extend((1u32 << 16).to_ne_bytes());
    out.resize(64, 0);
    out
}

/// Nothing is kept by the kernel: it asks each time.
fn valid_for() -> [u8; 8] {
    [0; 8]
}

/// The number of the entry of that place in [`NAMES`] in the folder `node`. A folder may not be in two.
fn child(node: u64, at: usize) -> u64 {
    node.wrapping_mul(16).wrapping_add(at as u64)
}

fn is_folder(node: u64) -> bool {
    let name = NAMES.get((node % 16) as usize);
    node == ROOT || name.is_some_and(|name| FOLDERS.contains(name))
}

/// `struct fuse_attr`.
fn attributes(node: u64) -> Vec<u8> {
    let (mode, size) = if is_folder(node) {
        (0o40755u32, 0u64)
    } else {
        (0o100644, 7)
    };
    let mut out = Vec::new();
    for long in [node, size, 0, 0, 0, 0] {
        out.extend(long.to_ne_bytes());
    }
    for word in [0, 0, 0, mode, 1, 0, 0, 0, 4096, 0] {
        out.extend(word.to_ne_bytes());
    }
    out
}

/// `struct fuse_entry_out`.
fn entry(node: u64) -> Vec<u8> {
    let mut out = Vec::new();
    for long in [node, 0, 0, 0] {
        out.extend(long.to_ne_bytes());
    }
    out.extend([0; 8]);
    out.extend(attributes(node));
    out
}

/// The entries of a folder, one `struct fuse_dirent` each.
fn listing(folder: u64) -> Vec<u8> {
    let named = NAMES.iter().enumerate();
    let mut out = Vec::new();
    for (at, name) in named {
        push_entry(&mut out, child(folder, at), at as u64 + 1, name);
    }
    out
}

/// As many entries from the one numbered `from` on as there is room for.
fn more(from: u64, room: u32) -> Vec<u8> {
    let mut out = Vec::new();
    for number in from.. {
        let length = out.len();
        push_entry(
            &mut out,
            2 + NAMES.len() as u64,
            number + 1,
            &format!("entry{number}"),
        );
        if out.len() > room as usize {
            out.truncate(length);
            break;
        }
    }
    out
}

fn push_entry(out: &mut Vec<u8>, node: u64, next: u64, name: &str) {
    let kind: u32 = if is_folder(node) { 4 } else { 8 };
    out.extend(node.to_ne_bytes());
    out.extend(next.to_ne_bytes());
    out.extend((name.len() as u32).to_ne_bytes());
    out.extend(kind.to_ne_bytes());
    out.extend(name.as_bytes());
    out.resize(out.len().next_multiple_of(8), 0);
}
