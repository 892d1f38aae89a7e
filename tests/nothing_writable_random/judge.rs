//! What there has to be with us, told from the scan without us, the table and the configuration alone.

use std::collections::BTreeSet;

use super::case::{Case, Proc};
use super::scan::{ENTRIES, Scan, Seen, TMPFS};

/// What a key that takes writes lets its root do to it; not to its entry in its folder.
const GRANTED: [&str; 10] = [
    "append", "chmod", "chown", "cut", "reopen", "setxattr", "truncate", "update", "utime", "write",
];

/// How many of each there were.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Paths compared.
    pub paths: usize,
    /// Ways to write that were there without us, and with us.
    pub ways: usize,
    /// Keys of ours that were shown.
    pub shown: usize,
    /// Those that take writes.
    pub granted: usize,
    /// Masks that were looked behind.
    pub masks: usize,
}

/// Everything that differs from what it has to be, one line each, with the path.
pub fn differences(case: &Case, bare: &Scan, with: &Scan, tally: &mut Tally) -> Vec<(String, String)> {
    let judge = Judge { case, bare, with };
    let mut wrong = Vec::new();
    let paths: BTreeSet<&String> = bare.keys().chain(with.keys()).collect();
    tally.paths += paths.len();
    for path in paths {
        if let Some(what) = judge.path(path, tally) {
            wrong.push((path.clone(), what));
        }
    }
    for (key, _) in case.table.iter().filter(|(key, _)| judge.has_to_be_shown(key)) {
        let path = format!("/proc/{key}");
        if !judge.is_shown(&path) {
            wrong.push((path, "is not shown".to_owned()));
        }
    }
    wrong
}

struct Judge<'a> {
    case: &'a Case,
    bare: &'a Scan,
    with: &'a Scan,
}

impl Judge<'_> {
    fn path(&self, path: &str, tally: &mut Tally) -> Option<String> {
        match (self.bare.get(path), self.with.get(path)) {
            (Some(_), None) => Some("has gone".to_owned()),
            (None, Some(seen)) if self.is_shown(path) => self.shown(path, seen, tally),
            (None, Some(seen)) if self.leads_to_ours(path) => nothing(seen),
            (None, Some(_)) => Some("is new".to_owned()),
            (Some(_), Some(seen)) if self.is_shown(path) => self.shown(path, seen, tally),
            (Some(before), Some(seen)) => {
                tally.ways += before.could.len();
                if self.is_masked(path) {
                    tally.masks += 1;
                    if before.content != seen.content {
                        return Some(format!(
                            "is masked, and reads {:?}, not {:?}",
                            seen.content, before.content
                        ));
                    }
                }
                self.original(path, before, seen)
            }
            (None, None) => None,
        }
    }

    /// A key of ours.
    fn shown(&self, path: &str, seen: &Seen, tally: &mut Tally) -> Option<String> {
        tally.shown += 1;
        let expected = self.is_granted(path);
        tally.granted += usize::from(expected);
        let could = |name: &str| seen.could.contains(name);
        if seen.content.as_deref() != Some("7\n") {
            return Some(format!("reads {:?}", seen.content));
        }
        if !expected {
            return nothing(seen);
        }
        if !["append", "update", "write", "reopen", "cut", "truncate"]
            .into_iter()
            .all(could)
        {
            return Some(format!("takes not all writes, but is granted: {:?}", seen.could));
        }
        let more: Vec<_> = seen
            .could
            .iter()
            .filter(|name| !GRANTED.contains(&name.as_str()))
            .collect();
        (!more.is_empty()).then(|| format!("is granted, and could {more:?}"))
    }

    /// What is the kernel's, or the case's own.
    fn original(&self, path: &str, before: &Seen, seen: &Seen) -> Option<String> {
        let more: Vec<_> = seen.could.difference(&before.could).collect();
        if !more.is_empty() {
            return Some(format!("could {more:?} with us"));
        }
        let mut less: Vec<_> = before.could.difference(&seen.could).map(String::as_str).collect();
        // A folder of ours stands for itself alone: nobody changes what it has. And what is to be read-only is so with us, also where the
        // runtime makes less of it: crun 1.8.1 does of `/proc` itself.
        if self.leads_to_ours(path) || self.is_protected(path) {
            less.clear();
        } else if self.leads_to_ours(parent(path)) {
            less.retain(|name| !ENTRIES.contains(name));
        }
        (!less.is_empty()).then(|| format!("could {less:?} without us"))
    }

    /// Whether a file of ours is there.
    fn is_shown(&self, path: &str) -> bool {
        let is_key = key(path).is_some_and(|key| self.case.table.contains_key(key));
        let kind = |scan: &Scan| scan.get(path).map(|seen| seen.filesystem);
        is_key && !self.is_masked(path) && kind(self.with) == Some(TMPFS) && kind(self.bare) != Some(TMPFS)
    }

    /// Whether one has to be there.
    fn has_to_be_shown(&self, key: &str) -> bool {
        let path = format!("/proc/{key}");
        let when = self.case.table[key].when;
        let exists = self.bare.contains_key(&path);
        let new_in_root = !exists && self.nearest(&path) == "/proc";
        !self.is_masked(&path) && !new_in_root && (!exists || when == "always")
    }

    /// Whether it is a folder of ours on the way to a key of ours.
    fn leads_to_ours(&self, path: &str) -> bool {
        let seen = self.with.get(path);
        let is_ours = seen.is_some_and(|seen| seen.kind == 'd' && seen.filesystem == TMPFS);
        let is_above = |key: &String| format!("/proc/{key}").starts_with(&format!("{path}/"));
        let mut keys = self.case.table.keys().filter(|key| is_above(key));
        is_ours && keys.any(|key| self.is_shown(&format!("/proc/{key}")))
    }

    /// Mode 0644, where a write would not meet something read-only without us.
    fn is_granted(&self, path: &str) -> bool {
        let writable = key(path).is_some_and(|key| self.case.table[key].writable);
        let place = self.nearest(path);
        let read_only = self.bare.get(place).is_some_and(|seen| seen.read_only);
        writable && !read_only && !self.is_protected(path)
    }

    /// Whether the configuration has it read-only, in whichever way the runtime takes that.
    fn is_protected(&self, path: &str) -> bool {
        let (Proc::New(options) | Proc::Bound(options)) = &self.case.proc;
        covers(&self.case.read_only, path) || (options.contains(&"ro") && covers(&["/proc"], path))
    }

    fn is_masked(&self, path: &str) -> bool {
        covers(&self.case.masked, path)
    }

    /// What is there of the path without us.
    fn nearest<'p>(&self, path: &'p str) -> &'p str {
        let mut above = std::iter::successors(Some(path), |path| (!path.is_empty()).then(|| parent(path)));
        above.find(|path| self.bare.contains_key(*path)).unwrap_or("")
    }
}

fn nothing(seen: &Seen) -> Option<String> {
    (!seen.could.is_empty()).then(|| format!("could {:?}", seen.could))
}

fn key(path: &str) -> Option<&str> {
    path.strip_prefix("/proc/")
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// Whether `path` is one of `paths`, or below one.
fn covers(paths: &[&str], path: &str) -> bool {
    paths.iter().any(|at| {
        let at = clean(at);
        path.strip_prefix(&at)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// In few words: `/proc/irq/../sysrq-trigger` is `/proc/sysrq-trigger`.
fn clean(path: &str) -> String {
    let mut names = Vec::new();
    for name in path.split('/').filter(|name| !matches!(*name, "" | ".")) {
        if name == ".." {
            names.pop();
        } else {
            names.push(name);
        }
    }
    format!("/{}", names.join("/"))
}
