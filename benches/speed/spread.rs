//! Many measurements as three numbers: the median, and the quartiles around it.

use serde_json::{Value, json};

/// Median and quartiles.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    /// A quarter of the values is below.
    pub low: f64,
    /// Half of them are.
    pub median: f64,
    /// Three quarters are.
    pub high: f64,
}

impl Spread {
    /// Of these values, in any order; interpolated. Not a number where there are none.
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        let [low, median, high] = [0.25, 0.5, 0.75].map(|part| at(&values, part));
        Self { low, median, high }
    }

    /// As `bench.json` has it.
    pub fn json(self) -> Value {
        let [low, median, high] = [self.low, self.median, self.high].map(rounded);
        json!({"median": median, "low": low, "high": high})
    }
}

/// To what a figure of ours can mean at best.
pub fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

fn at(sorted: &[f64], part: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let place = last as f64 * part;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    below + (above - below) * place.fract()
}
