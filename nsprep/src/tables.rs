//! `--profile`, `--table` and `--preset`: which tables, in the order of the command line.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{ArgAction, ArgMatches, Args, Command, FromArgMatches};
use procemu::{Preset, Profile, Table};

use crate::exit::Failure;

/// The profile that is used where none is named and no table is.
const DEFAULT: &str = "container";

/// One `--profile` or `--table`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    Profile(String),
    File(PathBuf),
}

/// The tables of the command line, in its order.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    sources: Vec<Source>,
    preset: Option<String>,
}

impl Tables {
    /// Reads and merges them, later ones over earlier ones; the preset's lies under all that was chosen.
    pub fn load(&self) -> Result<Table, Failure> {
        self.merged(Preset::table)
    }

    /// The same for a bundle.
    pub fn load_for_bundle(&self) -> Result<Table, Failure> {
        self.merged(Preset::container_table)
    }

    fn merged(&self, of_preset: fn(&Preset) -> Table) -> Result<Table, Failure> {
        let mut merged = match self.sources.is_empty() {
            true => Profile::get(DEFAULT).map_err(Failure::usage)?,
            false => Table::new(),
        };
        if let Some(preset) = self.preset()? {
            merged.merge(of_preset(&preset));
        }
        for source in &self.sources {
            merged.merge(match source {
                Source::Profile(name) => Profile::get(name).map_err(Failure::usage)?,
                Source::File(path) => read(path)?,
            });
        }
        merged.forget_removals();
        Ok(merged)
    }

    /// `--preset`.
    pub fn preset(&self) -> Result<Option<Preset>, Failure> {
        let found = self.preset.as_deref().map(Preset::find);
        found.transpose().map_err(Failure::usage)
    }
}

fn read(path: &Path) -> Result<Table, Failure> {
    let failed = |what: &dyn std::fmt::Display| Failure::usage(format!("table {}: {what}", path.display()));
    let mut bytes = Vec::new();
    let limit = Table::MAX_BYTES as u64 + 1;
    let file = File::open(path).map_err(|e| failed(&procemu::errno_text(&e)))?;
    file.take(limit)
        .read_to_end(&mut bytes)
        .map_err(|e| failed(&procemu::errno_text(&e)))?;
    let text = String::from_utf8(bytes).map_err(|_| failed(&"is not UTF-8 text; a table is TOML or JSON"))?;
    Table::from_str_named(&text, &path.display().to_string()).map_err(Failure::usage)
}

impl FromArgMatches for Tables {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut tables = Self::default();
        tables.update_from_arg_matches(matches)?;
        Ok(tables)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        let mut found: Vec<(usize, Source)> = Vec::new();
        let indices = |name| matches.indices_of(name).into_iter().flatten();
        let profiles = matches
            .get_many::<String>("profile")
            .into_iter()
            .flatten()
            .cloned()
            .map(Source::Profile);
        let files = matches
            .get_many::<PathBuf>("table")
            .into_iter()
            .flatten()
            .cloned()
            .map(Source::File);
        found.extend(indices("profile").zip(profiles));
        found.extend(indices("table").zip(files));
        found.sort_by_key(|(index, _)| *index);
        self.sources = found.into_iter().map(|(_, source)| source).collect();
        self.preset = matches.get_one("preset").cloned();
        Ok(())
    }
}

impl Args for Tables {
    fn augment_args(command: Command) -> Command {
        let profile = clap::Arg::new("profile")
            .long("profile")
            .short('p')
            .value_name("NAME")
            .action(ArgAction::Append)
            .help("Add a built-in profile; repeats, later ones win [default: container]");
        let table = clap::Arg::new("table")
            .long("table")
            .short('t')
            .value_name("FILE")
            .action(ArgAction::Append)
            .value_parser(clap::value_parser!(PathBuf))
            .help("Add a table from a TOML or JSON file; repeats, later ones win");
        let preset = clap::Arg::new("preset").long("preset").value_name("NAME").help(
            "Add what an environment needs, under all profiles and tables; `nsprep profiles` lists presets",
        );
        command.arg(profile).arg(table).arg(preset)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}
