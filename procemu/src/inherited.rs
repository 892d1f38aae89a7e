//! What a program was started with and Rust's runtime changes before `main`: for the program that it becomes.

use std::ffi::{CString, OsStr};
use std::io::{self, stderr, stdin, stdout};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use crate::sys::{self, Started};

/// Signals and standard descriptors as the caller of this program gave them. With the feature `inherited`.
///
/// A Rust program ignores SIGPIPE, and opens `/dev/null` in place of closed standard descriptors: it would hand both on.
#[derive(Debug)]
pub struct Inherited(Started);

impl Inherited {
    /// What this process was started with.
    pub fn look() -> Self {
        Self(sys::started())
    }

    /// Becomes the program at `path`, with all that this process was started with but its arguments, the first of which is
    /// the program's own name. Returns why not; this process can go on then.
    pub fn exec<S: AsRef<OsStr>>(&self, path: &Path, arguments: impl IntoIterator<Item = S>) -> io::Error {
        let arguments = arguments
            .into_iter()
            .map(|argument| CString::new(argument.as_ref().as_bytes()));
        let arguments: Result<Vec<_>, _> = arguments.collect();
        let (path, arguments) = match (CString::new(path.as_os_str().as_bytes()), arguments) {
            (Ok(path), Ok(arguments)) => (path, arguments),
            (Err(error), _) | (_, Err(error)) => return error.into(),
        };
        let (stdin, stdout, stderr) = (stdin(), stdout(), stderr());
        let standard = [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()];
        for (descriptor, _) in standard.iter().zip(self.0.closed).filter(|(_, closed)| *closed) {
            // Fails only where it was closed again.
            let _ = fcntl(descriptor, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC));
        }
        sys::set_ignored(libc::SIGPIPE, self.0.pipe_ignored);
        let Err(errno) = nix::unistd::execv(&path, &arguments);
        // What there is to say now may go to a pipe that nobody reads.
        sys::set_ignored(libc::SIGPIPE, true);
        errno.into()
    }
}
