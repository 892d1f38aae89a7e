//! Whether a container may be given clones of templates, where these are kept, and when they go.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Component, Path, PathBuf};

use procemu::{Error, Templates};

use crate::place::Around;
use crate::runtime::Kind;
use crate::spec::Spec;

/// Where templates are kept below the state directory.
const TEMPLATES: &str = "templates";

/// A link for each container that may have a clone of one, to the folder in which its runtime keeps its state: as long as that is
/// there, so is the container.
const CONTAINERS: &str = "containers";

/// Those that the hook of the container that `spec` describes may use; `None` where it may use none, or could not find them. The
/// container, which has its state in the folder `container`, is noted down.
///
/// Clones are read-only mounts of what other containers have, too. Who has CAP_SYS_ADMIN over them could make them take
/// writes; in a user namespace the hook may not enter the namespace that keeps them.
pub(crate) fn of(spec: &Spec, around: &Around, container: &Path, state_dir: &Path) -> Option<Templates> {
    let has_own = |kind: &str| {
        let mut listed = spec.linux.namespaces.iter().filter(|listed| listed.kind == kind);
        listed
            .next()
            .is_some_and(|listed| listed.path.as_os_str().is_empty())
    };
    if spec.lists("user") || !has_own("mount") || may_mount(spec) {
        return None;
    }
    let folder = state_dir.join(TEMPLATES);
    // By the numbers of the procfs at /proc, which may be that of another pid namespace.
    let own = fs::read_link("/proc/self").ok()?;
    let mut templates = Templates::of(own.to_str()?.parse().ok()?, &folder).ok()?;
    if around.may_be_needed(Some(spec)) {
        // This process will be in a mount namespace of its own by then, but not whoever called it.
        let engine = Templates::of(parent()?, &folder).ok()?;
        if !engine.is_in_namespace_of(&templates) {
            return None;
        }
        templates = engine;
    }
    // Before any can be made for it.
    note(container, state_dir).ok()?;
    Some(templates)
}

/// Who called this process (proc_pid_stat(5), field 4; the second one is a name that may hold anything, in parentheses).
fn parent() -> Option<u32> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// Whether a process of the container may have CAP_SYS_ADMIN. One for which no capabilities are listed has the runtime's; what is no
/// name of one may be any (libcap takes numbers).
fn may_mount(spec: &Spec) -> bool {
    let Some(lists) = &spec.process.capabilities else {
        return true;
    };
    lists.values().flatten().any(|name| {
        let name = name.to_ascii_uppercase();
        let plain = |rest: &str| rest.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        name == "CAP_SYS_ADMIN" || !name.strip_prefix("CAP_").is_some_and(plain)
    })
}

/// The folder in which `runtime` keeps the state of its container `id`, if it is known: below its `--root`, or the default.
pub(crate) fn state_of(runtime: &Path, root: Option<&OsStr>, id: Option<&OsStr>) -> Option<PathBuf> {
    let root = match (root, Kind::of_file(runtime)) {
        (Some(root), _) => std::path::absolute(root).ok()?,
        (None, Kind::Runc) => "/run/runc".into(),
        (None, Kind::Crun) => "/run/crun".into(),
        (None, Kind::Youki) => "/run/youki".into(),
        (None, Kind::Unknown) => return None,
    };
    // Else it would lead to a folder that is always there.
    let mut parts = Path::new(id?).components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(name)), None) => Some(root.join(name)),
        _ => None,
    }
}

fn link_to(container: &Path, state_dir: &Path) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    container.hash(&mut hasher);
    state_dir
        .join(CONTAINERS)
        .join(format!("{:016x}", hasher.finish()))
}

/// Notes that the container with its state in the folder `container` may be given clones.
fn note(container: &Path, state_dir: &Path) -> io::Result<()> {
    let link = link_to(container, state_dir);
    let made = match symlink(container, &link) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = state_dir.join(CONTAINERS);
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            symlink(container, &link)
        }
        made => made,
    };
    match made {
        // A container that was there before.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// Notes that the container with its state in the folder `container` is about to be deleted, and takes all templates off if no other is
/// there that may have clones: nothing of ours stays without containers. Clones stay what they are, and who needs a template builds it
/// anew.
///
/// # Errors
/// What cannot be taken off.
pub(crate) fn end_with(container: Option<&Path>, state_dir: &Path) -> Result<(), Error> {
    if let Some(container) = container {
        let _ = fs::remove_file(link_to(container, state_dir));
    }
    // One is enough to know: a node may have a thousand, and each of them has an end.
    let mut others = links(state_dir).filter(|link| {
        // A dangling link's container is gone without us, or not there yet; then it is noted no longer, and its own end is one of the last.
        let stays = link.exists();
        if !stays {
            let _ = fs::remove_file(link);
        }
        stays
    });
    match others.next() {
        None => clear(state_dir),
        Some(_) => Ok(()),
    }
}

/// The links to containers.
fn links(state_dir: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = state_dir
        .join(CONTAINERS)
        .read_dir()
        .into_iter()
        .flatten()
        .flatten();
    let links = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_symlink()));
    links.map(|entry| entry.path())
}

/// Takes all templates off.
///
/// # Errors
/// What cannot be taken off.
pub fn clear(state_dir: &Path) -> Result<(), Error> {
    Templates::clear(&state_dir.join(TEMPLATES))?;
    // A link that stays is found stale later, and what is not ours stays.
    links(state_dir).for_each(|link| drop(fs::remove_file(link)));
    let _ = fs::remove_dir(state_dir.join(CONTAINERS));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_mount_is_told_by_any_list() {
        let may = |process: &str| may_mount(&Spec::parse(&format!(r#"{{"process":{process}}}"#)).unwrap());
        assert!(!may(
            r#"{"capabilities":{"bounding":["CAP_KILL","cap_chown"],"effective":null}}"#
        ));
        assert!(!may(r#"{"capabilities":{}}"#));
        for process in [
            "{}",
            "null",
            r#"{"capabilities":null}"#,
            r#"{"capabilities":["CAP_KILL"]}"#,
            r#"{"capabilities":{"bounding":["cap_sys_admin"]}}"#,
            r#"{"capabilities":{"ambient":["CAP_SYS_ADMIN"]}}"#,
            r#"{"capabilities":{"permitted":["21"]}}"#,
            r#"{"capabilities":{"permitted":["CAP_SYS_ADMIN "]}}"#,
            r#"{"capabilities":{"new":["SYS_ADMIN"]}}"#,
        ] {
            assert!(may(process), "{process}");
        }
    }
}
