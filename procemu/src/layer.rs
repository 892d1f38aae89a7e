//! Layers: what one attach put over a procfs or a sysfs, found again later by the root that its mounts show.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::cut_off::cut_off;
use crate::error::{Error, Result};
use crate::key::SysctlKey;
use crate::mount::{self, remount_read_only, take_off};
use crate::mount_tree;
use crate::mountinfo::{self, Mount, Parents};
use crate::root::Root;
use crate::{spare, sys};

/// Every layer's name begins with it; the layer's number follows.
pub(crate) const PREFIX: &str = "procemu:";

/// What one attach put over a procfs, or over a sysfs. The two parts of an attach to both have one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Its name, the source of its mounts, such as `procemu:1`.
    pub source: String,
    /// Its mounts that lie directly on what was there before: paths relative to its root, and mount ids.
    pub mounts: Vec<(String, u64)>,
}

/// The layers over `root` in this mount namespace, the first attached first.
///
/// # Errors
/// `System` where mountinfo cannot be read.
pub fn layers(root: &Root) -> Result<Vec<Layer>> {
    let mounts = mount_tree::of([root.handle()])?;
    Ok(group(&mounts, &root.mountpoint_in(&mounts)?))
}

/// Which layer gives a reader each of `keys`; those that are the kernel's own, or of somebody else's mount, have none.
///
/// # Errors
/// `System` where mountinfo cannot be read.
pub(crate) fn givers<'a>(
    root: &Root,
    keys: impl IntoIterator<Item = &'a SysctlKey>,
) -> Result<BTreeMap<SysctlKey, String>> {
    let mounts = mountinfo::read()?;
    let by_id: BTreeMap<u64, u64> = mounts.iter().filter_map(|m| Some((m.id, m.layer()?))).collect();
    let giver = |key: &SysctlKey| {
        // What cannot be opened is nobody's.
        let file = root.open_file(key.path(), OFlags::PATH).ok()?;
        let number = by_id.get(&mount::id_anywhere(&file).ok()?)?;
        Some((key.clone(), format!("{PREFIX}{number}")))
    };
    Ok(keys.into_iter().filter_map(giver).collect())
}

/// The name for the next layer over what is mounted at `points`, given all mounts.
///
/// # Errors
/// `Place` where no number is left.
pub(crate) fn next(mounts: &[Mount], points: &[PathBuf]) -> Result<String> {
    let layers = points.iter().flat_map(|point| group(mounts, point));
    let last = layers.filter_map(|layer| number(&layer.source)).max();
    match last.unwrap_or(0).checked_add(1) {
        Some(number) => Ok(format!("{PREFIX}{number}")),
        None => Err(Error::place(format!(
            "there is a {PREFIX}{} already; take that off first",
            u64::MAX
        ))),
    }
}

/// Takes `layer` off `root`, and nothing else; with the last layer the spare goes too.
///
/// # Errors
/// `Place` if something was mounted over it since (then nothing is taken off); `System` or `Denied` if an unmount
/// fails.
pub fn detach(root: &Root, layer: &Layer) -> Result<()> {
    take(root, &hold(root, layer)?)
}

/// Handles on the mounts of `layer`, if they can be taken off: nothing lies on them.
pub(crate) fn hold<'a>(root: &Root, layer: &'a Layer) -> Result<Vec<(&'a str, OwnedFd)>> {
    if let Some((number, later)) = later_below(&mountinfo::read()?, layer) {
        return Err(Error::place(format!(
            "{}: {PREFIX}{number} lies below {}; take that off first",
            layer.source,
            later.point.display()
        )));
    }
    let mut handles = Vec::new();
    for (path, id) in &layer.mounts {
        let failed = |call: &str, e| Error::call(format!("detach: {call}({})", root.show(path)), e);
        let handle = root.walk(path).map_err(|e| failed("open", e))?;
        let top = mount::id(&handle).map_err(|e| failed("statx", e))?;
        if top != *id {
            return Err(Error::place(format!(
                "{}: {} is covered by a later mount (a runtime's readonlyPaths, or somebody's own); take that off first",
                layer.source,
                root.show(path)
            )));
        }
        handles.push((path.as_str(), handle));
    }
    Ok(handles)
}

/// Takes off what `hold` gave.
pub(crate) fn take(root: &Root, handles: &[(&str, OwnedFd)]) -> Result<()> {
    let below: Vec<&OwnedFd> = handles.iter().map(|(_, handle)| handle).collect();
    cut_off(root, &below).map_err(|e| Error::call("detach: mount(MS_SLAVE)", e))?;
    for (path, handle) in handles.iter().rev() {
        take_off(handle)
            .map_err(|e| Error::call(format!("detach: umount2({}, MNT_DETACH)", root.show(path)), e))?;
    }
    if layers(root)?.is_empty() {
        spare::unmount(root)
    } else {
        Ok(())
    }
}

/// A mount of a later layer on one of `layer`'s, or on what that passed through: it would go with it.
pub(crate) fn later_below<'a>(mounts: &'a [Mount], layer: &Layer) -> Option<(u64, &'a Mount)> {
    let parents = Parents::of(mounts);
    let own = number(&layer.source)?;
    let on_layer = |(_, mount): &(u64, &Mount)| {
        let mut carriers = parents.ancestors(mount.id).skip(1);
        carriers.any(|at| layer.mounts.iter().any(|(_, id)| *id == at))
    };
    mounts
        .iter()
        .filter_map(|m| Some((m.layer().filter(|number| *number > own)?, m)))
        .find(on_layer)
}

/// Makes every layer over `root` read-only, with all that is mounted on it: keys that take writes, and originals that
/// were passed through. For a mount namespace that is the caller's own.
///
/// # Errors
/// `System` or `Denied` if a mount cannot be changed; those before it are read-only then.
pub(crate) fn make_layers_read_only(root: &Root) -> Result<()> {
    for (path, _) in layers(root)?.iter().flat_map(|layer| &layer.mounts) {
        let failed = |call: &str, e| Error::call(format!("{call}({})", root.show(path)), e);
        let handle = root.walk(path).map_err(|e| failed("open", e))?;
        sys::mount_setattr(&handle, libc::MOUNT_ATTR_RDONLY, libc::MS_SLAVE, true)
            .or_else(|_| remount_below(root, path))
            .map_err(|e| failed("mount_setattr(MOUNT_ATTR_RDONLY, AT_RECURSIVE)", e))?;
    }
    Ok(())
}

/// The same with mount(2), one mount after the other.
fn remount_below(root: &Root, path: &str) -> std::io::Result<()> {
    let io = |error: Error| std::io::Error::other(error.line());
    let point = root.mountpoint().map_err(io)?;
    for mount in mountinfo::read()
        .map_err(io)?
        .iter()
        .filter(|m| m.point.starts_with(point.join(path)))
    {
        let below = mount.point.strip_prefix(&point).ok().and_then(Path::to_str);
        if let Some(below) = below {
            remount_read_only(&root.walk(below)?)?;
        }
    }
    Ok(())
}

/// The number in a layer's name.
pub(crate) fn number(name: &str) -> Option<u64> {
    name.strip_prefix(PREFIX)?.parse().ok()
}

/// A mount of ours that lies on a later layer, or on its own, was put there by that one: an earlier layer's key passed
/// through, or a key that takes writes. It comes and goes with that layer.
pub(crate) fn group(mounts: &[Mount], root: &Path) -> Vec<Layer> {
    let by_id: BTreeMap<u64, &Mount> = mounts.iter().map(|m| (m.id, m)).collect();
    let mut layers: BTreeMap<u64, Layer> = BTreeMap::new();
    for mount in mounts {
        let (Ok(path), Some(own)) = (mount.point.strip_prefix(root), mount.layer()) else {
            continue;
        };
        let on = by_id.get(&mount.parent).and_then(|parent| parent.layer());
        if on.is_some_and(|on| on >= own) {
            continue;
        }
        let layer = layers.entry(own).or_insert_with(|| Layer {
            source: format!("{PREFIX}{own}"),
            mounts: Vec::new(),
        });
        layer.mounts.push((path.display().to_string(), mount.id));
    }
    layers.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_on_a_layer_belongs_to_it() {
        let text = "22 20 0:21 / /proc rw - proc proc rw\n\
            90 22 0:40 /procemu:1/sys/kernel /proc/sys/kernel ro - tmpfs none rw\n\
            91 90 0:40 /procemu:1/sys/kernel/mine /proc/sys/kernel/mine rw - tmpfs none rw\n\
            92 22 0:40 /procemu:1/sys/vm/swappiness /proc/sys/vm/swappiness ro - tmpfs none rw\n\
            95 90 0:41 /procemu:2/sys/kernel /proc/sys/kernel ro - tmpfs none rw\n\
            96 95 0:40 /procemu:1/sys/kernel/mine /proc/sys/kernel/mine rw - tmpfs none rw\n\
            97 20 0:42 /procemu:7/sys/kernel /elsewhere/proc/sys/kernel ro - tmpfs none rw\n";
        let layers = group(&mountinfo::parse(text), Path::new("/proc"));
        assert_eq!(layers.len(), 2);
        assert_eq!(
            layers[0].mounts,
            [
                ("sys/kernel".to_owned(), 90),
                ("sys/vm/swappiness".to_owned(), 92)
            ]
        );
        assert_eq!(
            (layers[1].source.as_str(), &layers[1].mounts[..]),
            ("procemu:2", &[("sys/kernel".to_owned(), 95)][..])
        );
    }

    #[test]
    fn a_circle_of_parents_has_an_end() {
        let text = "90 22 0:40 /procemu:1/sys /proc/sys ro - tmpfs none rw\n\
            91 92 0:41 / /a rw - tmpfs none rw\n\
            92 91 0:41 / /a/b rw - tmpfs none rw\n\
            93 92 0:42 /procemu:2/sys /a/b/sys ro - tmpfs none rw\n\
            94 90 0:42 /procemu:2/sys/kernel /proc/sys/kernel ro - tmpfs none rw\n";
        let mounts = mountinfo::parse(text);
        let first = &group(&mounts, Path::new("/proc"))[0];
        assert_eq!(later_below(&mounts[..4], first), None);
        assert_eq!(later_below(&mounts, first).map(|(number, _)| number), Some(2));
    }
}
