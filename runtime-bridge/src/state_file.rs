//! Small files in the state directory, in which one run leaves what another need not find out again.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::OFlag;

/// What the file has, at most 64 KiB; `None` where it cannot be read.
pub(crate) fn read(file: &Path) -> Option<String> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_NOFOLLOW.bits() | OFlag::O_NONBLOCK.bits())
        .open(file)
        .ok()?;
    let mut text = String::new();
    file.take(64 * 1024).read_to_string(&mut text).ok()?;
    Some(text)
}

/// Renamed into place, so that no reader meets half a file. It has one name until then: what a process leaves that is killed, the
/// next one writes anew. Two at a time write the same; should that get mixed, it is rubbish, and found out again.
pub(crate) fn write(state_dir: &Path, name: &str, text: &str) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(state_dir)?;
    let new = state_dir.join(format!("{name}.new"));
    // Not through a link, nor into a file that has another name.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(text.as_bytes())?;
    fs::rename(new, state_dir.join(name))
}
