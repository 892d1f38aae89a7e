//! `attach`, `detach`, `verify` and `plan`: the commands about one place.

use std::fmt::Write;

use clap::Args;
use procemu::{Attached, Check, Filesystem, Options, Roots, Step, Table};
use serde_json::{Value, json};

use crate::exit::{Exit, Failure};
use crate::output::{print, print_json};
use crate::place::{Kind, Place, PlaceArgs, Prepared};
use crate::tables::Tables;

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

    /// `nsprep plan`.
    pub fn plan(&self) -> Result<Exit, Failure> {
        self.with(|place, mut table, host| {
            let prepared = place.prepare(&mut table, host)?;
            if self.json {
                print_json(&json_of(&prepared))?;
            } else {
                let text = shown(&prepared, Filesystem::Proc) + &shown(&prepared, Filesystem::Sys);
                print(if text.is_empty() {
                    "nothing to do: no key of the table is lacking\n"
                } else {
                    &text
                })?;
            }
            Ok(Exit::Done)
        })
    }

    /// `nsprep verify`.
    pub fn verify(&self) -> Result<Exit, Failure> {
        self.with(|place, mut table, host| {
            table.apply_sysctls(&Default::default());
            let checks = place.roots.verify(&table, Some(host), place.writes())?;
            let differs = checks.iter().any(|check| check.problem.is_some());
            if self.json {
                print_json(&checks)?;
            } else {
                print(&listed(&checks))?;
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

/// A plan for people: each overmount with what it adds, then each replacement.
fn shown(prepared: &Prepared, filesystem: Filesystem) -> String {
    let root = filesystem.mountpoint();
    let (plan, snapshot) = (prepared.plans.get(filesystem), prepared.snapshots.get(filesystem));
    let mut text = String::new();
    let value = |path: &str| snapshot.value(path).map(in_one_line).unwrap_or_default();
    let mode = |writable: &bool| if *writable { "rw" } else { "ro" };
    for (at, step) in plan.steps.iter().enumerate() {
        // Writing to a String does not fail.
        let _ = match step {
            Step::Overmount { folder } => {
                let rest = plan.steps[at + 1..].iter();
                let own = rest.take_while(|s| !matches!(s, Step::Overmount { .. } | Step::Replace { .. }));
                let originals = own
                    .filter(|s| matches!(s, Step::Pass { .. } | Step::Link { .. }))
                    .count();
                writeln!(
                    text,
                    "overmount {root}/{folder} ({originals} originals passed through)"
                )
            }
            Step::Emulate { key, writable } => {
                writeln!(
                    text,
                    "  add     {key} = {} ({})",
                    value(key.path()),
                    mode(writable)
                )
            }
            Step::Replace { key, writable } => {
                writeln!(
                    text,
                    "replace   {key} = {} ({})",
                    value(key.path()),
                    mode(writable)
                )
            }
            Step::Folder { .. } | Step::Underlay { .. } | Step::Pass { .. } | Step::Link { .. } => Ok(()),
        };
    }
    text
}

/// A value for people: its first line, with dots where there are more.
fn in_one_line(value: &str) -> String {
    let mut lines = value.lines();
    let first = lines.next().unwrap_or_default().replace('\t', " ");
    match lines.next() {
        Some(_) => first + " ...",
        None => first,
    }
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
        let origin = serde_json::to_value(check.origin).ok();
        let origin = origin
            .as_ref()
            .and_then(|origin| origin.as_str())
            .unwrap_or_default();
        let access = if *writable { "rw" } else { "ro" };
        let value = in_one_line(value.as_deref().unwrap_or_default());
        let _ = match problem {
            None => writeln!(text, "ok      {key} = {value} ({origin}, {access})"),
            Some(problem) => writeln!(text, "differs {key}: {problem}"),
        };
    }
    text
}
