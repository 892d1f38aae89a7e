//! The mounts on and below a few, without those of the rest of the namespace.
//!
//! A node has two mounts or more for each of its containers, and a hook runs where all of them still are: mountinfo is as long then, and
//! takes milliseconds. listmount(2) and statmount(2), Linux 6.8, tell of one tree.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use rustix::fs::{AtFlags, StatxFlags, statx};
use rustix::io::Errno;

use crate::error::Result;
use crate::mountinfo::{self, Mount};
use crate::sys;

/// The mounts that `handles` lie on and all below those, as mountinfo has them; where the kernel tells of no tree alone, all of the
/// namespace.
///
/// # Errors
/// `System` where mountinfo cannot be read.
pub(crate) fn of<'a>(handles: impl IntoIterator<Item = BorrowedFd<'a>>) -> Result<Vec<Mount>> {
    listed(handles).or_else(|_| mountinfo::read())
}

fn listed<'a>(handles: impl IntoIterator<Item = BorrowedFd<'a>>) -> io::Result<Vec<Mount>> {
    let tops = handles.into_iter().map(unique_id);
    let tops: Vec<u64> = tops.collect::<io::Result<_>>()?;
    let mut ids = tops.clone();
    for top in &tops {
        below(*top, &mut ids)?;
    }
    // The order of mountinfo.
    ids.sort_unstable();
    ids.dedup();
    let mut buffer = vec![0; 1 << 12];
    let mut mounts = Vec::with_capacity(ids.len());
    for id in ids {
        match described(id, &mut buffer) {
            Ok(mount) => mounts.extend(mount),
            // It was there a moment ago. One that somebody has a handle on cannot have gone.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !tops.contains(&id) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(mounts)
}

/// `STATX_MNT_ID_UNIQUE` of linux/stat.h: an id that no other mount will have, by which those two calls know a mount.
const UNIQUE: StatxFlags = StatxFlags::from_bits_retain(0x4000);

fn unique_id(at: impl AsFd) -> io::Result<u64> {
    let found = statx(at, "", AtFlags::EMPTY_PATH, UNIQUE)?;
    match found.stx_mask & UNIQUE.bits() {
        0 => Err(Errno::NOSYS.into()),
        _ => Ok(found.stx_mnt_id),
    }
}

/// Adds the ids of all mounts below `top`.
fn below(top: u64, ids: &mut Vec<u64>) -> io::Result<()> {
    let mut page = [0; 128];
    let mut last = 0;
    loop {
        let found = sys::listmount(top, last, &mut page)?;
        ids.extend(&page[..found]);
        match page[..found].last() {
            Some(id) if found == page.len() => last = *id,
            _ => return Ok(()),
        }
    }
}

/// What is asked about a mount: `STATMOUNT_MNT_BASIC`, `_MNT_ROOT`, `_MNT_POINT` and `_FS_TYPE` of linux/mount.h.
const ASKED: u64 = 0x2 | 0x8 | 0x10 | 0x20;

/// The mount `id`; `None` for one that is out of sight, as mountinfo leaves it out.
fn described(id: u64, buffer: &mut Vec<u8>) -> io::Result<Option<Mount>> {
    loop {
        match sys::statmount(id, ASKED, buffer) {
            // Paths of any length.
            Err(error) if error.raw_os_error() == Some(libc::EOVERFLOW) && buffer.len() < 1 << 20 => {
                buffer.resize(buffer.len() * 4, 0);
            }
            other => {
                other?;
                return Ok(parse(buffer));
            }
        }
    }
}

/// Reads a `struct statmount` (linux/mount.h).
fn parse(found: &[u8]) -> Option<Mount> {
    let number = |at: usize| Some(u64::from_ne_bytes(found.get(at..at + 8)?.try_into().ok()?));
    let short = |at: usize| Some(u32::from_ne_bytes(found.get(at..at + 4)?.try_into().ok()?));
    let text = |at: usize| {
        let begin = 512_usize.checked_add(usize::try_from(short(at)?).ok()?)?;
        let rest = found.get(begin..)?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        Some(OsString::from_vec(rest[..end].to_vec()))
    };
    let point = text(108).filter(|point| !point.is_empty());
    if number(8)? & ASKED != ASKED {
        return None;
    }
    Some(Mount {
        id: short(56)?.into(),
        parent: short(60)?.into(),
        root: text(104).map(PathBuf::from)?,
        point: point.map(PathBuf::from)?,
        options: options(number(64)?),
        shared: number(72)? & libc::MS_SHARED != 0,
        fs: text(36)?.into_string().ok()?,
    })
}

/// `MOUNT_ATTR_*` in mountinfo's words (`show_mnt_opts` in the kernel's fs/proc_namespace.c).
fn options(attributes: u64) -> String {
    const ATIME: u64 = 0x70;
    let has = |flag: u64| attributes & flag != 0;
    let words = [
        ("ro", has(libc::MOUNT_ATTR_RDONLY)),
        ("rw", !has(libc::MOUNT_ATTR_RDONLY)),
        ("nosuid", has(libc::MOUNT_ATTR_NOSUID)),
        ("nodev", has(libc::MOUNT_ATTR_NODEV)),
        ("noexec", has(libc::MOUNT_ATTR_NOEXEC)),
        ("noatime", attributes & ATIME == libc::MOUNT_ATTR_NOATIME),
        ("nodiratime", has(libc::MOUNT_ATTR_NODIRATIME)),
        ("relatime", attributes & ATIME == libc::MOUNT_ATTR_RELATIME),
        ("nosymfollow", has(libc::MOUNT_ATTR_NOSYMFOLLOW)),
        ("idmapped", has(libc::MOUNT_ATTR_IDMAP)),
    ];
    let given = words
        .into_iter()
        .filter_map(|(word, given)| given.then_some(word));
    given.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::ask_child;
    use crate::mount::{make_private, make_shared, make_slave};
    use nix::mount::{MsFlags, mount};
    use nix::sched::{CloneFlags, unshare};
    use std::fs::{self, File};
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    /// Mounts of all kinds on `top`, and one beside it.
    fn prepare(top: &Path) -> Result<File, Box<dyn std::error::Error>> {
        unshare(CloneFlags::CLONE_NEWNS)?;
        make_private(&File::open("/")?)?;
        let on = |at: &Path, kind: &str, flags| -> io::Result<File> {
            fs::create_dir_all(at)?;
            mount(Some("x"), at, Some(kind), flags, None::<&str>)?;
            File::open(at)
        };
        let strange = |name: &[u8]| top.join(std::ffi::OsStr::from_bytes(name));
        let root = on(top, "tmpfs", MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC)?;
        on(&top.with_extension("beside"), "tmpfs", MsFlags::empty())?;
        make_shared(&on(&strange(b"a b\\040\n\t"), "proc", MsFlags::MS_RDONLY)?)?;
        make_slave(&on(
            &strange(b"\xff\xc3"),
            "tmpfs",
            MsFlags::MS_NOATIME | MsFlags::MS_NODEV,
        )?)?;
        on(&top.join("c"), "tmpfs", MsFlags::MS_STRICTATIME)?;
        for number in 0..150 {
            let at = top.join("c").join(number.to_string());
            fs::create_dir(&at)?;
            let from = strange(b"a b\\040\n\t").join("sys/kernel");
            mount(Some(&from), &at, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
        }
        // Longer than any buffer to begin with.
        let mut deep = top.join("d");
        for _ in 0..20 {
            deep.push("d".repeat(200));
            let parent = deep.parent().ok_or("no parent")?.to_owned();
            fs::create_dir_all(&parent)?;
            std::env::set_current_dir(&parent)?;
            fs::create_dir(deep.file_name().ok_or("no name")?)?;
            if deep.as_os_str().len() > 3600 {
                break;
            }
        }
        on(&deep, "tmpfs", MsFlags::empty())?;
        Ok(root)
    }

    #[test]
    fn a_tree_is_what_mountinfo_has_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let answer = ask_child(|| {
            let outcome = prepare(&folder.path().join("top")).and_then(|top| {
                let all = mountinfo::read()?;
                let id = crate::mount::id(&top)?;
                let expected: Vec<Mount> = mountinfo::tree(&all, id).into_iter().cloned().collect();
                let found = match listed([top.as_fd(), top.as_fd()]) {
                    Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => return Ok(Some(error)),
                    found => found?,
                };
                match found == expected && found.len() == 155 && all.len() > 156 {
                    true => Ok(None),
                    false => Err(format!("{found:#?}\nis not\n{expected:#?}").into()),
                }
            });
            match outcome {
                Ok(None) => Vec::new(),
                Ok(Some(skip)) => format!("skipped: needs Linux 6.8 ({skip})").into(),
                Err(error) if nix::unistd::geteuid().is_root() => format!("failed: {error}").into(),
                Err(error) => format!("skipped: needs root, to mount ({error})").into(),
            }
        });
        let answer = String::from_utf8(answer.unwrap()).unwrap();
        assert!(!answer.starts_with("failed"), "{answer}");
        eprintln!("{answer}");
    }
}
