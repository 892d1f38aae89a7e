//! Several ways of the same thing, in turn, many times.

use crate::Outcome;
use crate::cost::Cost;
use crate::report::{Group, Line, Unit};

/// One way of doing a thing. The first of a row is what the others are compared with.
pub struct Way<'a> {
    name: String,
    prepare: Box<dyn Fn() -> Outcome + 'a>,
    measure: Box<dyn Fn() -> Outcome<Vec<Cost>> + 'a>,
}

impl<'a> Way<'a> {
    /// A way that `measure` does once, and tells what it took.
    pub fn new(name: impl Into<String>, measure: impl Fn() -> Outcome<Cost> + 'a) -> Self {
        Self::in_parts(name, move || Ok(vec![measure()?]))
    }

    /// A way in several parts, each with a cost of its own.
    pub fn in_parts(name: impl Into<String>, measure: impl Fn() -> Outcome<Vec<Cost>> + 'a) -> Self {
        Self {
            name: name.into(),
            prepare: Box::new(|| Ok(())),
            measure: Box::new(measure),
        }
    }

    /// The same with something that has to be done before each run and does not count.
    pub fn after(mut self, prepare: impl Fn() -> Outcome + 'a) -> Self {
        self.prepare = Box::new(prepare);
        self
    }
}

/// Does every way once per round, and gives what all of them took. Each goes first, second, ... equally often, so that what else the
/// machine does falls on all; the first round fills caches and is not counted.
///
/// # Errors
/// If one of them fails; what is measured has to work.
pub fn compare(row: char, title: &str, unit: Unit, ways: &[Way<'_>], rounds: usize) -> Outcome<Group> {
    let mut groups = compare_parts(row, &[title.to_owned()], unit, ways, rounds)?;
    Ok(groups.remove(0))
}

/// The same of ways in several parts, a group for each part. A way may have the first of them only.
///
/// # Errors
/// If one of them fails.
pub fn compare_parts(
    row: char,
    titles: &[String],
    unit: Unit,
    ways: &[Way<'_>],
    rounds: usize,
) -> Outcome<Vec<Group>> {
    let mut costs: Vec<Vec<Vec<Cost>>> = vec![vec![Vec::new(); ways.len()]; titles.len()];
    for round in 0..=rounds {
        for turn in 0..ways.len() {
            let at = (turn + round) % ways.len();
            let way = &ways[at];
            let measured = (way.prepare)().and_then(|()| (way.measure)());
            let measured = measured.map_err(|e| format!("{}, {}: {e}", titles[0], way.name))?;
            if round > 0 {
                for (part, cost) in measured.into_iter().enumerate() {
                    costs[part][at].push(cost);
                }
            }
        }
    }
    let group = |(title, costs): (&String, Vec<Vec<Cost>>)| Group {
        row,
        title: title.clone(),
        unit,
        lines: (ways.iter().zip(costs))
            .filter(|(_, costs)| !costs.is_empty())
            .map(|(way, costs)| Line {
                name: way.name.clone(),
                costs,
            })
            .collect(),
    };
    Ok(titles.iter().zip(costs).map(group).collect())
}
