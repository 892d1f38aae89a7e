//! `install`, `uninstall`: what an administrator types.

use crate::config::Config;
use crate::install::{self, Edit, InstallError, Installation, Lock, Request, Restart, Target};
use crate::locate;
use crate::templates;
use crate::text;
use clap::{Args, ValueEnum};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// An engine, or a folder that engines read.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Name {
    Containerd,
    K3s,
    Docker,
    Podman,
    Crio,
    /// OCI hooks of podman and CRI-O: the hook alone
    HooksDir,
    /// A CDI device: the hook alone
    Cdi,
}

/// `install`.
#[derive(Args)]
pub struct Install {
    /// Which engine
    #[arg(value_enum)]
    target: Name,
    #[command(flatten)]
    at: At,
    /// For all containers, not only for those that ask for the runtime `procemu`
    #[arg(long)]
    as_default: bool,
    /// Have the engine call the runtime with --no-new-keyring
    #[arg(long)]
    no_new_keyring: bool,
    /// The runtime to stand in for, by its name or path (default: that of containerd's and dockerd's file; of podman and CRI-O crun,
    /// else runc; of k3s runc)
    #[arg(long, value_name = "NAME")]
    runtime: Option<String>,
}

/// `uninstall`.
#[derive(Args)]
pub struct Uninstall {
    /// Which engine
    #[arg(value_enum)]
    target: Name,
    #[command(flatten)]
    at: At,
}

#[derive(Args)]
struct At {
    /// The engine's file (default: where the engine looks for it)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Only print what would be done, and the change of the file as a unified diff
    #[arg(long)]
    dry_run: bool,
    /// Where something was changed, run COMMAND (by sh) to restart the engine; where it fails, undo the change and run it again
    #[arg(long, value_name = "COMMAND", value_parser = command)]
    restart: Option<String>,
}

impl At {
    /// Taken before it is found out what is to be done, where anything will be. Who is not root has none, and files of his own.
    fn lock(&self, state_dir: &Path) -> Result<Option<Lock>, InstallError> {
        if self.dry_run {
            return Ok(None);
        }
        match Lock::take(state_dir) {
            Err(InstallError::Io { source, .. })
                if self.restart.is_none() && source.kind() == ErrorKind::PermissionDenied =>
            {
                Ok(None)
            }
            lock => lock.map(Some),
        }
    }

    /// Makes `edits` by way of `apply`, and what becomes of them known; or only says what would be done.
    fn make(
        &self,
        lock: Option<&Lock>,
        targets: &[Target],
        edits: &[Edit],
        unchanged: &str,
        state_dir: &Path,
        apply: impl FnOnce() -> Result<(), InstallError>,
    ) -> Result<(), Box<dyn Error>> {
        let restart = self
            .restart
            .as_ref()
            .zip(targets.first())
            .map(|(command, target)| Restart {
                command,
                engine: target.name(),
                state_dir,
            });
        if self.dry_run {
            edits.iter().for_each(|edit| print!("{}", edit.diff()));
            if let Some(restart) = restart.filter(|restart| restart.is_due(edits)) {
                println!("would run: {}", restart.command);
            }
            return Ok(());
        }
        let restarted = match (restart, lock) {
            (Some(restart), Some(lock)) => restart.with(lock, edits, apply)?,
            _ => {
                apply()?;
                false
            }
        };
        for edit in edits {
            let is = if edit.changes() { "is changed" } else { unchanged };
            println!("{} {is}", edit.path().display());
        }
        let changed = targets.iter().zip(edits).find(|(_, edit)| edit.changes());
        let reload = changed.and_then(|(target, edit)| target.reload(self.config.as_deref(), edit));
        match (&self.restart, reload) {
            (Some(command), _) if restarted => println!("done: {command}"),
            (None, Some(reload)) => println!("now: {reload}"),
            _ => {}
        }
        Ok(())
    }
}

impl Install {
    /// Finds out everything, then changes everything.
    ///
    /// # Errors
    /// What stands in the way; said before anything is changed, where it can be known then.
    pub fn run(self) -> Result<(), Box<dyn Error>> {
        let config = Config::load(None)?;
        // Wrong tables would fail each container.
        config.table(&BTreeMap::new())?;
        let lock = self.at.lock(&config.state_dir)?;
        let bridge = locate::own()?;
        let file = self.at.config.as_deref().map(std::path::absolute).transpose()?;
        let request = |target| Request {
            target,
            file: file.clone(),
            default: self.as_default,
            no_new_keyring: self.no_new_keyring,
            runtime: self.runtime.clone(),
            config: config.clone(),
            bridge: bridge.clone(),
        };
        let targets = targets(self.target, file.as_deref())?;
        let found = targets
            .iter()
            .map(|target| install::install(&request(*target)))
            .collect::<Result<Vec<_>, _>>()?;
        let edits: Vec<_> = found.iter().map(|each| each.edit.clone()).collect();
        // One for both of k3s' files.
        let links: BTreeSet<_> = found.iter().filter_map(Installation::link).collect();
        let state_dir = &config.state_dir;
        if self.at.dry_run {
            for link in &links {
                println!("{} would lead to {}", link.display(), bridge.display());
            }
        }
        self.at.make(
            lock.as_ref(),
            &targets,
            &edits,
            "is as it was asked for",
            state_dir,
            || {
                found.iter().try_for_each(Installation::apply)?;
                for link in links {
                    println!("{} leads to {}", link.display(), bridge.display());
                }
                Ok(())
            },
        )
    }
}

impl Uninstall {
    /// As [`Install::run`].
    ///
    /// # Errors
    /// As [`Install::run`].
    pub fn run(self) -> Result<(), Box<dyn Error>> {
        // Taken out also where bridge.toml is wrong.
        let state_dir = &Config::load(None).unwrap_or_default().state_dir;
        let lock = self.at.lock(state_dir)?;
        let file = self.at.config.as_deref().map(std::path::absolute).transpose()?;
        let targets = targets(self.target, file.as_deref())?;
        let edits = targets
            .iter()
            .map(|target| install::uninstall(*target, file.as_deref()))
            .collect::<Result<Vec<_>, _>>()?;
        self.at.make(
            lock.as_ref(),
            &targets,
            &edits,
            "has nothing of ours",
            state_dir,
            || edits.iter().try_for_each(Edit::apply),
        )?;
        if self.at.dry_run {
            return Ok(());
        }
        match templates::clear(state_dir) {
            // Another user's.
            Err(error) if error.kind() == procemu::ErrorKind::Denied => Ok(()),
            cleared => Ok(cleared?),
        }
    }
}

/// A command that `sh` would do nothing for restarts nothing.
fn command(given: &str) -> Result<String, &'static str> {
    match given.trim().is_empty() {
        true => Err("expected a command that restarts the engine"),
        false => Ok(given.to_owned()),
    }
}

/// What is meant: of k3s' two templates the one that `file` names, else the one of its containerd, else both.
pub fn targets(name: Name, file: Option<&Path>) -> Result<Vec<Target>, InstallError> {
    Ok(match (name, file) {
        (Name::K3s, Some(file)) => vec![Target::template(file)?],
        (Name::K3s, None) => k3s(),
        (Name::Containerd, _) => vec![Target::Containerd],
        (Name::Docker, _) => vec![Target::Docker],
        (Name::Podman, _) => vec![Target::Podman],
        (Name::Crio, _) => vec![Target::Crio],
        (Name::HooksDir, _) => vec![Target::HooksDir],
        (Name::Cdi, _) => vec![Target::Cdi],
    })
}

fn k3s() -> Vec<Target> {
    // What k3s made of its templates last.
    let made = text::read(&Target::K3sV2.file().with_file_name("config.toml")).unwrap_or_default();
    match made.lines().find_map(|line| line.strip_prefix("version = ")) {
        Some("2") => vec![Target::K3sV2],
        Some("3") => vec![Target::K3sV3],
        _ => vec![Target::K3sV2, Target::K3sV3],
    }
}
