//! What of the library reads text from outside and cannot be reached by the API, for `fuzz/`.
//!
//! No part of the API: may change or go at any time.

use std::path::Path;

use crate::layer::{self, Layer};
use crate::mountinfo;

pub use crate::mountinfo::Mount;

/// What attaching and detaching ask of a whole mountinfo, about what is mounted at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answers {
    /// The layers there.
    pub layers: Vec<Layer>,
    /// For each of them: the number of a later one that lies on it.
    pub later: Vec<Option<u64>>,
    /// The next one's name; none where no number is left.
    pub next: Option<String>,
    /// The masks below, relative to it.
    pub masks: Vec<String>,
    /// Whether something hides a part of it.
    pub hides: bool,
    /// The id of the mount that it lies on.
    pub carrier: Option<u64>,
}

/// Reads a whole mountinfo.
pub fn mounts(text: &[u8]) -> Vec<Mount> {
    mountinfo::parse(text)
}

/// Reads it, and answers about the file system of type `kind` at `point`.
pub fn answers(text: &[u8], point: &Path, kind: &str) -> Answers {
    let mounts = mountinfo::parse(text);
    let layers = layer::group(&mounts, point);
    Answers {
        later: layers
            .iter()
            .map(|own| layer::later_below(&mounts, own))
            .map(|found| found.map(|(number, _)| number))
            .collect(),
        layers,
        next: layer::next(&mounts, &[point.to_owned()]).ok(),
        masks: mountinfo::masks(&mounts, point),
        hides: mountinfo::hides(&mounts, point, kind),
        carrier: mountinfo::carrier(&mounts, point).map(|mount| mount.id),
    }
}
