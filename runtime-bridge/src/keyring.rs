//! Whether runtimes can have a session keyring of their own.

use nix::unistd::{Uid, getuid, setresuid};
use procemu::ask_child;
use procemu::keyring::{is_known_to_fit, join_new_session_keyring};
use std::io;

/// Whether a new session keyring is refused here, so that a runtime without `--no-new-keyring` would fail with `unable
/// to join session keyring`. `root` is the container's root, where that is another user than this process's: the kernel
/// charges the keyring to it, and each user has a quota of its own.
///
/// Where that cannot be told otherwise it is tried, in a child: the kernel keeps keyrings with a process's credentials, so this
/// program, and the runtime it becomes, keep theirs.
pub fn is_refused(root: Option<u32>) -> bool {
    if is_known_to_fit(root.unwrap_or(getuid().as_raw())) {
        return false;
    }
    let answer = ask_child(|| {
        // Without the right to become that user there is no container with its user namespace either.
        if let Some(root) = root.map(Uid::from_raw) {
            let _ = setresuid(root, root, root);
        }
        let refused = join_new_session_keyring().is_err_and(|error| refuses(&error));
        vec![u8::from(refused)]
    });
    // A child that cannot be had says nothing about keyrings.
    answer.is_ok_and(|answer| answer == [1])
}

/// A kernel without keyrings (ENOSYS) is no refusal: runc goes on without one by itself.
fn refuses(error: &io::Error) -> bool {
    use nix::errno::Errno;
    error.raw_os_error().is_some_and(|code| {
        matches!(
            Errno::from_raw(code),
            Errno::EDQUOT | Errno::EPERM | Errno::EACCES
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::errno::Errno;

    #[test]
    fn which_errors_are_refusals() {
        for (errno, want) in [
            (Errno::EDQUOT, true),
            (Errno::EPERM, true),
            (Errno::EACCES, true),
            (Errno::ENOSYS, false),
            (Errno::ENOMEM, false),
        ] {
            assert_eq!(refuses(&errno.into()), want, "{errno}");
        }
    }
}
