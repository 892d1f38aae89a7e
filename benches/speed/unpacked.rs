//! A program of Debian's that we are compared with: the machine's own, or the one that scripts/debian.sh unpacks.

use std::path::PathBuf;
use std::process::Command;

use crate::tests_support::need;
use crate::{Outcome, passed};

/// Where it is.
pub struct Unpacked {
    program: PathBuf,
    /// Where its libraries are, if not with the machine's.
    libraries: Option<String>,
}

impl Unpacked {
    /// Looks for it, and gives the reason where it cannot be had.
    ///
    /// # Errors
    /// If looking fails.
    pub fn find(name: &str) -> Outcome<Result<Self, String>> {
        if let Ok(program) = need::command(name) {
            return Ok(Ok(Self {
                program,
                libraries: None,
            }));
        }
        let found = passed(need::debian(name))?;
        Ok(found.map(|tree| {
            let triplet = format!("{}-linux-gnu", std::env::consts::ARCH);
            let folders = [
                format!("lib/{triplet}"),
                format!("usr/lib/{triplet}"),
                format!("usr/lib/{triplet}/{name}"),
            ];
            let folders = folders.map(|folder| tree.join(folder).display().to_string());
            Self {
                program: tree.join("usr/bin").join(name),
                libraries: Some(folders.join(":")),
            }
        }))
    }

    /// To run it.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        if let Some(folders) = &self.libraries {
            command.env("LD_LIBRARY_PATH", folders);
        }
        command
    }
}
