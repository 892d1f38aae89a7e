//! The engine restarted with its new file; where it does not come back, its old file and another restart.
//!
//! What an interrupted run has left to do stands in the state folder, below /run as the restart of the machine does the same. So
//! does what an engine did not start with: that is tried once, not at every call.

use super::saved::{Saved, remove, replace};
use super::{Edit, InstallError, Lock, lock};
use crate::progress::Progress;
use crate::report::chain;
use std::hash::{DefaultHasher, Hash, Hasher};
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
    /// What was changed could not be changed back. That is still to be done.
    #[error("{why}; the files could not all be given back")]
    NotUndone {
        /// Why they were to be.
        why: String,
        /// Why they could not.
        source: InstallError,
    },
}

impl Restart<'_> {
    /// Makes `edits` by way of `apply` and restarts the engine, where they change something or a restart is still due from
    /// before. Tells whether it was restarted. The edits were found out under the same lock.
    ///
    /// # Errors
    /// [`RestartError`]; where these edits or an interrupted run's changed anything, the files are as they were when the engine ran
    /// with them last, and it was restarted with them.
    pub fn with(
        &self,
        _lock: &Lock,
        edits: &[Edit],
        apply: impl FnOnce() -> Result<(), InstallError>,
    ) -> Result<bool, RestartError> {
        if !self.is_due(edits) {
            return Ok(false);
        }
        let due = self.due();
        let failed = due.with_extension("failed");
        let asked = self.asked(edits);
        let noted = crate::text::read(&failed).unwrap_or_default();
        if let Some((why, known)) = noted.split_once('\n')
            && edits.iter().any(Edit::changes)
            && known == asked
        {
            return Err(RestartError::Known {
                command: self.command.to_owned(),
                why: why.to_owned(),
                failed,
            });
        }
        let now = edits.iter().map(Edit::saved).collect::<Result<Vec<_>, _>>()?;
        let was_due = crate::text::read(&due).ok();
        let back = way_back(&now, was_due.as_deref());
        let noted =
            serde_json::to_string(&back).map_err(|error| InstallError::io("write", &due, error.into()))?;
        note(&due, &noted).inspect_err(|_| {
            if was_due.is_none() {
                back.iter().for_each(Saved::forget);
            }
        })?;
        if let Err(error) = apply() {
            undo(&now, || chain(&error))?;
            match was_due {
                Some(text) => note(&due, &text)?,
                None => {
                    back.iter().for_each(Saved::forget);
                    remove(&due)?;
                }
            }
            return Err(error.into());
        }
        let Err(why) = self.run() else {
            back.iter().for_each(Saved::forget);
            remove(&failed)?;
            remove(&due)?;
            return Ok(true);
        };
        let mut after = String::new();
        if !back.iter().all(Saved::is_there) {
            undo(&back, || format!("`{}` failed ({why})", self.command))?;
            back.iter().for_each(Saved::forget);
            let noted = note(&failed, &format!("{why}\n{asked}"));
            let again = self.run();
            noted?;
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

    /// What tells this change from others, with the command: it may be what was wrong. Not the files themselves, which may hold
    /// passwords.
    fn asked(&self, edits: &[Edit]) -> String {
        let mut hasher = DefaultHasher::new();
        self.command.hash(&mut hasher);
        edits.iter().for_each(|edit| edit.outcome().hash(&mut hasher));
        format!("{:016x}", hasher.finish())
    }

    /// Whether the engine has to be restarted for `edits`, or still has to from before.
    pub fn is_due(&self, edits: &[Edit]) -> bool {
        edits.iter().any(Edit::changes) || self.due().exists()
    }

    /// Exists from before the files are changed until the engine runs with them, and holds what they were when it ran last.
    fn due(&self) -> PathBuf {
        lock::folder(self.state_dir).join(self.engine)
    }

    fn run(&self) -> Result<(), String> {
        let mut shell = Command::new("sh");
        shell.args(["-c", self.command]).stdin(Stdio::null());
        let _waiting = Progress::of(&format!("waiting for `{}`", self.command));
        match shell.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(status.to_string()),
            Err(error) => Err(format!("sh: {}", procemu::errno_text(&error))),
        }
    }
}

/// What the files were when the engine ran last: as they are, but for those of the interrupted run that noted `due`.
fn way_back(now: &[Saved], due: Option<&str>) -> Vec<Saved> {
    let noted: Vec<Saved> = due
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    // What others have changed since is not taken from them.
    let (mut interrupted, other): (Vec<_>, Vec<_>) = noted.into_iter().partition(Saved::is_ours);
    other.iter().for_each(Saved::forget);
    let mut back = Vec::new();
    for now in now {
        let same = interrupted.iter().position(|noted| noted.path() == now.path());
        back.push(match same {
            Some(at) => interrupted.swap_remove(at).before(now),
            None => {
                now.keep();
                now.clone()
            }
        });
    }
    back.extend(interrupted);
    back
}

/// Puts back as many as can be.
fn undo(saved: &[Saved], why: impl FnOnce() -> String) -> Result<(), RestartError> {
    let done: Vec<_> = saved.iter().map(Saved::restore).collect();
    match done.into_iter().collect() {
        Ok(()) => Ok(()),
        Err(source) => Err(RestartError::NotUndone { why: why(), source }),
    }
}

/// For root's eyes alone.
fn note(path: &Path, text: &str) -> Result<(), InstallError> {
    replace(path, text.as_bytes(), 0o600, None)
}
