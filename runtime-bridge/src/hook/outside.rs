//! The hook outside of the container: what it does there, and how it gets in.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use tracing::debug;

use procemu::{Error, ErrorKind, Target, ask_child, errno_text, reexec_sealed, wait_for_children};

use super::{HookError, Order, State, prepare, rootfs};

/// The container's init process, if it is in other namespaces than this one.
pub(super) fn container(state: &State) -> Result<Option<Target>, HookError> {
    let Some(pid) = state
        .pid
        .and_then(|pid| u32::try_from(pid).ok())
        .filter(|pid| *pid > 0)
    else {
        return Ok(None);
    };
    match Target::open(pid) {
        Ok(target) => Ok(target.is_elsewhere().then_some(target)),
        // In a container's user namespace its processes can't be looked at through the host's /proc.
        Err(error) if error.kind() == ErrorKind::Denied => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Prepares the container from within every namespace of its init process, from a sealed copy of this program.
///
/// The process itself stays outside, where the log is that it may have to write to.
pub(super) fn prepare_from_outside(
    target: &Target,
    state: &State,
    text: &[u8],
    order: &Order,
) -> Result<(), HookError> {
    reexec_sealed(Some(text))?;
    debug!(container = state.id, bundle = %state.bundle.display(), pid = state.pid, "called outside of the container");
    order.confine()?;
    // A runtime may ignore SIGCHLD, and its hooks with it: then no child of ours would be found.
    wait_for_children();
    let known = identity(&rootfs(&order.rootfs)?, &order.rootfs)?;
    in_child(order, || {
        target.join().map_err(|error| error.line())?;
        // A joined pid namespace holds for children only, and the mounts' originals are to be seen from it too.
        in_child(order, || {
            prepare(order, Some(known)).map_err(|error| error.line())
        })
    })
    .map_err(HookError::Inside)
}

/// Runs `work` in a child, and gives what it has to say; its warnings are those of `order` then.
fn in_child(order: &Order, work: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    let answer = ask_child(|| {
        let error = work().err();
        serde_json::to_vec(&(error, order.warnings.take())).unwrap_or_default()
    });
    let answer = answer.map_err(|error| {
        format!(
            "memfd_create, fork or waitpid(child in the container's namespaces): {}",
            errno_text(&error)
        )
    })?;
    let (error, warnings): (Option<String>, Vec<String>) =
        serde_json::from_slice(&answer).map_err(|error| format!("no reason given: {error}"))?;
    order.warnings.replace(warnings);
    error.map_or(Ok(()), Err)
}

/// Device and inode number.
pub(super) type Identity = (u64, u64);

pub(super) fn identity(folder: &File, path: &Path) -> Result<Identity, Error> {
    let found = folder.metadata().map_err(|e| Error::failed_open(path, e))?;
    Ok((found.dev(), found.ino()))
}
