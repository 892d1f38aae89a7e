//! What is being waited for, for who looks at a terminal: nothing for what is done within a second, and nothing is left of it.

use crate::report::one_line;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, Flockable};
use std::io::{IsTerminal, stderr};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

/// What takes no longer is not worth a word.
const SOON: Duration = Duration::from_secs(1);

/// How often a lock is asked for until then.
const TURN: Duration = Duration::from_millis(20);

/// Fits a terminal in one row, since a second one would not be cleared.
const WIDTH: usize = 70;

/// A row on standard error for as long as this lives, where that is a terminal. A thread of its own shows it, so this is for what enters no
/// namespaces itself.
#[derive(Debug)]
pub struct Progress(Option<(Sender<String>, JoinHandle<()>)>);

impl Progress {
    /// Begins with `what` is going on.
    pub fn of(what: &str) -> Self {
        if !stderr().is_terminal() {
            return Self(None);
        }
        let (say, said) = channel();
        let what = shown(what);
        Self(Some((say, thread::spawn(move || show(&said, what)))))
    }

    /// Goes on with `what`.
    pub fn say(&self, what: &str) {
        if let Some((say, _)) = &self.0 {
            // It has not ended before this.
            let _ = say.send(shown(what));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((say, thread)) = self.0.take() {
            drop(say);
            // Nothing in it panics.
            let _ = thread.join();
        }
    }
}

fn show(said: &Receiver<String>, mut what: String) {
    let begun = Instant::now();
    let mut is_shown = false;
    loop {
        let next = SOON.saturating_sub(begun.elapsed());
        let wait = if next.is_zero() { SOON } else { next };
        match said.recv_timeout(wait) {
            Ok(new) => what = new,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        let seconds = begun.elapsed().as_secs();
        if seconds >= SOON.as_secs() {
            is_shown = true;
            row(&format!("{what} ({seconds} s)"));
        }
    }
    if is_shown {
        row("");
    }
}

/// In place of what is in the row. By a call of its own: a child that is forked meanwhile is not to wait for a lock on standard error.
fn row(text: &str) {
    // Nobody is left to tell where it fails.
    let _ = nix::unistd::write(stderr(), format!("\r\x1b[K{text}").as_bytes());
}

fn shown(what: &str) -> String {
    one_line(what.to_owned()).chars().take(WIDTH).collect()
}

/// Waits for an exclusive lock; after a second of that a row says for `what`, where standard error is a terminal. Without a thread: who gets it
/// may enter a namespace next.
///
/// # Errors
/// As flock(2), with the file.
pub fn lock<T: Flockable>(mut file: T, what: &str) -> Result<Flock<T>, (T, Errno)> {
    if !stderr().is_terminal() {
        return Flock::lock(file, FlockArg::LockExclusive);
    }
    let begun = Instant::now();
    while begun.elapsed() < SOON {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Err((again, Errno::EAGAIN)) => file = again,
            done => return done,
        }
        sleep(TURN);
    }
    row(&shown(what));
    let lock = Flock::lock(file, FlockArg::LockExclusive);
    row("");
    lock
}
