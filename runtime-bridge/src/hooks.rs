//! Our entry in `hooks`.

use crate::document::{DocumentError, Node, Style};
use serde_json::{Value, json};

/// The stages that our hook is put into, by preference: in the container's namespaces before pivot_root, else (a runtime
/// that lacks that one, a container whose root cannot read the bundle) in the runtime's own.
pub const STAGES: [&str; 2] = ["createContainer", "prestart"];

/// What a runtime gives our hook, in seconds: some hundred times what it takes.
const TIMEOUT: u32 = 10;

/// How the hook is called; by this it is known again.
pub(crate) const ARGS: [&str; 2] = ["runtime-bridge", "hook"];

/// Its environment, which nothing in it needs. runc 1.1 gives a hook that names none that of the container's process, and the image's
/// LD_PRELOAD would be obeyed before pivot_root; an empty list may be taken for none on the way there.
pub(crate) const ENV: [&str; 1] = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"];

/// What happened to `hooks`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edit {
    /// It was as it should be.
    None,
    /// Our hook was put in front of its stage.
    Inserted,
    /// Our hook of an earlier rewriting was brought up to date.
    Replaced,
    /// Our hook was taken out.
    Removed,
}

/// Whether `hooks` and the stages that we use are what the OCI spec says.
///
/// # Errors
/// As [`place`].
pub fn check(top: &Node) -> Result<(), DocumentError> {
    place(&mut top.clone(), None, "", &Style::of(top)).map(drop)
}

/// Makes our hook, calling `program`, stand in `stage` and nowhere else (`None`: nowhere at all).
///
/// One that is there keeps its place in the order; a new one comes first, since hooks behind it may read keys.
///
/// # Errors
/// If `hooks` or one of its stages has another type than the OCI spec says, or duplicate members.
pub fn place(
    top: &mut Node,
    stage: Option<&str>,
    program: &str,
    style: &Style,
) -> Result<Edit, DocumentError> {
    let is_there = |raw: &Option<&str>| !matches!(raw, None | Some("null"));
    let mut hooks = match top.get("hooks") {
        raw if is_there(&raw) => Node::object(raw.unwrap_or_default(), "hooks")?,
        _ => Node::empty_object(),
    };
    let ours = json!({"path": program, "args": ARGS, "env": ENV, "timeout": TIMEOUT});
    let (mut had, mut changed) = (false, false);
    for name in STAGES {
        let at = format!("hooks.{name}");
        let mut list = match hooks.get(name) {
            raw if is_there(&raw) => Node::array(raw.unwrap_or_default(), &at)?,
            _ => Node::empty_array(),
        };
        let before = list.clone();
        let wanted = stage == Some(name);
        let found: Vec<usize> = list
            .iter()
            .enumerate()
            .filter(|(_, (_, raw))| is_ours(raw))
            .map(|(i, _)| i)
            .collect();
        had |= !found.is_empty();
        // From behind, so that removals leave the places of those still to be visited.
        for (rank, &index) in found.iter().enumerate().rev() {
            if rank > 0 || !wanted {
                list.remove_at(index);
            } else if list.iter().nth(index).and_then(|(_, raw)| value(raw)).as_ref() != Some(&ours) {
                list.replace(index, style.render(&ours, 3));
            }
        }
        if wanted && found.is_empty() {
            list.prepend(style.render(&ours, 3), style, 3);
        }
        if list != before {
            changed = true;
            if list.is_empty() {
                hooks.remove(name);
            } else {
                hooks.set(name, list.to_string(), style, 2);
            }
        }
    }
    if changed && hooks.is_empty() {
        top.remove("hooks");
    } else if changed {
        top.set("hooks", hooks.to_string(), style, 1);
    }
    Ok(match (changed, stage, had) {
        (false, _, _) => Edit::None,
        (true, None, _) => Edit::Removed,
        (true, Some(_), true) => Edit::Replaced,
        (true, Some(_), false) => Edit::Inserted,
    })
}

fn value(raw: &str) -> Option<Value> {
    serde_json::from_str(raw).ok()
}

/// Whether `raw` is a hook of ours, at whatever path the program was then.
fn is_ours(raw: &str) -> bool {
    value(raw)
        .as_ref()
        .and_then(|hook| hook.get("args")?.as_array().cloned())
        .is_some_and(|args| args.iter().take(2).eq(ARGS.iter()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = r#"{"path":"/b","args":["runtime-bridge","hook"],"env":["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],"timeout":10}"#;

    fn run(text: &str, stage: Option<&str>) -> (Edit, String) {
        let mut top = Node::object(text, "config.json").unwrap();
        let style = Style::of(&top);
        let edit = place(&mut top, stage, "/b", &style).unwrap();
        (edit, top.to_string())
    }

    fn check(text: &str, stage: Option<&str>, edit: Edit, want: &str) {
        let (text, want) = (text.replace("OURS", OURS), want.replace("OURS", OURS));
        assert_eq!(run(&text, stage), (edit, want.clone()), "{text}");
        assert_eq!(run(&want, stage), (Edit::None, want), "not idempotent");
    }

    #[test]
    fn a_new_hook_comes_first() {
        let stage = Some("createContainer");
        let want = r#"{"a":1,"hooks":{"createContainer":[OURS]}}"#;
        check(r#"{"a":1}"#, stage, Edit::Inserted, want);
        check(r#"{"a":1,"hooks":null}"#, stage, Edit::Inserted, want);
        check(r#"{"a":1,"hooks":{}}"#, stage, Edit::Inserted, want);
        check(
            r#"{"hooks":{"createContainer":null,"x":1e400}}"#,
            stage,
            Edit::Inserted,
            r#"{"hooks":{"createContainer":[OURS],"x":1e400}}"#,
        );
        check(
            r#"{"hooks":{"createContainer":[{"path":"\u002fx"}, {"path":"/y","path":"/z"}]}}"#,
            stage,
            Edit::Inserted,
            r#"{"hooks":{"createContainer":[OURS, {"path":"\u002fx"}, {"path":"/y","path":"/z"}]}}"#,
        );
        check(
            r#"{}"#,
            Some("prestart"),
            Edit::Inserted,
            r#"{"hooks":{"prestart":[OURS]}}"#,
        );
    }

    #[test]
    fn an_old_hook_is_replaced_in_place() {
        let old = OURS.replace("/b", "/old");
        let stage = Some("createContainer");
        for (text, want) in [
            (
                r#"{"hooks":{"createContainer":[1,OLD,2,OLD]}}"#,
                r#"{"hooks":{"createContainer":[1,OURS,2]}}"#,
            ),
            (
                r#"{"hooks":{"createContainer":[1],"prestart":[OLD,2]}}"#,
                r#"{"hooks":{"createContainer":[OURS,1],"prestart":[2]}}"#,
            ),
            (
                r#"{"hooks":{"prestart":[OLD]}}"#,
                r#"{"hooks":{"createContainer":[OURS]}}"#,
            ),
        ] {
            check(&text.replace("OLD", &old), stage, Edit::Replaced, want);
        }
        check(
            r#"{"hooks":{"createContainer":[OURS]}}"#,
            Some("prestart"),
            Edit::Replaced,
            r#"{"hooks":{"prestart":[OURS]}}"#,
        );
    }

    #[test]
    fn a_hook_that_is_not_needed_goes_and_others_stay() {
        check(
            r#"{"a":1,"hooks":{"createContainer":[OURS]}}"#,
            None,
            Edit::Removed,
            r#"{"a":1}"#,
        );
        check(
            r#"{"hooks":{"createContainer":[OURS],"poststop":[]}}"#,
            None,
            Edit::Removed,
            r#"{"hooks":{"poststop":[]}}"#,
        );
        check(
            r#"{"hooks":{"prestart":[ ]}}"#,
            None,
            Edit::None,
            r#"{"hooks":{"prestart":[ ]}}"#,
        );
        check(
            r#"{"hooks":{"createContainer":[{"args":["x"]},{"args":null},7]}}"#,
            None,
            Edit::None,
            r#"{"hooks":{"createContainer":[{"args":["x"]},{"args":null},7]}}"#,
        );
    }

    #[test]
    fn indented_files_stay_indented() {
        let (_, text) = run("{\n  \"a\": 1\n}\n", Some("createContainer"));
        let want = "{\n  \"a\": 1,\n  \"hooks\": {\n    \"createContainer\": [\n      {\n        \"path\": \"/b\",\n        \"args\": [\n          \"runtime-bridge\",\n          \"hook\"\n        ],\n        \"env\": [\n          \"PATH=/usr/sbin:/usr/bin:/sbin:/bin\"\n        ],\n        \"timeout\": 10\n      }\n    ]\n  }\n}\n";
        assert_eq!(text, want);
    }

    #[test]
    fn wrong_types_are_refused() {
        for (text, want) in [
            (
                r#"{"hooks":[]}"#,
                "hooks: invalid type: sequence, expected a JSON object at line 1 column 0",
            ),
            (
                r#"{"hooks":{"prestart":{}}}"#,
                "hooks.prestart: invalid type: map, expected a JSON array at line 1 column 0",
            ),
            (
                r#"{"hooks":{"a":1,"a":2}}"#,
                "hooks: duplicate member \"a\", each name may appear once",
            ),
        ] {
            let mut top = Node::object(text, "config.json").unwrap();
            let style = Style::of(&top);
            let error = place(&mut top, Some("prestart"), "/b", &style).unwrap_err();
            assert_eq!(crate::report::chain(&error), want);
        }
    }
}
