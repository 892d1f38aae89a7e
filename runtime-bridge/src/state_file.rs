//! Small files in the state directory, in which one run leaves what another need not find out again.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::OFlag;
use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::geteuid;

/// How large a file this process may write. One byte more, and SIGXFSZ would end it, and the container with it.
pub(crate) fn largest_file() -> Option<u64> {
    let (limit, _) = getrlimit(Resource::RLIMIT_FSIZE).ok()?;
    Some(limit)
}

/// A table of ten thousand keys has one.
const MOST: u64 = 4 << 20;

/// What the file has, at most 4 MiB; `None` where it cannot be read, or somebody else could have written it.
pub(crate) fn read(file: &Path) -> Option<String> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_NOFOLLOW.bits() | OFlag::O_NONBLOCK.bits())
        .open(file)
        .ok()?;
    // Who may write to the folder could choose keys for containers.
    let has = file.metadata().ok()?;
    if !has.is_file() || has.uid() != geteuid().as_raw() || has.mode() & 0o022 != 0 {
        return None;
    }
    let mut text = String::new();
    file.take(MOST).read_to_string(&mut text).ok()?;
    Some(text)
}

/// Renamed into place, so that no reader meets half a file. It has one name until then: what a process leaves that is killed, the
/// next one writes anew. Two at a time write the same; should that get mixed, it is rubbish, and found out again.
pub(crate) fn write(state_dir: &Path, name: &str, text: &str) -> io::Result<()> {
    let room = largest_file().unwrap_or(0).min(MOST);
    if text.len() as u64 > room {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
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
    let written = file.write_all(text.as_bytes());
    let written = written.and_then(|()| fs::rename(&new, state_dir.join(name)));
    if written.is_err() {
        // On a full disk others need the room.
        let _ = fs::remove_file(new);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::resource::setrlimit;
    use procemu::ask_child;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_that_may_not_be_so_large_is_not_begun() {
        let dir = tempfile::tempdir().unwrap();
        let written = |text: &str| {
            let answer = ask_child(|| {
                let limited = setrlimit(Resource::RLIMIT_FSIZE, 100, 100).is_ok();
                vec![
                    u8::from(limited),
                    u8::from(write(dir.path(), "file", text).is_ok()),
                ]
            });
            answer.unwrap()
        };
        assert_eq!(written(&"x".repeat(100)), [1, 1]);
        assert_eq!(written(&"x".repeat(101)), [1, 0]);
        assert_eq!(read(&dir.path().join("file")).unwrap().len(), 100);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_somebody_else_could_have_written_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        write(dir.path(), "file", "x").unwrap();
        for (mode, found) in [(0o600, true), (0o644, true), (0o620, false), (0o602, false)] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(read(&file).is_some(), found, "{mode:o}");
        }
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        match std::os::unix::fs::chown(&file, Some(65534), None) {
            Ok(()) => assert_eq!(read(&file), None),
            Err(error) => eprintln!("skipped: needs root, to give a file away ({error})"),
        }
    }

    #[test]
    fn what_cannot_be_put_in_place_is_not_left() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("file/taken")).unwrap();
        write(dir.path(), "file", "x").unwrap_err();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
