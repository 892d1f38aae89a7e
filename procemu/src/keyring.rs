//! Session keyrings, as far as container runtimes need them.

use std::ffi::CString;
use std::io;

/// Gives the calling *thread* a session keyring of its own, as runc does for each container without
/// `--no-new-keyring` (keyctl(2), `KEYCTL_JOIN_SESSION_KEYRING`). The old one is released.
///
/// It has a name, as runc's has: the kernel holds a named one against the user's quota, but lets a process that has no
/// session keyring yet have its first anonymous one over quota (`install_session_keyring_to_cred` in the kernel's
/// security/keys/process_keys.c).
///
/// The kernel keeps keyrings with a thread's credentials: other threads of the process keep theirs, and one that only
/// tries this is best short-lived.
///
/// # Errors
/// EDQUOT where the user's quota of keys is used up (`kernel/keys/maxkeys`, `maxbytes`); EPERM or EACCES where a seccomp
/// filter or security module forbids it; ENOSYS in a kernel without keyrings.
pub fn join_new_session_keyring() -> io::Result<()> {
    let name = CString::new(format!("_ses.procemu-{}", nix::unistd::gettid()))?;
    Ok(crate::sys::join_session_keyring(&name)?)
}

#[cfg(test)]
mod tests {
    use super::join_new_session_keyring;
    use crate::sys::session_keyring;

    #[test]
    fn a_threads_keyring_is_its_own() {
        // In a thread: the test harness's own session stays out of it.
        std::thread::spawn(|| {
            join_new_session_keyring().expect("this kernel has keyrings and this user has quota");
            let ours = session_keyring();
            let theirs = std::thread::spawn(|| {
                let inherited = session_keyring();
                join_new_session_keyring().expect("a second one fits as well");
                (inherited, session_keyring())
            });
            let (inherited, joined) = theirs.join().expect("it does not panic");
            assert_eq!(inherited, ours);
            assert_ne!(joined, ours);
            assert_eq!(session_keyring(), ours, "the other thread's keyring came here");
        })
        .join()
        .expect("it does not panic");
    }
}
