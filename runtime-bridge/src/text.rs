//! Text files of the administrator's and the engines', read without waiting and without end.

use nix::fcntl::OFlag;
use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// As much as of a bundle's `config.json`.
const MAX_BYTES: u64 = 16 << 20;

/// The text of the regular file at `path`, links followed.
///
/// # Errors
/// For a file that cannot be read or is no UTF-8, for anything but a regular file (a FIFO would be waited for, and a device must not
/// be replaced by a file), and for more than 16 MiB.
pub fn read(path: &Path) -> io::Result<String> {
    let refused = |kind, what: &str| Err(io::Error::new(kind, what));
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits())
        .open(path)?;
    if !file.metadata()?.is_file() {
        return refused(ErrorKind::InvalidInput, "not a regular file");
    }
    let mut bytes = Vec::new();
    // Limited by what is read, not by what stat says: the file may still be growing.
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return refused(ErrorKind::FileTooLarge, "more than 16 MiB");
    }
    String::from_utf8(bytes).or_else(|_| refused(ErrorKind::InvalidData, "not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::Mode;
    use std::fs::{self, File};

    #[test]
    fn only_a_regular_file_of_some_size_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let said = |path: &Path| read(path).unwrap_err().to_string();
        nix::unistd::mkfifo(&at("fifo"), Mode::S_IRWXU).unwrap();
        for path in [&at("fifo"), dir.path(), Path::new("/dev/zero")] {
            assert_eq!(said(path), "not a regular file", "{}", path.display());
        }
        File::create(at("large")).unwrap().set_len(MAX_BYTES + 1).unwrap();
        assert_eq!(said(&at("large")), "more than 16 MiB");
        fs::write(at("bytes"), b"\xff").unwrap();
        assert_eq!(said(&at("bytes")), "not UTF-8");
        std::os::unix::fs::symlink("text", at("link")).unwrap();
        assert_eq!(read(&at("link")).unwrap_err().kind(), ErrorKind::NotFound);
        fs::write(at("text"), "it").unwrap();
        assert_eq!(read(&at("link")).unwrap(), "it");
    }
}
