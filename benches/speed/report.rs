//! What was measured, by row of the bench.

use serde_json::{Value, json};

use crate::cost::Cost;
use crate::machine::Machine;
use crate::spread::{Spread, rounded};
use crate::targets::Target;

/// In what a group's times are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// µs.
    Micro,
    /// ms.
    Milli,
}

impl Unit {
    /// Its sign.
    pub fn name(self) -> &'static str {
        match self {
            Self::Micro => "µs",
            Self::Milli => "ms",
        }
    }

    /// So many of them are a second.
    pub fn per_second(self) -> f64 {
        match self {
            Self::Micro => 1e6,
            Self::Milli => 1e3,
        }
    }
}

/// Which of the two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// CPU time.
    Cpu,
    /// Wall time.
    Wall,
}

impl Clock {
    fn of(self, cost: &Cost) -> f64 {
        match self {
            Self::Cpu => cost.cpu,
            Self::Wall => cost.wall,
        }
    }
}

/// Several ways of one thing, measured in turn.
pub struct Group {
    /// `a` to `g`.
    pub row: char,
    /// What was done.
    pub title: String,
    /// In what it is shown.
    pub unit: Unit,
    /// The ways. The first is what the others are compared with.
    pub lines: Vec<Line>,
}

/// One way.
pub struct Line {
    /// As tables name it.
    pub name: String,
    /// What it took, round by round.
    pub costs: Vec<Cost>,
}

impl Group {
    /// The line of that name.
    pub fn line(&self, name: &str) -> Option<&Line> {
        self.lines.iter().find(|line| line.name == name)
    }

    fn json(&self) -> Value {
        let scale = self.unit.per_second();
        let lines: Vec<Value> = (self.lines.iter().enumerate())
            .map(|(at, line)| {
                let both = |of: &dyn Fn(Clock) -> Spread| {
                    json!({"cpu": of(Clock::Cpu).json(), "wall": of(Clock::Wall).json()})
                };
                let taken = both(&|clock| line.spread(clock, scale));
                let mut value = json!({"name": line.name, "rounds": line.costs.len(), "taken": taken});
                if at > 0 {
                    let base = &self.lines[0];
                    value["added"] = both(&|clock| line.added(base, clock, scale));
                    value["ratio"] = both(&|clock| line.ratio(base, clock));
                }
                value
            })
            .collect();
        json!({"row": self.row, "title": self.title, "unit": self.unit.name(), "lines": lines})
    }
}

impl Line {
    /// What it took.
    pub fn spread(&self, clock: Clock, scale: f64) -> Spread {
        Spread::of(self.costs.iter().map(|cost| clock.of(cost) * scale).collect())
    }

    /// What it took more than `base` in the same round.
    pub fn added(&self, base: &Self, clock: Clock, scale: f64) -> Spread {
        let pairs = self.costs.iter().zip(&base.costs);
        Spread::of(
            pairs
                .map(|(own, base)| (clock.of(own) - clock.of(base)) * scale)
                .collect(),
        )
    }

    /// What it took, in what `base` took in the same round.
    pub fn ratio(&self, base: &Self, clock: Clock) -> Spread {
        let pairs = self.costs.iter().zip(&base.costs);
        Spread::of(pairs.map(|(own, base)| clock.of(own) / clock.of(base)).collect())
    }
}

/// Plain numbers, once each.
pub struct Counts {
    /// `a` to `g`.
    pub row: char,
    /// What was counted.
    pub title: String,
    /// What the numbers of a line are.
    pub columns: Vec<String>,
    /// Name and numbers.
    pub lines: Vec<(String, Vec<f64>)>,
}

impl Counts {
    /// The number in the line and the column of these names.
    pub fn get(&self, line: &str, column: &str) -> Option<f64> {
        let column = self.columns.iter().position(|name| name == column)?;
        let (_, numbers) = self.lines.iter().find(|(name, _)| name == line)?;
        numbers.get(column).copied()
    }

    fn json(&self) -> Value {
        let lines = self.lines.iter().map(|(name, numbers)| {
            let numbers = self
                .columns
                .iter()
                .cloned()
                .zip(numbers.iter().map(|n| json!(rounded(*n))));
            json!({"name": name, "numbers": numbers.collect::<serde_json::Map<_, _>>()})
        });
        json!({"row": self.row, "title": self.title, "lines": lines.collect::<Vec<_>>()})
    }
}

/// All that one run has to tell.
#[derive(Default)]
pub struct Report {
    /// What was compared.
    pub groups: Vec<Group>,
    /// What was counted.
    pub counts: Vec<Counts>,
    /// What was not measured: the row, and why.
    pub skipped: Vec<(char, String)>,
}

impl Report {
    /// Says on standard error that something is not measured, and keeps it.
    pub fn skip(&mut self, row: char, why: impl Into<String>) {
        let why = why.into();
        eprintln!("skipped {row}: {why}");
        self.skipped.push((row, why));
    }

    /// The group of that title.
    pub fn group(&self, row: char, title: &str) -> Option<&Group> {
        self.groups
            .iter()
            .find(|group| group.row == row && group.title == title)
    }

    /// The numbers of that title.
    pub fn count(&self, row: char, title: &str) -> Option<&Counts> {
        self.counts
            .iter()
            .find(|counts| counts.row == row && counts.title == title)
    }

    /// `bench.json`, as docs/performance.md describes it.
    pub fn json(&self, mode: &str, machine: &Machine, targets: &[Target]) -> Value {
        let skipped = self.skipped.iter();
        json!({
            "version": 1,
            "mode": mode,
            "machine": machine.json(),
            "groups": self.groups.iter().map(Group::json).collect::<Vec<_>>(),
            "counts": self.counts.iter().map(Counts::json).collect::<Vec<_>>(),
            "targets": targets.iter().map(Target::json).collect::<Vec<_>>(),
            "skipped": skipped.map(|(row, why)| json!({"row": row, "why": why})).collect::<Vec<_>>(),
        })
    }
}
