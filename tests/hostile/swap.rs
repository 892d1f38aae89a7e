//! The attacker of a race: two names of one folder, exchanged again and again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

const MOMENT: Duration = Duration::from_micros(20);

/// Exchanges two names, in one step.
///
/// # Errors
/// The errno of renameat2(2).
pub fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    Ok(renameat2(
        AT_FDCWD,
        one,
        AT_FDCWD,
        other,
        RenameFlags::RENAME_EXCHANGE,
    )?)
}

/// Exchanges them until the file `stop` is there, an even number of times, and says how often. They are `rest` as they were, then a
/// moment the other way round.
///
/// # Errors
/// As [`exchange`].
pub fn exchange_until(one: &Path, other: &Path, stop: &Path, rest: Duration) -> io::Result<()> {
    let mut pairs = 0u64;
    while !stop.exists() {
        // The kernel lets nobody look while it exchanges.
        std::thread::sleep(rest);
        exchange(one, other)?;
        std::thread::sleep(MOMENT);
        exchange(one, other)?;
        pairs += 1;
    }
    println!("exchanged {} times", 2 * pairs);
    Ok(())
}

/// A process that exchanges them while this lives. It is in the mount namespace of its maker, where the folder is no mountpoint:
/// where it is one it could not be renamed.
pub struct Swapper {
    process: Child,
    stop: PathBuf,
}

impl Swapper {
    /// Starts it.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(one: &Path, other: &Path) -> io::Result<Self> {
        let stop = PathBuf::from("stop");
        let process = Command::new(std::env::current_exe()?)
            .args(["--play", "swap"])
            .args([one, other, &stop, Path::new("20")])
            .spawn()?;
        Ok(Self { process, stop })
    }

    /// Ends it.
    ///
    /// # Errors
    /// It failed.
    pub fn end(mut self) -> io::Result<()> {
        fs::write(&self.stop, "")?;
        let status = self.process.wait()?;
        fs::remove_file(&self.stop)?;
        match status.success() {
            true => Ok(()),
            false => Err(io::Error::other("the other process failed")),
        }
    }
}
