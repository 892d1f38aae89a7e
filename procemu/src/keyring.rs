//! Session keyrings, as far as container runtimes need them.

use std::ffi::CString;
use std::fs;
use std::io;

/// So much of a quota is to be left, that whoever makes keys at the same time takes nothing of what a runtime needs: a
/// keyring, which is charged its name.
const ROOM: (u64, u64) = (16, 16 << 10);

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

/// Whether it is known without making one that a new session keyring of the user `uid`, as the caller's user namespace numbers
/// them, would be had: no filter or security module is against the call, and the user's quota is far from being used up, as
/// `/proc/key-users` says (proc_key_users(5), Linux 2.6.10).
///
/// `false` says nothing.
pub fn is_known_to_fit(uid: u32) -> bool {
    let users = fs::read_to_string("/proc/key-users").unwrap_or_default();
    has_room(&users, uid) && crate::sys::may_join_session_keyring()
}

/// A line is `uid: usage nkeys/nikeys qnkeys/maxkeys qnbytes/maxbytes`. A user without keys has none, and its limits are not told.
fn has_room(users: &str, uid: u32) -> bool {
    let of_user = |line: &str| {
        let (user, numbers) = line.split_once(':')?;
        let mut numbers = numbers.split_whitespace().skip(2);
        let mut left = || {
            let (used, limit) = numbers.next()?.split_once('/')?;
            limit.parse::<u64>().ok()?.checked_sub(used.parse().ok()?)
        };
        (user.trim().parse() == Ok(uid)).then(|| Some((left()?, left()?)))?
    };
    let left = users.lines().find_map(of_user);
    left.is_some_and(|(keys, bytes)| keys >= ROOM.0 && bytes >= ROOM.1)
}

#[cfg(test)]
mod tests {
    use super::{has_room, is_known_to_fit, join_new_session_keyring};
    use crate::sys::session_keyring;

    #[test]
    fn room_is_what_the_users_line_leaves() {
        let users = "    0:     9 8/8 3/1000000 40/25000000\n 1000:     4 4/4 185/200 40/20000\n 1001: 1 1/1 1/200 19000/20000\n";
        assert!(has_room(users, 0));
        assert!(!has_room(users, 1000), "15 keys are left");
        assert!(!has_room(users, 1001), "1000 bytes are left");
        assert!(!has_room(users, 100), "nothing is known of it");
        assert!(
            !has_room("    0:     9 8/8 300/200 40/25000000\n", 0),
            "the limit was lowered"
        );
        assert!(!has_room("", 0));
        assert!(!has_room("0: 9", 0));
    }

    #[test]
    fn asking_makes_no_keyring() {
        std::thread::spawn(|| {
            let before = session_keyring();
            assert!(is_known_to_fit(nix::unistd::getuid().as_raw()));
            assert_eq!(session_keyring(), before);
        })
        .join()
        .expect("it does not panic");
    }

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
