//! Which of `linux.sysctl` the hook has to set in the runtime's place.

use super::{Change, Draft, RewriteError, old_job};
use crate::config::Policy;
use crate::document::{DocumentError, Node};
use crate::job::Job;
use crate::place::PlaceFacts;
use crate::sysctl::Request;
use procemu::{Entry, SysctlKey, Table, Value, ValueSource};
use std::collections::BTreeMap;

/// A request, and whether it was moved by an earlier rewriting.
#[derive(Debug)]
pub(super) struct Requested {
    pub(super) request: Request,
    pub(super) moved_before: bool,
}

impl Draft {
    /// Takes out of `linux.sysctl` what the runtime cannot set any more, and gives back what it can set again.
    pub(super) fn move_sysctls(
        &mut self,
        place: &PlaceFacts,
        policy: &Policy,
        changes: &mut Vec<Change>,
    ) -> Result<Job, RewriteError> {
        let mut job = Job::new(self.table.clone(), policy.on_failure);
        let mut values: BTreeMap<&SysctlKey, &Request> = BTreeMap::new();
        let (mut linux, mut sysctl) = sysctl_of(&self.top)?;
        let mut edited = false;
        // All or none of them are set, so all have to be by one: crun sets its own before the hook can fail.
        let refused = self.written().into_iter().find(|key| place.refused.contains(key));
        for Requested {
            request,
            moved_before,
        } in &self.requests
        {
            let Request { spelling, key, value } = request;
            let obstacle = if self.owns(key) {
                obstacle(key, place, refused.as_ref())
            } else {
                None
            };
            let Some(obstacle) = obstacle else {
                if *moved_before {
                    sysctl.set(
                        spelling,
                        serde_json::Value::from(value.as_str()).to_string(),
                        &self.style,
                        3,
                    );
                    edited = true;
                    changes.push(Change {
                        what: format!("linux.sysctl: {spelling} is back"),
                        why: "the runtime can set it itself".into(),
                    });
                }
                continue;
            };
            if let Some(other) = values.insert(key, request)
                && other.value != *value
            {
                return Err(RewriteError::Conflict {
                    first: other.spelling.clone(),
                    second: spelling.clone(),
                });
            }
            if place.missing.contains(key) || place.replaced.contains(key) {
                let mut entry = job.table.get(key).cloned().unwrap_or_else(|| requested(value));
                entry.source = literal(request, &entry)?;
                job.table.insert(key.clone(), entry);
            }
            job.sysctl.insert(spelling.clone(), value.clone());
            if !moved_before {
                sysctl.remove(spelling);
                edited = true;
                changes.push(Change {
                    what: format!("linux.sysctl: {spelling} = {value:?} is now the hook's to set"),
                    why: obstacle,
                });
            }
        }
        if !job.sysctl.is_empty() {
            job.missing_sysctls = policy.missing_sysctls;
            job.refused_sysctls = policy.refused_sysctls;
        }
        if edited {
            linux.set("sysctl", sysctl.to_string(), &self.style, 2);
            self.top.set("linux", linux.to_string(), &self.style, 1);
        }
        Ok(job)
    }
}

/// `linux` and `linux.sysctl`; empty where absent.
pub(super) fn sysctl_of(top: &Node) -> Result<(Node, Node), DocumentError> {
    let part = |raw: Option<&str>, at: &str| match raw {
        None | Some("null") => Ok(Node::empty_object()),
        Some(raw) => Node::object(raw, at),
    };
    let linux = part(top.get("linux"), "linux")?;
    let sysctl = part(linux.get("sysctl"), "linux.sysctl")?;
    Ok((linux, sysctl))
}

pub(super) fn moved_before(top: &Node) -> Result<Vec<Request>, RewriteError> {
    let Some(old) = old_job(top)? else {
        return Ok(Vec::new());
    };
    let request = |(spelling, value): (&String, &String)| {
        Request::new(spelling, value).ok_or_else(|| RewriteError::Job {
            what: format!("sysctl: {spelling:?} is no key"),
        })
    };
    old.sysctl.iter().map(request).collect()
}

/// `table` with values in place of its `sysctl` sources; an entry goes where neither request nor fallback gives one.
pub(super) fn without_sysctl_sources(table: &Table, requests: &[Requested]) -> Result<Table, RewriteError> {
    let mut resolved = Table::new();
    resolved.set_doc(table.doc());
    for (key, entry) in table {
        let mut entry = entry.clone();
        if entry.source == ValueSource::Sysctl {
            let request = requests
                .iter()
                .find(|other| other.request.key == *key)
                .map(|other| &other.request);
            let source = match (request, entry.fallback.take()) {
                (Some(request), _) => literal(request, &entry)?,
                (None, Some(fallback)) => ValueSource::Literal(fallback),
                (None, None) => continue,
            };
            entry.source = source;
        }
        resolved.insert(key.clone(), entry);
    }
    Ok(resolved)
}

/// The value of `request`, if `entry` can show it.
pub(super) fn literal(request: &Request, entry: &Entry) -> Result<ValueSource, RewriteError> {
    let value = Value::from(request.value.as_str());
    value
        .render(entry.separator)
        .map_err(|source| RewriteError::Value {
            key: request.spelling.clone(),
            source,
        })?;
    Ok(ValueSource::Literal(value))
}

/// The entry of a key that is there because it was requested.
pub(crate) fn requested(value: &str) -> Entry {
    Entry::literal(value).with_doc("requested by linux.sysctl")
}

/// Why the runtime cannot set `key` itself; `refused` is one of the container's that it may not write.
pub(super) fn obstacle(key: &SysctlKey, place: &PlaceFacts, refused: Option<&SysctlKey>) -> Option<String> {
    if place.missing.contains(key) {
        return Some("the kernel lacks it".into());
    }
    if place.replaced.contains(key) {
        return Some("it is replaced".into());
    }
    let covers = |folder: &&String| {
        key.path()
            .strip_prefix(folder.as_str())
            .is_some_and(|rest| rest.starts_with('/'))
    };
    if let Some(folder) = place.overmounts.iter().find(covers) {
        return Some(format!("it lies below /proc/{folder}, which is overmounted"));
    }
    refused.map(|refused| format!("the runtime may not write {refused}"))
}
