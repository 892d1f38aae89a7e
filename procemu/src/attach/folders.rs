//! The folders that originals are taken from, each opened once.

use std::os::fd::OwnedFd;

use crate::error::{Error, Result};
use crate::root::Root;

/// The folder opened last: steps of one folder follow each other.
#[derive(Default)]
pub(super) struct Folders(Option<(String, OwnedFd)>);

impl Folders {
    /// The folder at `path` (`""` is the root).
    pub(super) fn open(&mut self, root: &Root, path: &str) -> Result<&OwnedFd> {
        let fd = match self.0.take() {
            Some((at, fd)) if at == path => fd,
            _ => root
                .folder(path)
                .map_err(|e| Error::call(format!("open({})", root.show(path)), e))?,
        };
        Ok(&self.0.insert((path.to_owned(), fd)).1)
    }
}
