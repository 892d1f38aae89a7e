//! `exec`: a program in a mount namespace of its own, with the keys that it lacks.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use clap::Args;
use procemu::{Ids, Roots, Table, errno_text};

use crate::exit::{Exit, Failure};
use crate::layers::attach_prepared;
use crate::ns::{self, State};
use crate::pins::{Pins, parse_name};
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
    /// Run CMD in the prepared mount namespace of that name, which the first such call makes; what CMD lacks there is
    /// attached for all
    #[arg(long, value_name = "NAME", value_parser = parse_name, conflicts_with_all = ["map_root", "join"])]
    ns: Option<String>,
    /// Run CMD in the mount namespace of the process PID; what CMD lacks there is attached for all
    #[arg(long, value_name = "PID", conflicts_with = "map_root")]
    join: Option<u32>,
    #[command(flatten)]
    state: State,
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
        Err(become_command(&self.command))
    }

    /// Looks and plans while this is still the caller's namespace: where nothing is lacking, the program stays in it.
    fn prepare(&self) -> Result<(), Failure> {
        let mut table = self.tables.load()?;
        if let Some(pid) = self.join {
            ns::enter(&ns::open(&pid.to_string())?, &format!("join {pid}"))?;
            return attach_here(&mut table);
        }
        if let Some(name) = &self.ns {
            return self.prepare_named(name, &mut table);
        }
        let outside = Place::here()?;
        let prepared = outside.prepare(&mut table, &outside.roots)?;
        let wants_root = self.map_root && !nix::unistd::geteuid().is_root();
        if prepared.plans.is_empty() && !wants_root {
            return Ok(());
        }
        let roots = Roots::private(if self.map_root { Ids::Root } else { Ids::Kept })?;
        attach_prepared(&Place { roots, ..outside }, &prepared)?.keep();
        Ok(())
    }

    /// The lock is held until all is attached, so that calls at once make one namespace and see it prepared.
    fn prepare_named(&self, name: &str, table: &mut Table) -> Result<(), Failure> {
        let what = format!("ns {name}");
        let pins = Pins::make(&self.state.state_dir)?;
        if let Some(namespace) = pins.get(name)? {
            ns::enter(&namespace, &what)?;
            return attach_here(table);
        }
        let outside = ns::open("self")?;
        let namespace = ns::make(&pins, name)?;
        ns::enter(&namespace, &what)?;
        attach_here(table).or_else(|failure| {
            ns::enter(&outside, &what)?;
            pins.remove(name)?;
            Err(failure)
        })
    }
}

/// Becomes `command`; returns only where that cannot be started.
pub fn become_command(command: &[OsString]) -> Failure {
    let Some((program, arguments)) = command.split_first() else {
        return Failure {
            exit: Exit::ExecFailed,
            line: "exec: no command given".to_owned(),
        };
    };
    let error = Command::new(program).args(arguments).exec();
    let exit = match error.kind() {
        io::ErrorKind::NotFound => Exit::NotFound,
        _ => Exit::CannotExecute,
    };
    Failure {
        exit,
        line: format!("exec {}: {}", program.to_string_lossy(), errno_text(&error)),
    }
}

/// Attaches what is lacking in the namespace that the process is in by now.
fn attach_here(table: &mut Table) -> Result<(), Failure> {
    let place = Place::here()?;
    let prepared = place.prepare(table, &place.roots)?;
    attach_prepared(&place, &prepared)?.keep();
    Ok(())
}
