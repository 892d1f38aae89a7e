//! One line of `/proc/<pid>/mountinfo` (proc_pid_mountinfo(5)), and which of them are ours.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// A mount as the kernel lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Mount id, unique while the mount lives.
    pub id: u64,
    /// Id of the mount that it is mounted on.
    pub parent: u64,
    /// Which folder or file of its file system it shows.
    pub root: PathBuf,
    /// Where it is mounted, relative to the process's root.
    pub point: PathBuf,
    /// Per-mount options, such as `ro` and `nosuid`.
    pub options: String,
    /// Whether it is in a peer group, to which mounts made on it propagate.
    pub shared: bool,
    /// File system type.
    pub fs: String,
}

impl Mount {
    /// The number of the layer that an attach made this mount for; none where it is somebody else's. The root tells: it
    /// begins with the layer's name. gVisor shows no source.
    pub fn layer(&self) -> Option<u64> {
        let mut components = self.root.components().skip(1);
        let name = components.next()?.as_os_str().to_str()?;
        // An overlayfs shields the tmpfs where that is needed, with the same root.
        matches!(&*self.fs, "tmpfs" | "overlay")
            .then(|| crate::layer::number(name))
            .flatten()
    }

    /// Whether the per-mount option `name` is set.
    pub fn has(&self, name: &str) -> bool {
        self.options.split(',').any(|option| option == name)
    }
}

/// The mounts of the calling process's namespace.
pub(crate) fn read() -> Result<Vec<Mount>> {
    use std::io::Read;
    // The file has no length to go by: with room, a reading takes one call and not one for every few lines.
    let mut text = Vec::with_capacity(1 << 16);
    let file = std::fs::File::open("/proc/self/mountinfo");
    file.and_then(|mut file| file.read_to_end(&mut text))
        .map_err(|e| Error::call("read(/proc/self/mountinfo)", e))?;
    Ok(parse(text))
}

/// Reads a whole mountinfo file; lines that don't have its form are passed over.
pub(crate) fn parse(text: impl Into<Vec<u8>>) -> Vec<Mount> {
    let text = String::from_utf8(text.into()).unwrap_or_else(|error| escape(error.as_bytes()));
    text.lines().filter_map(line).collect()
}

/// Writes what is no ASCII as the kernel does other bytes. A path may have any, and anybody may mount something on it.
fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 64);
    for byte in bytes {
        match byte.is_ascii() {
            true => text.push(char::from(*byte)),
            false => text.push_str(&format!("\\{byte:o}")),
        }
    }
    text
}

fn line(line: &str) -> Option<Mount> {
    let (before, after) = line.split_once(" - ")?;
    let mut fields = before.split(' ');
    let id = fields.next()?.parse().ok()?;
    let parent = fields.next()?.parse().ok()?;
    let _device = fields.next()?;
    let root = unescape(fields.next()?);
    let point = unescape(fields.next()?);
    let options = fields.next()?.to_owned();
    let shared = fields.any(|field| field.starts_with("shared:"));
    let fs = after.split(' ').next()?.to_owned();
    Some(Mount {
        id,
        parent,
        root,
        point,
        options,
        shared,
        fs,
    })
}

/// The kernel writes space, tab, newline and backslash as three octal digits.
fn unescape(text: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    // A node with many containers has thousands of mounts, and next to none of these.
    if !text.contains('\\') {
        return PathBuf::from(text);
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = (bytes[at] == b'\\').then(|| bytes.get(at + 1..at + 4)).flatten();
        let code = code.and_then(|c| u8::from_str_radix(std::str::from_utf8(c).ok()?, 8).ok());
        match code {
            Some(byte) => {
                out.push(byte);
                at += 4;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    PathBuf::from(std::ffi::OsString::from_vec(out))
}

/// Whether something mounted below `proc`, a file system of type `kind`, may be there to hide or protect, so that a clone
/// without it would show or allow more than `proc` does: a mask, a read-only bind, a foreign file system. Folders filled by
/// a writable tmpfs (an overmount) and the file system's own empty mountpoints are not.
pub(crate) fn hides(mounts: &[Mount], proc: &Path, kind: &str) -> bool {
    let read_only = mounts
        .iter()
        .rev()
        .find(|m| m.point == proc)
        .is_some_and(|m| m.has("ro"));
    mounts
        .iter()
        .filter(|m| m.point != proc && m.point.starts_with(proc))
        // The mountpoint of cgroups, with whatever is there.
        .filter(|m| kind == "proc" || !m.point.starts_with(proc.join("fs/cgroup")))
        .any(|mount| match mount.fs.as_str() {
            own if own == kind => (mount.has("ro") && !read_only) || is_another_file(mount, proc),
            "tmpfs" => is_mask(mount) || is_filled_by_none(mount, mounts, kind),
            "autofs" | "binfmt_misc" | "nfsd" => false,
            "bpf" | "configfs" | "debugfs" | "efivarfs" | "fusectl" | "pstore" | "securityfs"
            | "selinuxfs" | "tracefs" => false,
            _ => mount.layer().is_none(),
        })
}

/// Whether a mount of the file system itself shows something else than what it covers. Its root (a spare) covers an empty folder.
fn is_another_file(mount: &Mount, proc: &Path) -> bool {
    mount.root != Path::new("/") && mount.point.strip_prefix(proc).ok() != mount.root.strip_prefix("/").ok()
}

/// Whether a tmpfs of somebody else's has nothing of `kind` on it: an overmount has originals bound back.
fn is_filled_by_none(tmpfs: &Mount, mounts: &[Mount], kind: &str) -> bool {
    tmpfs.layer().is_none() && !mounts.iter().any(|m| m.parent == tmpfs.id && m.fs == kind)
}

/// What lies on what, of a whole mountinfo.
pub(crate) struct Parents(BTreeMap<u64, u64>);

impl Parents {
    pub fn of(mounts: &[Mount]) -> Self {
        Self(mounts.iter().map(|m| (m.id, m.parent)).collect())
    }

    /// The mount with that id, its parent, and so on. No more than there are: numbers are given again, so a table that was read in parts
    /// while mounts came and went may lead in a circle.
    pub fn ancestors(&self, id: u64) -> impl Iterator<Item = u64> {
        // The topmost mount's parent is not in the table, or is itself.
        let parent = |at: &u64| self.0.get(at).copied().filter(|parent| parent != at);
        std::iter::successors(Some(id), parent).take(self.0.len() + 1)
    }
}

/// The mount `top` and all below it, by what lies on what: a path may have come to mean something else while the file was read.
pub(crate) fn tree(mounts: &[Mount], top: u64) -> Vec<&Mount> {
    let parents = Parents::of(mounts);
    let is_below = |mount: &&Mount| parents.ancestors(mount.id).any(|at| at == top);
    mounts.iter().filter(is_below).collect()
}

/// The mount that `path` lies on: the innermost mountpoint on the way to it, and there the mount on which no other lies.
pub(crate) fn carrier<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    let above = mounts.iter().filter(|m| path.starts_with(&m.point));
    let innermost = &above.max_by_key(|m| m.point.components().count())?.point;
    let mut there = mounts.iter().filter(|m| m.point == *innermost);
    there.find(|m| {
        !mounts
            .iter()
            .any(|o| o.parent == m.id && o.id != m.id && o.point == *innermost)
    })
}

/// The masks below `proc`, relative to it, as container runtimes make them: `/dev/null` over a file, an empty
/// read-only tmpfs over a folder. One with mounts on it, as `/sys/fs/cgroup` is, is there for those.
pub(crate) fn masks(mounts: &[Mount], proc: &Path) -> Vec<String> {
    let carries = |tmpfs: &Mount| mounts.iter().any(|m| m.parent == tmpfs.id);
    let below = mounts.iter().filter(|m| m.point != proc && is_mask(m));
    below
        .filter(|m| !carries(m))
        .filter_map(|m| Some(m.point.strip_prefix(proc).ok()?.to_str()?.to_owned()))
        .collect()
}

fn is_mask(mount: &Mount) -> bool {
    match mount.fs.as_str() {
        "tmpfs" => (mount.has("ro") || mount.root == Path::new("/null")) && mount.layer().is_none(),
        "devtmpfs" => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "22 20 0:21 / /proc rw,nosuid shared:5 - proc proc rw\n\
        90 22 0:40 /procemu:1/sys/kernel /proc/sys/kernel ro,nosuid - tmpfs none rw,size=8k\n\
        91 22 0:5 /null /proc/key\\040s rw master:3 - devtmpfs devtmpfs rw\n\
        nonsense\n";

    #[test]
    fn reads_lines_and_passes_over_others() {
        let mounts = parse(TEXT);
        assert_eq!(mounts.len(), 3);
        assert!(mounts[0].shared && !mounts[1].shared && !mounts[2].shared);
        assert_eq!(mounts[2].point, Path::new("/proc/key s"));
        assert!(mounts[1].has("ro") && !mounts[0].has("ro"));
    }

    #[test]
    fn a_tree_is_told_by_parents_which_may_go_in_a_circle() {
        let text = "22 20 0:21 / /proc rw - proc proc rw\n90 22 0:40 / /renamed rw - tmpfs none rw\n\
            91 90 0:41 / /renamed/a rw - tmpfs none rw\n92 93 0:42 / /b rw - tmpfs none rw\n\
            93 92 0:43 / /c rw - tmpfs none rw\n94 94 0:44 / / rw - tmpfs none rw\n";
        let mounts = parse(text);
        let ids = |top| tree(&mounts, top).iter().map(|m| m.id).collect::<Vec<_>>();
        assert_eq!(ids(22), [22, 90, 91]);
        assert_eq!(ids(93), [92, 93]);
        assert_eq!(ids(94), [94]);
        assert_eq!(ids(7), [0; 0]);
    }

    #[test]
    fn a_path_may_have_any_bytes() {
        use std::os::unix::ffi::OsStrExt;
        let text = [TEXT.as_bytes(), b"92 22 0:41 / /m\xfc\\040 rw - tmpfs none rw\n"].concat();
        let mounts = parse(text);
        assert_eq!(mounts[..3], parse(TEXT));
        assert_eq!(mounts[3].point.as_os_str().as_bytes(), b"/m\xfc ");
    }

    #[test]
    fn the_root_names_the_layer() {
        let layer = |root: &str, fs: &str| {
            let line = format!("1 2 0:3 {root} /proc/sys ro - {fs} procemu:9 rw");
            parse(line)[0].layer()
        };
        assert_eq!(layer("/procemu:12/sys", "tmpfs"), Some(12));
        assert_eq!(layer("/procemu:12/sys", "overlay"), Some(12));
        for root in [
            "/",
            "/sys",
            "/sys/procemu:1",
            "/procemu:",
            "/procemu:x/sys",
            "/xprocemu:1/sys",
        ] {
            assert_eq!(layer(root, "tmpfs"), None, "{root}");
        }
        assert_eq!(layer("/procemu:12/sys", "ext4"), None);
    }

    #[test]
    fn a_device_over_a_file_is_a_mask_and_an_overmount_is_not() {
        let mounts = parse(TEXT);
        let proc = Path::new("/proc");
        assert!(hides(&mounts, proc, "proc"));
        assert!(!hides(&mounts[..2], proc, "proc"));
        assert_eq!(masks(&mounts, proc), ["key s"]);
    }
}
