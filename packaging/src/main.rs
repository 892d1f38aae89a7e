//! Writes what the packages have beside the programs, and the reference in `docs/`. All of it is made from what is there
//! already: the programs' command lines, the table format's schema, docs/bridge-toml.md and docs/tables.md.

mod bridge;
mod commands;
mod completions;
mod manual;
mod markdown;
mod reference;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Cmd,
}

#[derive(Subcommand)]
enum Cmd {
    /// Write manual pages, completions, profiles and the example bridge.toml
    Files {
        /// Folder for them
        folder: PathBuf,
        /// Date of the manual pages
        #[arg(long, value_name = "YYYY-MM-DD")]
        date: String,
    },
    /// Write the reference of the command lines and of the table format
    Reference {
        /// Folder for it
        folder: PathBuf,
    },
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Cmd::Files { folder, date } => files(&folder, &date),
        Cmd::Reference { folder } => write_all(&folder, reference::pages()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("packaging: {error}");
            ExitCode::FAILURE
        }
    }
}

fn files(folder: &Path, date: &str) -> Result<(), Box<dyn Error>> {
    write_all(&folder.join("man"), manual::pages(date)?)?;
    completions::write(&folder.join("completions"))?;
    let profiles = procemu::Profile::ALL
        .iter()
        .map(|profile| (format!("{}.toml", profile.name()), profile.toml().to_owned()));
    write_all(&folder.join("profiles"), profiles)?;
    fs::write(folder.join("bridge.toml"), bridge::example()?)?;
    Ok(())
}

/// Files by their names.
fn write_all(folder: &Path, files: impl IntoIterator<Item = (String, String)>) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    for (name, text) in files {
        fs::write(folder.join(name), text)?;
    }
    Ok(())
}
