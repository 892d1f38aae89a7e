//! Signals that are sent to this process are the watched command's.

use std::io;
use std::thread;

use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, Signal, kill, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;

/// All by which a program is told something. The terminal's own it gets by itself.
const HANDED_ON: [Signal; 7] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
];

/// Signals that this process holds back from itself.
pub struct Held {
    source: SignalFd,
    /// By their numbers, without those that the caller had held already.
    numbers: String,
}

impl Held {
    /// What the child has to let through again, for [`release`].
    pub fn numbers(&self) -> &str {
        &self.numbers
    }
}

/// Holds them from now on.
pub fn hold() -> io::Result<Held> {
    let before = SigSet::thread_get_mask()?;
    let set: SigSet = HANDED_ON.into_iter().collect();
    set.thread_block()?;
    let new = HANDED_ON.into_iter().filter(|signal| !before.contains(*signal));
    let new: Vec<_> = new.map(|signal| (signal as i32).to_string()).collect();
    Ok(Held {
        source: SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC)?,
        numbers: new.join(","),
    })
}

/// Lets the signals of these numbers through in this process, which was begun by one that holds them.
pub fn release(numbers: &str) {
    let numbers = numbers.split(',').filter_map(|number| number.parse::<i32>().ok());
    let set: SigSet = numbers
        .filter_map(|number| Signal::try_from(number).ok())
        .collect();
    // It only fails for addresses and orders that are wrong.
    let _ = set.thread_unblock();
}

/// Hands those that are held, and all that come, on to `pid`, for the rest of this process's life.
pub fn hand_on(held: Held, pid: Pid) {
    thread::spawn(move || {
        while let Ok(Some(info)) = held.source.read_signal() {
            // What the kernel sends, as for a key of the terminal, it sends to the whole group.
            let is_of_a_process = info.ssi_code <= 0;
            let signal = i32::try_from(info.ssi_signo)
                .ok()
                .and_then(|number| Signal::try_from(number).ok());
            if let (true, Some(signal)) = (is_of_a_process, signal) {
                // Gone is as good.
                let _ = kill(pid, signal);
            }
        }
    });
}

/// Ends this process by that signal, if it can, without a core file.
pub fn die_by(signal: i32) {
    let Ok(signal) = Signal::try_from(signal) else {
        return;
    };
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let set: SigSet = [signal].into_iter().collect();
    // What is pending for this thread comes with it.
    let _ = set.thread_unblock();
    let _ = raise(signal);
}
