//! crun's annotation for what hooks say on standard error; without it, theirs is /dev/null.

use super::{Change, Draft, Facts, RewriteError, old_job};
use crate::document::Node;
use crate::runtime::Kind;

/// What crun is told to give hooks as standard error; without it, theirs is /dev/null.
pub const STDERR: &str = "/proc/self/fd/2";

/// crun's annotation for that.
const STDERR_ANNOTATION: &str = "run.oci.hooks.stderr";

impl Draft {
    /// Has crun hand on what the hook says, or takes that back; tells whether the annotation is ours now.
    pub(super) fn pass_stderr(
        &mut self,
        needed: bool,
        facts: &Facts,
        changes: &mut Vec<Change>,
    ) -> Result<bool, RewriteError> {
        let wanted = needed && facts.stderr && facts.runtime.kind == Kind::Crun;
        let ours = old_job(&self.top)?.is_some_and(|old| old.stderr);
        let mut annotations = match self.top.get("annotations") {
            None => Node::empty_object(),
            // An odd one is the runtime's to refuse.
            Some(raw) => match Node::object(raw, "annotations") {
                Ok(annotations) if !annotations.is_empty() => annotations,
                _ => return Ok(false),
            },
        };
        let (what, why) = if wanted && annotations.get(STDERR_ANNOTATION).is_none() {
            let value = serde_json::Value::from(STDERR).to_string();
            annotations.set(STDERR_ANNOTATION, value, &self.style, 2);
            (
                format!("{STDERR_ANNOTATION} is now {STDERR:?}"),
                "crun drops what a hook says on standard error",
            )
        } else if !wanted && ours {
            annotations.remove(STDERR_ANNOTATION);
            (
                format!("{STDERR_ANNOTATION} is gone"),
                "there is no hook, or its standard error is not to be had",
            )
        } else {
            return Ok(ours);
        };
        if annotations.is_empty() {
            self.top.remove("annotations");
        } else {
            self.top
                .set("annotations", annotations.to_string(), &self.style, 1);
        }
        changes.push(Change {
            what: format!("annotations: {what}"),
            why: why.into(),
        });
        Ok(wanted)
    }
}
