//! `nsprep`: prepares a program, a bundle or a running namespace with the `/proc/sys` keys that its kernel lacks.
//!
//! A library only so that what describes the command line (manual pages, completions) can ask for it; its API is the program's.

mod bundle;
mod capture;
mod diff;
mod doctor;
mod examples;
mod exec;
mod exit;
mod layers;
mod ns;
mod output;
mod pins;
mod place;
mod plan_tree;
mod profiles;
mod report;
mod shown;
mod tables;
mod tap;

use std::process::{ExitCode, Termination};
use std::time::Instant;

use clap::{Command, CommandFactory, Parser, Subcommand};
use runtime_bridge::events::Telling;

use exit::{Exit, Failure};

/// Prepare a program, a bundle or a running namespace with the /proc/sys keys its kernel lacks
#[derive(Parser, Debug)]
#[command(version, max_term_width = 100, after_help = EXIT_CODES)]
struct Cli {
    #[command(flatten)]
    telling: Telling,
    #[command(subcommand)]
    command: Commands,
}

const EXIT_CODES: &str = "Exit codes:
  0    done
  1    verify or plan --diff found differences; doctor found something, or does not know the text
  2    the command line, a table, a bundle or a path is wrong; nothing was tried
  3    the place or the process's privileges do not allow it; nothing was changed
  4    a step failed; what had been done was undone
  125  exec: failed before CMD; 126: CMD cannot be executed; 127: CMD not found; else CMD's own
       (doctor -- CMD likewise)";

#[derive(Subcommand, Debug)]
enum Commands {
    /// Show what would be attached
    #[command(after_long_help = examples::PLAN)]
    Plan(layers::Plan),
    /// Run CMD in a private mount namespace with the keys that it lacks
    #[command(after_long_help = examples::EXEC)]
    Exec(exec::Exec),
    /// List or forget the namespaces that `exec --ns` made
    #[command(after_long_help = examples::NS)]
    Ns(ns::Ns),
    /// Attach the keys that are lacking to a procfs
    #[command(after_long_help = examples::ATTACH)]
    Attach(layers::TableInPlace),
    /// Take off what was attached
    #[command(after_long_help = examples::DETACH)]
    Detach(layers::Detach),
    /// Compare every key of the table with what a reader sees
    #[command(after_long_help = examples::VERIFY)]
    Verify(layers::Verify),
    /// Make a bundle self-sufficient for a plain `runc run`: hook and rewrite in its config.json
    #[command(after_long_help = examples::BUNDLE)]
    Bundle(bundle::Bundle),
    /// Say what programs and containers will miss here and how to cure it, explain an error, or watch CMD
    #[command(after_long_help = format!("{}\n\n{}", doctor::AFTER_HELP, examples::DOCTOR))]
    Doctor(doctor::Doctor),
    /// Write all that doctor, plan and verify tell into one HTML page
    #[command(after_long_help = examples::REPORT)]
    Report(report::Report),
    /// Write a table from this kernel's /proc/sys
    #[command(after_long_help = examples::CAPTURE)]
    Capture(capture::Capture),
    /// List the built-in profiles and presets, or print one
    #[command(after_long_help = examples::PROFILES)]
    Profiles(profiles::Profiles),
    /// Print the JSON Schema of tables
    Schema,
}

/// The command line.
#[must_use]
pub fn command() -> Command {
    Cli::command()
}

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    let begun = Instant::now();
    match Cli::try_parse() {
        Ok(cli) => {
            cli.telling.begin("nsprep", begun);
            run(&cli)
        }
        Err(error) => wrong(&error),
    }
    .report()
}

fn run(cli: &Cli) -> Exit {
    let outcome = match &cli.command {
        Commands::Plan(args) => args.run(),
        Commands::Exec(args) => args.run(),
        Commands::Ns(args) => args.run(),
        Commands::Attach(args) => args.attach(),
        Commands::Detach(args) => args.run(),
        Commands::Verify(args) => args.run(),
        Commands::Bundle(args) => args.run(),
        Commands::Doctor(args) => args.run(),
        Commands::Report(args) => args.run(),
        Commands::Capture(args) => args.run(),
        Commands::Profiles(args) => args.run(),
        Commands::Schema => output::print_json(&procemu::json_schema()).map(|()| Exit::Done),
    };
    outcome.unwrap_or_else(fail)
}

/// Prints help, or what is wrong with the command line. Where there is a command to run, that is a failure before it, whose own
/// exit codes it must not look like.
fn wrong(error: &clap::Error) -> Exit {
    // Nobody is left to tell where it cannot be printed.
    let _ = error.print();
    let mut arguments = std::env::args_os().skip(1);
    match (error.use_stderr(), arguments.next()) {
        (false, _) => Exit::Done,
        (true, Some(command)) if command == "exec" => Exit::ExecFailed,
        (true, Some(command)) if command == "doctor" && arguments.any(|word| word == "--") => {
            Exit::ExecFailed
        }
        (true, _) => Exit::Usage,
    }
}

/// Says what failed in one line on standard error.
fn fail(failure: Failure) -> Exit {
    eprintln!("nsprep: {}", failure.line);
    failure.exit
}
