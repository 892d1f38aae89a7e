//! Whether runtimes can have a session keyring of their own.

use procemu::keyring::join_new_session_keyring;
use std::io;

/// Whether a new session keyring is refused here, so that a runtime without `--no-new-keyring` would fail with `unable
/// to join session keyring`.
///
/// Tried in a thread of its own: the kernel keeps keyrings with each thread's credentials, so this program, and the
/// runtime it becomes, keep theirs.
pub fn is_refused() -> bool {
    let tried = std::thread::Builder::new()
        .name("keyring".into())
        .spawn(join_new_session_keyring);
    // A thread that cannot be had says nothing about keyrings.
    tried.is_ok_and(|thread| {
        thread
            .join()
            .is_ok_and(|result| result.is_err_and(|error| refuses(&error)))
    })
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
