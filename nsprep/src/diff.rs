//! What a reader sees now, against what it would see with the plan: key by key.

use std::collections::BTreeMap;

use procemu::{Check, Origin, SysctlKey};
use serde::{Deserialize, Serialize};

use crate::exit::Failure;
use crate::place::{Place, Prepared};
use crate::shown::{
    ADDED, CHANGED, DIM, HEAD, Row, WRONG, access, columns, counted, in_one_line, plain, replaced,
};

/// What the plan does about a key of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is not there, and will be.
    Add,
    /// It is there, and another will be in its place.
    Replace,
    /// Nothing that a reader would see: either nothing at all, or the same is put there once more.
    Keep,
    /// Nothing, although it is not as the table has it: what `verify` finds.
    Differs,
}

/// One key of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The key.
    pub key: SysctlKey,
    /// What the plan does about it.
    pub action: Action,
    /// What a reader gets now; nothing where it is not there, or cannot be read.
    pub old: Option<String>,
    /// What a reader gets with the plan, if it does anything about it.
    pub new: Option<String>,
    /// Whether it takes writes now.
    pub old_writable: bool,
    /// Whether it does with the plan, if it does anything about it.
    pub new_writable: Option<bool>,
    /// Whose it is now: `kernel`, `emulated`, `missing`.
    pub origin: String,
    /// The layer that it is of now, if it is of one.
    pub layer: Option<String>,
    /// What `verify` says of it now.
    pub problem: Option<String>,
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diff {
    /// The layers that are attached already, the first attached first.
    pub layers: Vec<String>,
    /// Every key of the table, in its order.
    pub changes: Vec<Change>,
}

/// What was prepared for `place`, against what `checks` tell of it.
pub fn diff(place: &Place, prepared: &Prepared, checks: &[Check]) -> Result<Diff, Failure> {
    let keys: Vec<&SysctlKey> = checks.iter().map(|check| &check.key).collect();
    let layers = place.roots.givers(&keys)?;
    Ok(Diff {
        layers: place.roots.layers()?,
        changes: changes(prepared, checks, &layers),
    })
}

fn changes(prepared: &Prepared, checks: &[Check], layers: &BTreeMap<SysctlKey, String>) -> Vec<Change> {
    let planned: BTreeMap<&SysctlKey, bool> = prepared.plans.emulated().collect();
    let change = |check: &Check| {
        let writable = planned.get(&check.key).copied();
        let snapshot = prepared.snapshots.get(check.key.filesystem());
        let new = writable.and_then(|_| snapshot.value(check.key.path()));
        let new = new.map(|value| value.strip_suffix('\n').unwrap_or(value).to_owned());
        // Such as one that a layer gives already: a second one shows a reader the same.
        let same = new == check.value && writable == Some(check.writable);
        Change {
            key: check.key.clone(),
            action: match (writable, check.origin, &check.problem) {
                (Some(_), Origin::Missing, _) => Action::Add,
                (Some(_), ..) if !same => Action::Replace,
                (None, _, Some(_)) => Action::Differs,
                _ => Action::Keep,
            },
            old: check.value.clone(),
            new,
            old_writable: check.writable,
            new_writable: writable,
            origin: origin(check.origin).to_owned(),
            layer: layers.get(&check.key).cloned(),
            problem: check.problem.clone(),
        }
    };
    checks.iter().map(change).collect()
}

/// As JSON has it.
pub fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Kernel => "kernel",
        Origin::Emulated => "emulated",
        Origin::Missing => "missing",
    }
}

impl Change {
    /// Whose it is now.
    pub fn whose(&self) -> &str {
        match (&self.layer, self.origin.as_str()) {
            (Some(layer), _) => layer,
            (None, "kernel") => "the kernel's",
            (None, "missing") => "missing",
            // Of which mount it is cannot be told everywhere.
            (None, _) => "emulated",
        }
    }
}

impl Diff {
    /// Whether a reader sees what the table asks for.
    pub fn is_empty(&self) -> bool {
        self.changes.iter().all(|change| change.action == Action::Keep)
    }

    /// How many keys there are of an action.
    pub fn count(&self, action: Action) -> usize {
        self.changes
            .iter()
            .filter(|change| change.action == action)
            .count()
    }

    /// In one line.
    pub fn summary(&self) -> String {
        let mut kept = format!("{} as they are", self.count(Action::Keep));
        let kept_ones = self.changes.iter().filter(|change| change.action == Action::Keep);
        if let again @ 1.. = kept_ones.filter(|change| change.new_writable.is_some()).count() {
            kept += &format!(" ({again} put there once more)");
        }
        let mut parts = vec![
            format!("{} to add", self.count(Action::Add)),
            format!("{} to replace", self.count(Action::Replace)),
            kept,
        ];
        if let count @ 1.. = self.count(Action::Differs) {
            parts.push(format!(
                "{count} not as the table has them, which attaching does not change"
            ));
        }
        let keys = counted(self.changes.len(), "key");
        format!("{keys}: {}", parts.join(", "))
    }

    /// For people, after the manner of diff(1); keys that stay only with `all`. Styles are for the writer to keep or to strip.
    pub fn text(&self, place: &str, all: bool) -> String {
        let layers = match self.layers.as_slice() {
            [] => "no layers attached".to_owned(),
            names => format!("layers attached: {}", names.join(", ")),
        };
        let mut text =
            format!("{HEAD}--- {place}, now; {layers}{HEAD:#}\n{HEAD}+++ {place}, with the plan{HEAD:#}\n");
        let shown = self
            .changes
            .iter()
            .filter(|change| all || change.action != Action::Keep);
        text += &columns(&shown.map(row).collect::<Vec<_>>());
        let kept = self.changes.iter().filter(|change| change.action == Action::Keep);
        let mut owners: BTreeMap<&str, usize> = BTreeMap::new();
        for change in kept {
            *owners.entry(change.whose()).or_default() += 1;
        }
        if !all && !owners.is_empty() {
            let owners: Vec<String> = owners
                .iter()
                .map(|(whose, count)| format!("{count} {whose}"))
                .collect();
            let kept = counted(self.count(Action::Keep), "key");
            text += &format!("{DIM}= {kept} as they are: {}{DIM:#}\n", owners.join(", "));
        }
        text + &self.summary() + "\n"
    }
}

fn row(change: &Change) -> Row {
    let old = in_one_line(change.old.as_deref().unwrap_or_default());
    let new = in_one_line(change.new.as_deref().unwrap_or_default());
    let now = access(change.old_writable);
    let then = access(change.new_writable.unwrap_or(change.old_writable));
    let name = |mark: &str| format!("{mark} {}", plain(&change.key.to_string()));
    match change.action {
        Action::Add => Row::new(ADDED, [name("+"), new, then.to_owned()]),
        Action::Replace => {
            let value = replaced(change.old.as_deref(), change.new.as_deref().unwrap_or_default());
            let access = match now == then {
                true => now.to_owned(),
                false => format!("{now} -> {then}"),
            };
            Row::new(CHANGED, [name("~"), value, access])
        }
        Action::Keep => Row::new(DIM, [name("="), old, format!("{now}  {}", change.whose())]),
        Action::Differs => {
            let problem = plain(change.problem.as_deref().unwrap_or_default());
            let value = match change.origin.as_str() {
                "missing" => String::new(),
                _ => old,
            };
            Row::new(
                WRONG,
                [name("!"), value, format!("{now}  {}: {problem}", change.whose())],
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(key: &str, action: Action, old: Option<&str>, new: Option<&str>) -> Change {
        Change {
            key: key.parse().unwrap(),
            action,
            old: old.map(str::to_owned),
            new: new.map(str::to_owned),
            old_writable: false,
            new_writable: new.map(|_| true),
            origin: if old.is_some() { "kernel" } else { "missing" }.to_owned(),
            layer: None,
            problem: (action == Action::Differs).then(|| "is odd".to_owned()),
        }
    }

    #[test]
    fn what_is_put_there_once_more_is_told() {
        let diff = Diff {
            layers: vec!["procemu:1".to_owned()],
            changes: vec![
                change("kernel/always", Action::Keep, Some("1"), Some("1")),
                change("kernel/kept", Action::Keep, Some("1"), None),
            ],
        };
        let expected = "2 keys: 0 to add, 0 to replace, 2 as they are (1 put there once more)";
        assert_eq!(diff.summary(), expected);
        assert!(diff.is_empty());
    }

    #[test]
    fn each_key_has_a_line_and_those_that_stay_are_counted() {
        let diff = Diff {
            layers: vec!["procemu:1".to_owned()],
            changes: vec![
                change("kernel/added", Action::Add, None, Some("7")),
                change("kernel/kept", Action::Keep, Some("1"), None),
                change("kernel/odd", Action::Differs, Some("1\u{1b}"), None),
                change("vm/replaced", Action::Replace, Some("0"), Some("1")),
            ],
        };
        let plain = |all| anstream::adapter::strip_str(&diff.text("here", all)).to_string();
        let expected = "--- here, now; layers attached: procemu:1\n\
            +++ here, with the plan\n\
            + kernel/added  7        rw\n\
            ! kernel/odd    1\\u{1b}  ro  the kernel's: is odd\n\
            ~ vm/replaced   0 -> 1   ro -> rw\n\
            = 1 key as they are: 1 the kernel's\n\
            4 keys: 1 to add, 1 to replace, 1 as they are, 1 not as the table has them, which attaching does not change\n";
        assert_eq!(plain(false), expected);
        assert!(plain(true).contains("= kernel/kept   1        ro  the kernel's\n"));
        assert!(!diff.is_empty());
    }
}
