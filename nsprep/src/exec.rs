//! `exec`: a program in a mount namespace of its own, with the keys that it lacks.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use clap::Args;
use procemu::{Ids, errno_text};

use crate::exit::{Exit, Failure};
use crate::layers::{attach_prepared, prepare};
use crate::place::Place;
use crate::tables::Tables;

/// Options of `exec`.
#[derive(Args, Debug)]
pub struct Exec {
    #[command(flatten)]
    tables: Tables,
    /// Show the caller as root, in a user namespace, where the caller is not root
    #[arg(long)]
    map_root: bool,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD")]
    command: Vec<OsString>,
}

impl Exec {
    /// `nsprep exec`: returns only where the command could not be started.
    pub fn run(&self) -> Result<Exit, Failure> {
        self.prepare().map_err(|failure| Failure {
            exit: Exit::ExecFailed,
            ..failure
        })?;
        let Some((program, arguments)) = self.command.split_first() else {
            return Err(Failure {
                exit: Exit::ExecFailed,
                line: "exec: no command given".to_owned(),
            });
        };
        let error = Command::new(program).args(arguments).exec();
        let exit = match error.kind() {
            io::ErrorKind::NotFound => Exit::NotFound,
            _ => Exit::CannotExecute,
        };
        Err(Failure {
            exit,
            line: format!("exec {}: {}", program.to_string_lossy(), errno_text(&error)),
        })
    }

    /// Looks and plans while this is still the caller's namespace: where nothing is lacking, the program stays in it.
    fn prepare(&self) -> Result<(), Failure> {
        let mut table = self.tables.load()?;
        let outside = Place::here()?;
        let prepared = prepare(&outside, &mut table, &outside.proc)?;
        let wants_root = self.map_root && !nix::unistd::geteuid().is_root();
        if prepared.plan.is_empty() && !wants_root {
            return Ok(());
        }
        let proc = procemu::private(if self.map_root { Ids::Root } else { Ids::Kept })?;
        attach_prepared(&Place { proc, ..outside }, &prepared)?;
        Ok(())
    }
}
