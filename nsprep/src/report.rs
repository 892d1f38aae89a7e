//! `report`: what doctor, plan and verify tell of a place, on one page that needs nothing else.

mod badge;
mod file;
mod keys;
mod page;
mod place;
mod tree;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Args;
use procemu::{Roots, Table};
use serde::{Deserialize, Serialize};

use crate::diff::{self, Diff};
use crate::doctor::Found;
use crate::exit::{Exit, Failure};
use crate::output::print;
use crate::place::{Place, PlaceArgs};
use crate::plan_tree::{self, Node};
use crate::tables::Tables;

/// Options of `report`.
#[derive(Args, Debug)]
pub struct Report {
    #[command(flatten)]
    tables: Tables,
    #[command(flatten)]
    place: PlaceArgs,
    /// Write the page to FILE; `-` writes it to standard output
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

/// What the page is about.
pub struct Told {
    /// What `doctor` finds, always of where nsprep itself runs.
    pub found: Found,
    /// The place that the table was compared with.
    pub place: String,
    /// The keys of it, or why they could not be looked at.
    pub seen: Result<Seen, String>,
    /// When that was.
    pub at: SystemTime,
}

/// What `plan` and `verify` find.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Seen {
    /// The plan.
    pub tree: Vec<Node>,
    /// Every key of the table, with what the plan would change and what `verify` says.
    pub diff: Diff,
}

impl Report {
    /// `nsprep report`.
    pub fn run(&self) -> Result<Exit, Failure> {
        self.place.prepare()?;
        let file = match self.output == Path::new("-") {
            true => None,
            false => Some(file::Target::new(&self.output)?),
        };
        let table = self.tables.load()?;
        let host = Roots::open();
        let told = Told {
            seen: self.place.fetch(|place| Ok(look(place, table, &host)))?,
            place: self.place.shown(),
            found: Found::look(&[])?,
            at: SystemTime::now(),
        };
        let page = page::page(&told);
        match file {
            Some(file) => file.write(&page)?,
            None => print(&page)?,
        }
        Ok(Exit::Done)
    }
}

fn look(place: &Place, mut table: Table, host: &Roots) -> Result<Seen, String> {
    let mut look = || -> Result<Seen, Failure> {
        let prepared = place.prepare(&mut table, host)?;
        let checks = place.roots.verify(&table, Some(host), place.writes())?;
        Ok(Seen {
            tree: plan_tree::tree(&prepared, &place.roots, &checks),
            diff: diff::diff(place, &prepared, &checks)?,
        })
    };
    look().map_err(|failure| failure.line)
}
