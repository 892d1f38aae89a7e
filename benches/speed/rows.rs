//! The rows of the bench.

mod attaches;
mod baseline_template;
mod bundles;
mod execs;
mod passes;
mod programs;
mod reads;
mod scale;
mod starts;

use crate::{Bench, Outcome};

pub use attaches::{ALL, ATTACH};
pub use scale::CROWDED;

/// Their letters, and what they are about.
pub const ROWS: [(char, &str); 7] = [
    ('a', "one read of a key: open, read, close"),
    (
        'b',
        "attaching to /proc/sys/kernel with all its originals, inside one process",
    ),
    ('c', "the programs by themselves, from start to end"),
    (
        'd',
        "a container's life: `run` of a bundle whose process is `true`",
    ),
    ('e', "many containers alive"),
    ('f', "around a program"),
    ('g', "commands that the wrapper only passes on"),
];

/// Measures one.
///
/// # Errors
/// If something that is measured does not work.
pub fn measure(row: char, bench: &mut Bench) -> Outcome {
    match row {
        'a' => reads::measure(bench),
        'b' => attaches::measure(bench),
        'c' => programs::measure(bench),
        'd' => starts::measure(bench),
        'e' => scale::measure(bench),
        'f' => execs::measure(bench),
        _ => passes::measure(bench),
    }
}
