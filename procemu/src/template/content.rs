//! What of a plan and its snapshot is the same for all containers with that table.

use serde::Serialize;

use crate::namespaced;
use crate::plan::{Plan, Step};
use crate::snapshot::{Node, Snapshot};

/// The part of a plan that a template can hold, and its text, by which a template is known.
#[derive(Debug, Serialize)]
pub(crate) struct Content<'a> {
    version: u32,
    layer: &'a str,
    label: Option<&'a str>,
    parts: Vec<Part<'a>>,
    nodes: Vec<&'a Node>,
}

/// An overmounted folder or a replaced key.
#[derive(Debug, Serialize)]
struct Part<'a> {
    at: &'a str,
    /// The originals that are bound in it, relative to the root of procfs.
    passed: Vec<&'a str>,
}

impl<'a> Content<'a> {
    /// That of `plan`, compiled to `snapshot`, as the layer `layer`; `None` where it has nothing.
    pub(crate) fn of(
        plan: &'a Plan,
        snapshot: &'a Snapshot,
        layer: &'a str,
        label: Option<&'a str>,
    ) -> Option<Self> {
        if !plan.filesystem.is_proc() {
            return None;
        }
        let parts: Vec<Part<'a>> = crate::attach::parts(plan)
            .into_iter()
            .filter(|part| can_be_shared(part.at, part.steps))
            .map(|part| Part {
                at: part.at,
                passed: part.steps.iter().filter_map(passed).collect(),
            })
            .collect();
        if parts.is_empty() {
            return None;
        }
        let mut content = Self {
            version: 2,
            layer,
            label,
            parts,
            nodes: Vec::new(),
        };
        content.nodes = snapshot.nodes().iter().filter(|node| content.has(node)).collect();
        Some(content)
    }

    /// Its text.
    pub(crate) fn text(&self) -> String {
        // Of strings and numbers alone, which always have one.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The paths of its parts.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &'a str> {
        self.parts.iter().map(|part| part.at)
    }

    /// The name of the layer that its mounts will be.
    pub(crate) fn layer(&self) -> &str {
        self.layer
    }

    /// The SELinux label of its tmpfs.
    pub(crate) fn label(&self) -> Option<&str> {
        self.label
    }

    /// Where originals are passed through that belong to no namespace.
    pub(crate) fn passed(&self) -> impl Iterator<Item = &'a str> {
        self.parts.iter().flat_map(|part| part.passed.iter().copied())
    }

    /// Whether a step in the part at `at` is carried out by it.
    pub(crate) fn has_step(&self, at: &str, step: &Step) -> bool {
        passed(step).is_some() && self.parts().any(|part| part == at)
    }

    /// The tmpfs of the template.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot::from_nodes(self.nodes.iter().copied().cloned().collect())
    }

    /// What is left of `snapshot` for the container: all that lies in other parts.
    pub(crate) fn rest(&self, snapshot: &Snapshot) -> Snapshot {
        let other = |node: &&Node| matches!(node, Node::Folder { .. }) || !self.covers(node.path());
        Snapshot::from_nodes(snapshot.nodes().iter().filter(other).cloned().collect())
    }

    fn covers(&self, path: &str) -> bool {
        self.parts().any(|at| {
            path.strip_prefix(at)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// Whether a node of the snapshot is in it: those of its parts, and the folders on the way to them.
    fn has(&self, node: &Node) -> bool {
        let above = |at: &str| {
            at.strip_prefix(node.path())
                .is_some_and(|rest| rest.starts_with('/'))
        };
        self.covers(node.path()) || (matches!(node, Node::Folder { .. }) && self.parts().any(above))
    }
}

/// Whether containers can share a part: nothing in it takes writes, and it is not seen by way of a namespace.
fn can_be_shared(at: &str, steps: &[Step]) -> bool {
    let in_namespace = ["sys/net", "sys/user"].contains(&at) || namespaced::anchor(at).is_some();
    !in_namespace
        && steps.iter().all(|step| match step {
            Step::Pass { read_only, .. } => *read_only,
            Step::Emulate { writable, .. } | Step::Replace { writable, .. } => !writable,
            Step::Link { .. } | Step::Underlay { .. } => false,
            Step::Overmount { .. } | Step::Folder { .. } => true,
        })
}

/// The path of an original that belongs to no namespace.
fn passed(step: &Step) -> Option<&str> {
    match step {
        Step::Pass { path, .. } if namespaced::anchor(path).is_none() => Some(path),
        _ => None,
    }
}
