//! What a place needs of a table, without what it has beside that: for who asks whether to attach, and does not attach.

use std::collections::BTreeSet;

use crate::error::Result;
use crate::key::SysctlKey;
use crate::observe::{Observation, Seen};
use crate::plan::{Placement, overmounted, refuse_nested, wanted};
use crate::table::Table;

/// What would be put in a file system for a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Keys that it lacks.
    pub missing: BTreeSet<SysctlKey>,
    /// Keys that it has, and that would be replaced.
    pub replaced: BTreeSet<SysctlKey>,
    /// The folders that would be overmounted, relative to its root.
    pub overmounts: BTreeSet<String>,
}

impl Needs {
    /// Those of `table` in `placement`, as [`Plan::new`](crate::Plan::new) would have them; `seen` needs no entries of folders.
    ///
    /// # Errors
    /// As [`Plan::new`](crate::Plan::new).
    pub(crate) fn new(table: &Table, seen: &Observation, placement: &Placement) -> Result<Self> {
        refuse_nested(table)?;
        let wanted = wanted(table, seen, placement)?;
        let is_there = |key: &SysctlKey| matches!(seen.keys.get(key), Some(Seen::Present { .. }));
        let keys = wanted.iter().map(|want| want.key.clone());
        let (replaced, missing) = keys.partition(is_there);
        Ok(Self {
            missing,
            replaced,
            overmounts: overmounted(&wanted).into_iter().map(str::to_owned).collect(),
        })
    }
}
