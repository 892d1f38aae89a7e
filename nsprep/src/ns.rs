//! `ns`: the namespaces that `exec --ns` made; and how a program gets into one.

use std::fs::File;
use std::iter;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use nix::sched::{CloneFlags, CpuSet, sched_getaffinity, sched_setaffinity, setns};
use nix::unistd::Pid;
use procemu::{Ids, errno_text};
use serde_json::json;

use crate::exit::{Exit, Failure};
use crate::output::{print, print_json};
use crate::pins::{Pins, none, parse_name};

/// Where the pins are.
#[derive(Args, Debug)]
pub struct State {
    /// Folder that holds the names
    #[arg(long, value_name = "DIR", default_value = "/run/procemu")]
    pub state_dir: PathBuf,
}

/// Options of `ns`.
#[derive(Args, Debug)]
pub struct Ns {
    #[command(subcommand)]
    command: Commands,
}

#[derive(Subcommand, Debug)]
enum Commands {
    /// List them
    List {
        #[command(flatten)]
        state: State,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Forget one; it ends with the last program in it
    Remove {
        /// Its name
        #[arg(value_parser = parse_name)]
        name: String,
        #[command(flatten)]
        state: State,
    },
}

impl Ns {
    /// `nsprep ns`.
    pub fn run(&self) -> Result<Exit, Failure> {
        match &self.command {
            Commands::List { state, json } => list(state, *json),
            Commands::Remove { name, state } => {
                let pins = Pins::existing(&state.state_dir)?.ok_or_else(|| none(name))?;
                pins.remove(name)?;
                Ok(Exit::Done)
            }
        }
    }
}

fn list(state: &State, json: bool) -> Result<Exit, Failure> {
    let pins = match Pins::existing(&state.state_dir)? {
        Some(pins) => pins.list()?,
        None => Vec::new(),
    };
    if json {
        let list: Vec<_> = pins
            .iter()
            .map(|pin| json!({ "name": pin.name, "mnt": pin.number }))
            .collect();
        print_json(&list)?;
    } else {
        let line = |number| match number {
            Some(number) => format!("mnt:[{number}]"),
            None => "stale".to_owned(),
        };
        let lines = pins
            .iter()
            .map(|pin| format!("{} {}\n", pin.name, line(pin.number)));
        print(&lines.collect::<String>())?;
    }
    Ok(Exit::Done)
}

/// The mount namespace of the process `pid` (`self` for the caller's).
pub fn open(pid: &str) -> Result<File, Failure> {
    let path = format!("/proc/{pid}/ns/mnt");
    File::open(&path).map_err(|e| Failure::usage(format!("open({path}): {}", errno_text(&e))))
}

/// Moves the process, which must have one thread, into the mount namespace `namespace`, and there into the folder it is
/// in now. `what` names it in errors.
pub fn enter(namespace: &File, what: &str) -> Result<(), Failure> {
    let folder = std::env::current_dir();
    setns(namespace, CloneFlags::CLONE_NEWNS).map_err(|e| Failure {
        exit: Exit::Denied,
        line: match e {
            nix::Error::EINVAL => format!("{what}: not a mount namespace"),
            nix::Error::EPERM => {
                format!("{what}: this process lacks CAP_SYS_ADMIN: setns: operation not permitted")
            }
            _ => format!("{what}: setns: {}", errno_text(&e.into())),
        },
    })?;
    folder.and_then(std::env::set_current_dir).map_err(|e| {
        Failure::usage(format!(
            "{what}: the current folder is not there: {}",
            errno_text(&e)
        ))
    })
}

/// Makes a mount namespace whose `/proc` is private and gives it that name. The process, which must have one thread,
/// stays where it is.
///
/// A kernel pins no namespace that it takes for an older one than the caller's, lest two of them pin each other. From
/// Linux 6.18 on the numbers by which it tells are dealt out to the processors in batches: a new one's may be lower than
/// that of the caller's, but not on the processor that the caller's was made on.
pub fn make(pins: &Pins, name: &str) -> Result<File, Failure> {
    let what = format!("ns {name}");
    let refused = |line: String| Failure {
        exit: Exit::Failed,
        line: format!("{what}: {line}"),
    };
    let (outside, this) = (open("self")?, Pid::from_raw(0));
    let allowed = sched_getaffinity(this)
        .map_err(|e| refused(format!("sched_getaffinity: {}", errno_text(&e.into()))))?;
    let each = (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu).unwrap_or(false));
    let alone = each.filter_map(|cpu| {
        let mut set = CpuSet::new();
        set.set(cpu).ok().map(|()| set)
    });
    let mut made = None;
    for processors in iter::once(allowed).chain(alone) {
        // Where that is refused, this try is like the one before.
        let _ = sched_setaffinity(this, &processors);
        procemu::private(Ids::Kept)?;
        let inside = open("self")?;
        enter(&outside, &what)?;
        if pins.pin(name, &inside)? {
            made = Some(inside);
            break;
        }
    }
    sched_setaffinity(this, &allowed)
        .map_err(|e| refused(format!("sched_setaffinity: {}", errno_text(&e.into()))))?;
    made.ok_or_else(|| {
        refused("the kernel pins no namespace made here: mount(MS_BIND): invalid argument".to_owned())
    })
}
