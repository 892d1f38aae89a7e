//! The engine restarted with its new file; where it does not come back, its old file and another restart.
//!
//! What an interrupted run has left to do stands in the state folder, below /run as the restart of the machine does the same. So
//! does what an engine did not start with: that is tried once, not at every call.

use super::{Edit, InstallError};
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How an engine is restarted.
#[derive(Debug, Clone, Copy)]
pub struct Restart<'a> {
    /// For `sh -c`. It succeeds when the engine is up again, and fails where it is not.
    pub command: &'a str,
    /// The engine's name.
    pub engine: &'a str,
    /// Where it is noted what is still to be done.
    pub state_dir: &'a Path,
}

/// Why an engine does not run with what it was to run with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestartError {
    /// Nothing was restarted.
    #[error(transparent)]
    Install(#[from] InstallError),
    /// It did not come back before.
    #[error(
        "`{command}` failed ({why}) with the same change before; name another command, or remove {} to have it tried again",
        failed.display()
    )]
    Known {
        /// The command.
        command: String,
        /// How it ended.
        why: String,
        /// Where that is noted.
        failed: PathBuf,
    },
    /// It did not come back.
    #[error("`{command}` failed ({why}){after}")]
    Failed {
        /// The command.
        command: String,
        /// How it ended.
        why: String,
        /// What was done then.
        after: String,
    },
}

impl Restart<'_> {
    /// Makes `edits` by way of `apply` and restarts the engine, where they change something or a restart is still due from
    /// before. Tells whether it was restarted.
    ///
    /// # Errors
    /// [`RestartError`]; where the edits changed anything, the files are as they were before, and the engine was restarted with
    /// them.
    pub fn with(
        &self,
        edits: &[Edit],
        apply: impl FnOnce() -> Result<(), InstallError>,
    ) -> Result<bool, RestartError> {
        let folder = self.folder();
        let due = self.due();
        let failed = folder.join(format!("{}.failed", self.engine));
        let io = |step, path: &Path| {
            let path = path.to_owned();
            move |source| InstallError::io(step, path, source)
        };
        fs::create_dir_all(&folder).map_err(io("make", &folder))?;
        let lock = File::open(&folder).map_err(io("open", &folder))?;
        // Two pods of one node can be here while one takes the other's place.
        let _lock = Flock::lock(lock, FlockArg::LockExclusive)
            .map_err(|(_, errno)| io("lock", &folder)(errno.into()))?;

        if !self.is_due(edits) {
            return Ok(false);
        }
        let changes = edits.iter().any(Edit::changes);
        let was_due = due.exists();
        // With the command: it may be what was wrong.
        let outcomes: String = edits.iter().map(Edit::outcome).collect();
        let asked = format!("{}\n{outcomes}", self.command);
        let noted = fs::read_to_string(&failed).unwrap_or_default();
        if let Some((why, known)) = noted.split_once('\n')
            && changes
            && known == asked
        {
            return Err(RestartError::Known {
                command: self.command.to_owned(),
                why: why.to_owned(),
                failed,
            });
        }
        let saved = edits.iter().map(Edit::saved).collect::<Result<Vec<_>, _>>()?;
        fs::write(&due, "").map_err(io("write", &due))?;
        if let Err(error) = apply() {
            // The first error is the one to tell.
            for saved in saved {
                let _ = saved.restore();
            }
            if !was_due {
                let _ = fs::remove_file(&due);
            }
            return Err(error.into());
        }
        let Err(why) = self.run() else {
            remove(&failed)?;
            remove(&due)?;
            return Ok(true);
        };
        let mut after = String::new();
        if changes {
            for saved in saved {
                saved.restore()?;
            }
            fs::write(&failed, format!("{why}\n{asked}")).map_err(io("write", &failed))?;
            let again = self.run();
            after.push_str("; all is as it was before, with which it ");
            match again {
                Ok(()) => {
                    remove(&due)?;
                    after.push_str("succeeded");
                }
                Err(why) => after.push_str(&format!("failed too ({why})")),
            }
        }
        Err(RestartError::Failed {
            command: self.command.to_owned(),
            why,
            after,
        })
    }

    /// Whether the engine has to be restarted for `edits`, or still has to from before.
    pub fn is_due(&self, edits: &[Edit]) -> bool {
        edits.iter().any(Edit::changes) || self.due().exists()
    }

    fn folder(&self) -> PathBuf {
        self.state_dir.join("restart")
    }

    /// Exists from before the files are changed until the engine runs with them.
    fn due(&self) -> PathBuf {
        self.folder().join(self.engine)
    }

    fn run(&self) -> Result<(), String> {
        let mut shell = Command::new("sh");
        shell.args(["-c", self.command]).stdin(Stdio::null());
        match shell.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(status.to_string()),
            Err(error) => Err(format!("sh: {}", procemu::errno_text(&error))),
        }
    }
}

fn remove(file: &Path) -> Result<(), InstallError> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(InstallError::io("remove", file, error)),
        _ => Ok(()),
    }
}
