//! A question answered in a forked child: what it does to its namespaces does not touch the caller.

use std::fs::File;
use std::io::{self, Read, Seek, Write};

use memfd::MemfdOptions;
use nix::sys::wait::WaitStatus;

use crate::sys::{in_child, set_ignored};

/// Gives SIGCHLD its default, so that this process can wait for its children where its caller ignores that signal; so can the
/// program that it becomes.
pub fn wait_for_children() {
    set_ignored(libc::SIGCHLD, false);
}

/// Runs `work` in a forked child, waits for it, and gives what it returned.
///
/// The calling process must have one thread, or `work` must take no lock that another thread may hold: the child has
/// the calling thread only.
///
/// # Errors
/// The errno of fork, waitpid or memfd_create, or of the write of the answer; a child that was killed or panicked.
pub fn ask_child(work: impl FnOnce() -> Vec<u8>) -> io::Result<Vec<u8>> {
    let answer = MemfdOptions::default()
        .close_on_exec(true)
        .create("procemu-answer")
        .map_err(|error| io::Error::other(error.to_string()))?;
    let mut answer: File = answer.into_file();
    let status = in_child(|| match (&answer).write_all(&work()) {
        Ok(()) => 0,
        Err(_) => 1,
    })?;
    if status_code(status) != Some(0) {
        return Err(io::Error::other(format!(
            "the child process ended without an answer: {status:?}"
        )));
    }
    answer.rewind()?;
    let mut bytes = Vec::new();
    answer.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn status_code(status: WaitStatus) -> Option<i32> {
    match status {
        WaitStatus::Exited(_, code) => Some(code),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_comes_back_and_a_dead_child_is_an_error() {
        let long = vec![7; 200_000];
        assert_eq!(ask_child(|| long.clone()).unwrap(), long);
        let dead = ask_child(|| {
            // Not a panic, whose message would go to the test's output.
            let _ = nix::sys::signal::raise(nix::sys::signal::SIGKILL);
            Vec::new()
        });
        assert!(dead.unwrap_err().to_string().contains("SIGKILL"));
    }
}
