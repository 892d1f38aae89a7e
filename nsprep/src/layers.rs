//! `attach`, `detach`, `verify` and `plan`: the commands about one place.

use std::fmt::Write;

use clap::{Args, ValueEnum};
use procemu::{Attached, Check, Filesystem, Options, Roots, Table};
use serde_json::{Value, json};

use crate::diff::{self, Diff};
use crate::exit::{Exit, Failure};
use crate::output::{print, print_json, show};
use crate::place::{Kind, Place, PlaceArgs, Prepared};
use crate::plan_tree;
use crate::shown::{access, in_one_line};
use crate::tables::Tables;
use crate::tap;

/// Options of the commands that compare a table with a place.
#[derive(Args, Debug)]
pub struct TableInPlace {
    #[command(flatten)]
    tables: Tables,
    #[command(flatten)]
    place: PlaceArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Options of `plan`.
#[derive(Args, Debug)]
pub struct Plan {
    #[command(flatten)]
    with: TableInPlace,
    /// Compare what a reader there sees now with what it would see, key by key; ends with 1 if there are differences
    #[arg(long)]
    diff: bool,
    /// Show each original that is passed through; with --diff, each key that stays as it is
    #[arg(long, conflicts_with = "json")]
    all: bool,
}

/// Options of `verify`.
#[derive(Args, Debug)]
pub struct Verify {
    #[command(flatten)]
    with: TableInPlace,
    /// Print in this format; tap is the Test Anything Protocol, for prove(1) and CI systems [default: text]
    #[arg(long, value_enum, conflicts_with = "json")]
    format: Option<Format>,
}

/// How `verify` prints.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
    Tap,
}

/// Options of `detach`.
#[derive(Args, Debug)]
pub struct Detach {
    #[command(flatten)]
    place: PlaceArgs,
    /// Which attach to undo, as `attach` printed it [default: the latest]
    #[arg(value_name = "LAYER", conflicts_with = "all")]
    layer: Option<String>,
    /// Undo all of them, the latest first
    #[arg(long)]
    all: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Attaches what was prepared as the next layer.
pub fn attach_prepared(place: &Place, prepared: &Prepared) -> Result<Attached, Failure> {
    let options = Options {
        spare: place.kind == Kind::Program,
        ..Options::default()
    };
    Ok(place
        .roots
        .attach(&prepared.plans, &prepared.snapshots, &options)?)
}

impl TableInPlace {
    fn with(
        &self,
        work: impl FnOnce(&Place, Table, &Roots) -> Result<Exit, Failure>,
    ) -> Result<Exit, Failure> {
        self.place.prepare()?;
        let table = self.tables.load()?;
        // Opened before any namespace is entered: it is "outside".
        let host = Roots::open();
        self.place.enter(|place| work(place, table, &host))
    }

    /// `nsprep attach`.
    pub fn attach(&self) -> Result<Exit, Failure> {
        self.with(|place, mut table, host| {
            let prepared = place.prepare(&mut table, host)?;
            let attached = attach_prepared(place, &prepared)?;
            let keys: Vec<String> = prepared
                .plans
                .emulated()
                .map(|(key, _)| key.to_string())
                .collect();
            let said = match (self.json, attached.layer()) {
                (true, layer) => print_json(&json!({ "layer": layer, "keys": keys })),
                (false, Some(layer)) => print(&format!("{layer}: attached {}\n", keys.join(", "))),
                (false, None) => print("nothing attached: no key of the table is lacking\n"),
            };
            // Who is told of a failure has nothing attached.
            match said {
                Ok(()) => attached.keep(),
                Err(_) => attached.detach()?,
            }
            said.map(|()| Exit::Done)
        })
    }

    /// What is to be done, and what is there.
    fn look(
        &self,
        place: &Place,
        table: &mut Table,
        host: &Roots,
    ) -> Result<(Prepared, Vec<Check>), Failure> {
        let prepared = place.prepare(table, host)?;
        let checks = place.roots.verify(table, Some(host), place.writes())?;
        Ok((prepared, checks))
    }
}

impl Plan {
    /// `nsprep plan`.
    pub fn run(&self) -> Result<Exit, Failure> {
        self.with.with(|place, mut table, host| {
            if self.with.json && !self.diff {
                let prepared = place.prepare(&mut table, host)?;
                return print_json(&json_of(&prepared)).map(|()| Exit::Done);
            }
            let (prepared, checks) = self.with.look(place, &mut table, host)?;
            if self.diff {
                return self.differences(&diff::diff(place, &prepared, &checks)?, &prepared);
            }
            if prepared.plans.is_empty() {
                print("nothing to do: no key of the table is lacking\n")?;
                return Ok(Exit::Done);
            }
            let tree = plan_tree::tree(&prepared, &place.roots, &checks);
            let others = checks.len().saturating_sub(prepared.plans.emulated().count());
            let summary = plan_tree::summary(&tree, others);
            show(&format!("{}\n{summary}\n", plan_tree::text(&tree, self.all)))?;
            Ok(Exit::Done)
        })
    }

    fn differences(&self, diff: &Diff, prepared: &Prepared) -> Result<Exit, Failure> {
        let place = self.with.place.shown();
        if self.with.json {
            let mut json = json_of(prepared);
            json["against"] = place.into();
            json["layers"] = json!(diff.layers);
            json["changes"] = json!(diff.changes);
            print_json(&json)?;
        } else {
            show(&diff.text(&place, self.all))?;
        }
        Ok(if diff.is_empty() {
            Exit::Done
        } else {
            Exit::Differs
        })
    }
}

impl Verify {
    /// `nsprep verify`.
    pub fn run(&self) -> Result<Exit, Failure> {
        self.with.with(|place, mut table, host| {
            table.apply_sysctls(&Default::default());
            let checks = place.roots.verify(&table, Some(host), place.writes())?;
            let differs = checks.iter().any(|check| check.problem.is_some());
            match self.format.unwrap_or(if self.with.json {
                Format::Json
            } else {
                Format::Text
            }) {
                Format::Json => print_json(&checks)?,
                Format::Text => print(&listed(&checks))?,
                Format::Tap => print(&tap::tap(&checks))?,
            }
            Ok(if differs { Exit::Differs } else { Exit::Done })
        })
    }
}

impl Detach {
    /// `nsprep detach`.
    pub fn run(&self) -> Result<Exit, Failure> {
        self.place.prepare()?;
        self.place.enter(|place| {
            let all = place.roots.layers()?;
            let names: Vec<_> = match &self.layer {
                _ if self.all => all.iter().rev().collect(),
                None => all.iter().rev().take(1).collect(),
                Some(name) => vec![all.iter().find(|layer| *layer == name).ok_or_else(|| {
                    let known = if all.is_empty() {
                        "there are none".to_owned()
                    } else {
                        format!("there are {}", all.join(", "))
                    };
                    Failure::usage(format!("layer {name}: not attached here; {known}"))
                })?],
            };
            for name in &names {
                place.roots.detach(name)?;
            }
            let names: Vec<&str> = names.into_iter().map(String::as_str).collect();
            match (self.json, names.is_empty()) {
                (true, _) => print_json(&json!({ "detached": names }))?,
                (false, true) => print("nothing to detach\n")?,
                (false, false) => print(&format!("{}: detached\n", names.join(", ")))?,
            }
            Ok(Exit::Done)
        })
    }
}

/// The plan for procfs, and that for sysfs where it has steps.
fn json_of(prepared: &Prepared) -> Value {
    let part = |filesystem| json!({ "plan": prepared.plans.get(filesystem), "snapshot": prepared.snapshots.get(filesystem) });
    let mut json = part(Filesystem::Proc);
    if !prepared.plans.sys.is_empty() {
        json["sys"] = part(Filesystem::Sys);
    }
    json
}

fn listed(checks: &[Check]) -> String {
    let mut text = String::new();
    for check in checks {
        let Check {
            key,
            value,
            writable,
            problem,
            ..
        } = check;
        let origin = diff::origin(check.origin);
        let access = access(*writable);
        let value = in_one_line(value.as_deref().unwrap_or_default());
        let _ = match problem {
            None => writeln!(text, "ok      {key} = {value} ({origin}, {access})"),
            Some(problem) => writeln!(text, "differs {key}: {problem}"),
        };
    }
    text
}
