//! `status`: where the bridge is installed.

use super::install::{Name, targets};
use crate::install::{self, Handler, Target};
use crate::report::chain;
use clap::Args;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// `status`.
#[derive(Args)]
pub struct Status {
    /// Which engine (default: all that have a file)
    #[arg(value_enum)]
    target: Option<Name>,
    /// The engine's file (default: where the engine looks for it)
    #[arg(long, value_name = "FILE", requires = "target")]
    config: Option<PathBuf>,
}

impl Status {
    /// Prints a line for each file; fails where one cannot be understood, or names a program that is gone.
    ///
    /// # Errors
    /// If the working folder, to which the file's name is relative, cannot be found.
    pub fn run(self) -> Result<ExitCode, Box<dyn Error>> {
        let named = self.config.as_deref().map(std::path::absolute).transpose()?;
        let targets = match self.target {
            Some(name) => targets(name, named.as_deref())?,
            None => Target::ALL.to_vec(),
        };
        let mut all_well = true;
        let mut is_silent = true;
        for target in targets {
            let file = named.as_deref().unwrap_or(target.file());
            let line = match install::status(target, named.as_deref()) {
                Ok(None) if file.exists() => format!("{}: not installed", file.display()),
                Ok(None) if self.target.is_some() => {
                    format!("{}: not installed, nor is there such a file", file.display())
                }
                Ok(None) => continue,
                Ok(Some(handler)) => {
                    let gone = gone(Path::new(&handler.program));
                    all_well &= gone.is_none();
                    format!(
                        "{}: {}{}",
                        file.display(),
                        told(&handler),
                        gone.unwrap_or_default()
                    )
                }
                Err(error) => {
                    all_well = false;
                    chain(&error)
                }
            };
            is_silent = false;
            println!("{}: {line}", target.name());
        }
        if is_silent {
            println!(
                "not installed: no engine has a file where it is looked for, name one with `status TARGET --config FILE`"
            );
        }
        Ok(if all_well {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

fn told(handler: &Handler) -> String {
    let whom = match handler.default {
        true => "all containers",
        false => "those that ask for it",
    };
    let keyring = match handler.no_new_keyring {
        true => ", --no-new-keyring",
        false => "",
    };
    format!("{}, for {whom}{keyring}", handler.program)
}

/// What is wrong where the engine would find nothing to execute.
fn gone(program: &Path) -> Option<String> {
    if !program.is_absolute() || program.exists() {
        return None;
    }
    Some(match program.read_link() {
        Ok(to) => format!("; but it leads to {}, which is not there", to.display()),
        Err(_) => "; but it is not there".to_owned(),
    })
}
