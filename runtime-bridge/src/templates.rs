//! Whether a container may be given clones of templates, where these are kept, and when they go.

use std::path::{Path, PathBuf};
use std::process;

use nix::unistd::getppid;
use procemu::{Error, Templates};

use crate::place::Around;
use crate::runtime::Kind;
use crate::spec::Spec;

/// Where templates are kept below the state directory.
fn folder(state_dir: &Path) -> PathBuf {
    state_dir.join("templates")
}

/// Those that the hook of the container that `spec` describes may use; `None` where it may use none, or could not find them.
///
/// Clones are read-only mounts of what other containers have, too. Who has CAP_SYS_ADMIN over them could make them take
/// writes; in a user namespace the hook may not enter the namespace that keeps them.
pub(crate) fn of(spec: &Spec, around: &Around, state_dir: &Path) -> Option<Templates> {
    if spec.lists("user") || may_mount(spec) {
        return None;
    }
    let own = Templates::of(process::id(), folder(state_dir)).ok()?;
    if !around.is_needed(Some(spec)) {
        return Some(own);
    }
    // This process will be in a mount namespace of its own by then, but not whoever called it.
    let engine = u32::try_from(getppid().as_raw()).ok()?;
    let engine = Templates::of(engine, folder(state_dir)).ok()?;
    engine.is_in_namespace_of(&own).then_some(engine)
}

/// Whether a process of the container may have CAP_SYS_ADMIN. One for which no capabilities are listed has the runtime's; what is no
/// name of one may be any (libcap takes numbers).
fn may_mount(spec: &Spec) -> bool {
    let Some(lists) = &spec.process.capabilities else {
        return true;
    };
    lists.values().flatten().any(|name| {
        let name = name.to_ascii_uppercase();
        name == "CAP_SYS_ADMIN" || !name.starts_with("CAP_")
    })
}

/// Takes all templates off where `runtime` is about to delete the last container that it keeps in `root`: nothing of ours stays
/// without containers. What other containers have of one stays, and the next builds it anew.
///
/// # Errors
/// What cannot be taken off.
pub(crate) fn end_with_last(runtime: &Path, root: Option<&Path>, state_dir: &Path) -> Result<(), Error> {
    let folder = folder(state_dir);
    // What can be seen without any call more than one costs a container's end nothing where there are none.
    if !folder.exists() {
        return Ok(());
    }
    let root = match (root, Kind::of_file(runtime)) {
        (Some(root), _) => root,
        (None, Kind::Runc) => Path::new("/run/runc"),
        (None, Kind::Crun) => Path::new("/run/crun"),
        (None, Kind::Youki) => Path::new("/run/youki"),
        (None, Kind::Unknown) => return Ok(()),
    };
    match containers(root) {
        0 | 1 => Templates::clear(&folder),
        _ => Ok(()),
    }
}

/// Takes all templates off.
///
/// # Errors
/// What cannot be taken off.
pub fn clear(state_dir: &Path) -> Result<(), Error> {
    Templates::clear(&folder(state_dir))
}

/// How many containers have their state in `root`: a folder each, and crun has one more.
fn containers(root: &Path) -> usize {
    let Ok(entries) = root.read_dir() else {
        return 0;
    };
    let entries = entries.flatten();
    entries
        .filter(|entry| entry.file_name() != ".cache" && entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .count()
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
            r#"{"capabilities":{"new":["SYS_ADMIN"]}}"#,
        ] {
            assert!(may(process), "{process}");
        }
    }
}
