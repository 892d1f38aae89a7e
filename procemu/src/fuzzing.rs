//! What of the library reads text from outside and cannot be reached by the API, for `fuzz/`.
//!
//! No part of the API: may change or go at any time.

use std::path::{Path, PathBuf};

use crate::layer::{self, Layer};
use crate::mountinfo;

/// A line of mountinfo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Mount id.
    pub id: u64,
    /// The parent's.
    pub parent: u64,
    /// What it shows of its file system.
    pub root: PathBuf,
    /// Where.
    pub point: PathBuf,
    /// Per-mount options.
    pub options: String,
    /// Whether it propagates.
    pub shared: bool,
    /// File system type.
    pub fs: String,
    /// The layer that it belongs to.
    pub layer: Option<u64>,
}

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
    let all = mountinfo::parse(text);
    let mount = |mount: mountinfo::Mount| Mount {
        layer: mount.layer(),
        id: mount.id,
        parent: mount.parent,
        root: mount.root,
        point: mount.point,
        options: mount.options,
        shared: mount.shared,
        fs: mount.fs,
    };
    all.into_iter().map(mount).collect()
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
