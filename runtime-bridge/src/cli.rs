//! `runtime-bridge`: hook and tools under its own name; under any other, the runtime of that name.

mod examples;
mod install;
mod status;

use crate::bundle::{self, Options};
use crate::config::{Config, NO_STATE_DIR};
use crate::events::Telling;
use crate::hook::{self, HookError};
use crate::locate;
use crate::node;
use crate::report::chain;
use crate::shim;
use crate::wrapper::{self, Program};
use clap::{Command, CommandFactory, Parser, Subcommand};
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// Give containers the /proc/sys keys that their kernel lacks, behind an unchanged OCI runtime
///
/// Called by another name (a link `runc` or `procemu-runc`), stands in for the runtime of that name; as
/// `containerd-shim-procemu-v2` it is containerd's shim for runc, which then finds it as its runc.
#[derive(Parser)]
#[command(name = "runtime-bridge", version)]
struct Cli {
    #[command(flatten)]
    telling: Telling,
    #[command(subcommand)]
    command: Cmd,
}

#[derive(Subcommand)]
enum Cmd {
    /// Prepare the container whose state is on stdin; what the rewritten config.json calls
    Hook {
        /// Configuration for a bundle that carries no job of its own (default: /etc/procemu/bridge.toml, if it exists)
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Rewrite a bundle's config.json and print what changed and why
    #[command(after_long_help = examples::REWRITE)]
    Rewrite {
        /// Folder with the config.json
        bundle: PathBuf,
        /// Runtime that will read it (default: any that takes createContainer hooks and every ociVersion)
        #[arg(long, value_name = "PATH")]
        runtime: Option<PathBuf>,
        /// Configuration (default: /etc/procemu/bridge.toml, if it exists)
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Print the changes only
        #[arg(long)]
        dry_run: bool,
    },
    /// Tell an engine of the bridge: a runtime `procemu` beside its own
    #[command(after_long_help = examples::INSTALL)]
    Install(install::Install),
    /// Take out again what `install` put in
    #[command(after_long_help = examples::UNINSTALL)]
    Uninstall(install::Uninstall),
    /// Show where the bridge is installed
    #[command(after_long_help = examples::STATUS)]
    Status(status::Status),
    /// From a privileged pod with hostPID: put this program on the node, at /opt/procemu/bin, and there run it with ARGS
    #[command(after_long_help = examples::NODE)]
    Node {
        /// A folder with bridge.toml and tables, for the node's /etc/procemu
        #[arg(long, value_name = "DIR")]
        files: Option<PathBuf>,
        /// Such as `install containerd --restart 'systemctl restart containerd'`
        #[arg(last = true, required = true)]
        args: Vec<OsString>,
    },
    /// Do nothing until a signal ends it: what a pod does that has no more to do
    Stay,
    /// Stand in for a runtime: prepare what ARGS ask for, then execute it with them
    #[command(after_long_help = examples::RUNTIME)]
    Runtime {
        /// The real runtime
        #[arg(long, value_name = "PATH")]
        exec: PathBuf,
        /// Configuration (default: /etc/procemu/bridge.toml, if it exists)
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// The runtime's arguments
        #[arg(last = true)]
        args: Vec<OsString>,
    },
}

/// The command line under its own name.
#[must_use]
pub fn command() -> Command {
    Cli::command()
}

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let called = args.next().unwrap_or_default();
    let name = Path::new(&called)
        .file_name()
        .unwrap_or(OsStr::new("runtime-bridge"));
    if name == shim::NAME {
        return ended(Err(shim::run(&args.collect::<Vec<_>>()).into()));
    }
    if name != "runtime-bridge" {
        return stand_in(&Program::Named(name.to_owned()), &args.collect::<Vec<_>>(), None);
    }
    // As every container's start calls it: without clap, which takes longer than all else up to the first look at the bundle.
    if args.len() == 1 && args.next().is_some_and(|command| command == "hook") {
        return hook(None);
    }
    let begun = Instant::now();
    let cli = Cli::parse();
    // Those tell them where the engine is told of errors.
    if !matches!(cli.command, Cmd::Hook { .. } | Cmd::Runtime { .. }) {
        cli.telling.begin("runtime-bridge", begun);
    }
    match cli.command {
        Cmd::Hook { config } => hook(config.as_deref()),
        Cmd::Rewrite {
            bundle,
            runtime,
            config,
            dry_run,
        } => ended(rewrite(&bundle, runtime.as_deref(), config.as_deref(), dry_run)),
        Cmd::Install(args) => ended(args.run()),
        Cmd::Uninstall(args) => ended(args.run()),
        Cmd::Status(args) => args.run().unwrap_or_else(|error| ended(Err(error))),
        Cmd::Node { files, args } => ended(Err(node::run(files.as_deref(), &args).into())),
        Cmd::Stay => loop {
            std::thread::park();
        },
        Cmd::Runtime { exec, config, args } => stand_in(&Program::At(exec), &args, config.as_deref()),
    }
}

fn hook(config: Option<&Path>) -> ExitCode {
    match hook::run(&mut std::io::stdin().lock(), config) {
        Err(HookError::Reported) => ExitCode::FAILURE,
        other => ended(other.map_err(Into::into)),
    }
}

fn ended(outcome: Result<(), Box<dyn std::error::Error>>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("runtime-bridge: {}", chain(&*error));
            ExitCode::FAILURE
        }
    }
}

/// Does not return where all is well.
fn stand_in(program: &Program, args: &[OsString], config: Option<&Path>) -> ExitCode {
    wrapper::run(program, args, config);
    ExitCode::FAILURE
}

fn rewrite(
    dir: &Path,
    runtime: Option<&Path>,
    config: Option<&Path>,
    dry_run: bool,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut config = Config::load(config)?;
    if dry_run {
        config.state_dir = NO_STATE_DIR.into();
    }
    let runtime = runtime.map(locate::at).transpose()?;
    let hook = locate::own()?;
    let options = Options {
        config: &config,
        table: None,
        compiled: None,
        runtime: runtime.as_deref(),
        hook: &hook,
        log: None,
        events: None,
        stays: false,
        around: None,
        container: None,
        // Where the runtime keeps its state is not known here.
        asking: None,
    };
    let rewriting = bundle::rewrite(dir, &options)?;
    if !dry_run {
        rewriting.write()?;
    }
    let mut text: String = rewriting
        .changes()
        .iter()
        .map(|change| format!("{change}\n"))
        .collect();
    if text.is_empty() {
        text = "nothing to change\n".to_owned();
    }
    let mut out = std::io::stdout().lock();
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush())
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        // Who is told of a failure has the bundle as it was.
        if !dry_run {
            rewriting.undo()?;
        }
        return Err(format!("standard output: {}", procemu::errno_text(&error)).into());
    }
    Ok(())
}
