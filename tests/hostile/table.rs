//! A mount table before and after, of which only what lies on one mount may differ.

use std::collections::BTreeMap;
use std::fs;
use std::io;

/// The mounts of one process.
pub struct Mounts(BTreeMap<u64, Line>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    parent: u64,
    root: String,
    point: String,
    options: String,
    /// Without the numbers of peer groups: who leaves one can come back to none.
    propagation: Vec<String>,
    kind: String,
}

impl Mounts {
    /// Those of `process`: a number, or `self`.
    ///
    /// # Errors
    /// It is gone.
    pub fn of(process: &str) -> io::Result<Self> {
        let text = fs::read_to_string(format!("/proc/{process}/mountinfo"))?;
        Ok(Self(text.lines().filter_map(line).collect()))
    }

    /// The id of the last mount at `point`.
    pub fn at(&self, point: &str) -> Option<u64> {
        let mut there = self.0.iter().rev().filter(|(_, line)| line.point == point);
        there.next().map(|(id, _)| *id)
    }

    /// The id of the one mount that was made since.
    pub fn one_more_than(&self, before: &Self) -> Option<u64> {
        let mut new = self.0.keys().filter(|id| !before.0.contains_key(id));
        new.next().copied()
    }

    /// How many mounts of a layer there are, if all lie on the mount `on`, which is one of the container's, and if nothing
    /// else is different from `before`. Mountpoints may have other names: folders are renamed.
    ///
    /// # Errors
    /// What is different.
    pub fn ours(&self, before: &Self, on: u64) -> Result<usize, String> {
        let mut ours = 0;
        for (id, line) in &self.0 {
            match before.0.get(id) {
                Some(old) => {
                    let named = Line {
                        point: line.point.clone(),
                        ..old.clone()
                    };
                    // It is cut off from its peers, and what lies on it.
                    let may_be_private = self.lies_on(*id, on) && line.propagation.is_empty();
                    let same = Line {
                        propagation: line.propagation.clone(),
                        ..named.clone()
                    };
                    if *line != named && !(may_be_private && *line == same) {
                        return Err(format!("changed: {old:?} to {line:?}"));
                    }
                }
                None if self.lies_on(*id, on) => ours += usize::from(line.root.starts_with("/procemu:")),
                None => return Err(format!("mounted elsewhere: {line:?}")),
            }
        }
        match before.0.keys().find(|id| !self.0.contains_key(id)) {
            Some(id) => Err(format!("gone: {:?}", before.0[id])),
            None => Ok(ours),
        }
    }

    fn lies_on(&self, mut id: u64, on: u64) -> bool {
        while let Some(line) = self.0.get(&id).filter(|line| line.parent != id) {
            if id == on {
                return true;
            }
            id = line.parent;
        }
        id == on
    }
}

/// proc_pid_mountinfo(5).
fn line(text: &str) -> Option<(u64, Line)> {
    let (before, after) = text.split_once(" - ")?;
    let mut fields = before.split(' ').map(str::to_owned);
    let id = fields.next()?.parse().ok()?;
    let parent = fields.next()?.parse().ok()?;
    let _device = fields.next()?;
    let (root, point, options) = (fields.next()?, fields.next()?, fields.next()?);
    let kinds = fields.map(|field| field.split(':').next().unwrap_or_default().to_owned());
    let line = Line {
        parent,
        root,
        point,
        options,
        propagation: kinds.collect(),
        kind: after.split(' ').next()?.to_owned(),
    };
    Some((id, line))
}
