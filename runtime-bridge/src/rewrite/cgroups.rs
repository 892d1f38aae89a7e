//! Taking out what cgroups cannot do: a namespace of them, and files that they lack.

use super::{Change, Draft, string, sysctl_of};
use crate::cgroups::Lacking;
use crate::document::{DocumentError, Node};
use crate::spec::Namespace;

impl Draft {
    /// The names in `linux.resources.unified`. What is odd there is the runtime's to refuse.
    pub fn unified(&self) -> Vec<String> {
        let found = resources_of(&self.top).map(|(_, _, unified)| unified);
        found
            .iter()
            .flat_map(Node::iter)
            .map(|(name, _)| name.to_owned())
            .collect()
    }

    /// Takes out what is `lacking`, for good: no later rewriting knows that it was there.
    pub(super) fn leave_out(
        &mut self,
        lacking: &Lacking,
        changes: &mut Vec<Change>,
    ) -> Result<(), DocumentError> {
        if lacking.namespace {
            self.leave_out_namespace(changes)?;
        }
        if let Some((mut linux, mut resources, mut unified)) = resources_of(&self.top) {
            let before = changes.len();
            for file in &lacking.unified {
                let Some(value) = unified.get(file).map(str::to_owned) else {
                    continue;
                };
                unified.remove(file);
                changes.push(Change {
                    what: format!(
                        "linux.resources.unified: {file} = {} is gone",
                        string(&value).map_or(value, |value| format!("{value:?}"))
                    ),
                    why: "the kernel's cgroups have no such file".into(),
                });
            }
            if changes.len() > before {
                resources.set("unified", unified.to_string(), &self.style, 3);
                linux.set("resources", resources.to_string(), &self.style, 2);
                self.top.set("linux", linux.to_string(), &self.style, 1);
            }
        }
        Ok(())
    }

    fn leave_out_namespace(&mut self, changes: &mut Vec<Change>) -> Result<(), DocumentError> {
        let (mut linux, _) = sysctl_of(&self.top)?;
        let Some(raw) = linux.get("namespaces").filter(|raw| *raw != "null") else {
            return Ok(());
        };
        let mut listed = Node::array(raw, "linux.namespaces")?;
        // One to join exists, whatever the kernel makes anew.
        let is_new_cgroup = |raw: &str| {
            serde_json::from_str::<Namespace>(raw)
                .is_ok_and(|listed| listed.kind == "cgroup" && listed.path.as_os_str().is_empty())
        };
        let found: Vec<usize> = listed
            .iter()
            .enumerate()
            .filter(|(_, (_, raw))| is_new_cgroup(raw))
            .map(|(index, _)| index)
            .collect();
        if found.is_empty() {
            return Ok(());
        }
        for index in found.into_iter().rev() {
            listed.remove_at(index);
        }
        linux.set("namespaces", listed.to_string(), &self.style, 2);
        self.top.set("linux", linux.to_string(), &self.style, 1);
        changes.push(Change {
            what: "linux.namespaces: the cgroup namespace is gone".into(),
            why: "the kernel has none".into(),
        });
        Ok(())
    }
}

/// `linux`, `linux.resources` and `linux.resources.unified`, where all three are objects.
fn resources_of(top: &Node) -> Option<(Node, Node, Node)> {
    let linux = Node::object(top.get("linux")?, "linux").ok()?;
    let resources = Node::object(linux.get("resources")?, "linux.resources").ok()?;
    let unified = Node::object(resources.get("unified")?, "linux.resources.unified").ok()?;
    Some((linux, resources, unified))
}
