//! dockerd's `daemon.json`: a runtime beside the others, edited so that all else keeps its bytes.

use super::{HANDLER, Handler, Refusal, is_ours};
use crate::document::{Node, Style};
use serde_json::{Value, json};

/// The text with our runtime.
///
/// # Errors
/// If the text is no JSON object, or has a runtime of our name that is not ours.
pub fn add(text: &str, handler: &Handler) -> Result<String, Refusal> {
    let clean = remove(text, None)?;
    let mut top = object(if clean.trim().is_empty() { "{}\n" } else { &clean }, "")?;
    let style = if top.is_empty() {
        Style::indented()
    } else {
        Style::of(&top)
    };
    let mut runtimes = runtimes(&top)?;
    if runtimes.get(HANDLER).is_some() {
        return Err(Refusal::new(format!(
            "has a runtime {HANDLER} that runtime-bridge did not make; rename it"
        )));
    }
    runtimes.set(
        HANDLER,
        style.render(&json!({"path": handler.program}), 2),
        &style,
        2,
    );
    top.set("runtimes", runtimes.to_string(), &style, 1);
    if handler.default {
        top.set("default-runtime", json!(HANDLER).to_string(), &style, 1);
    }
    Ok(top.to_string())
}

/// The text without our runtime. The default that it took the place of is read in `before`, the text as it was then.
///
/// # Errors
/// If either is no JSON object.
pub fn remove(text: &str, before: Option<&str>) -> Result<String, Refusal> {
    if text.trim().is_empty() {
        return Ok(text.to_owned());
    }
    let mut top = object(text, "")?;
    if installed(text)?.is_none() {
        return Ok(text.to_owned());
    }
    let style = Style::of(&top);
    let mut runtimes = runtimes(&top)?;
    runtimes.remove(HANDLER);
    match runtimes.is_empty() {
        true => top.remove("runtimes"),
        false => top.set("runtimes", runtimes.to_string(), &style, 1),
    }
    if top.get("default-runtime").and_then(string).as_deref() == Some(HANDLER) {
        let former = match before {
            Some(before) if !before.trim().is_empty() => {
                object(before, "")?.get("default-runtime").map(str::to_owned)
            }
            _ => None,
        };
        match former {
            Some(former) => top.set("default-runtime", former, &style, 1),
            None => top.remove("default-runtime"),
        }
    }
    Ok(top.to_string())
}

/// Our runtime's program, and whether it is the default.
///
/// # Errors
/// If the text is no JSON object.
pub fn installed(text: &str) -> Result<Option<Handler>, Refusal> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let top = object(text, "")?;
    let ours = runtimes(&top)?
        .get(HANDLER)
        .and_then(|raw| serde_json::from_str::<Value>(raw).ok());
    let program = ours.as_ref().and_then(|ours| ours.get("path")?.as_str());
    Ok(program.filter(|program| is_ours(program)).map(|program| Handler {
        program: program.to_owned(),
        default: top.get("default-runtime").and_then(string).as_deref() == Some(HANDLER),
        no_new_keyring: false,
    }))
}

/// The program of the default runtime: a name on PATH or a path. `before` is as for [`remove`].
///
/// # Errors
/// If the text is no JSON object, or its default runtime is more than a program.
pub fn runtime(text: &str, before: Option<&str>) -> Result<String, Refusal> {
    let clean = remove(text, before)?;
    let top = object(if clean.trim().is_empty() { "{}" } else { &clean }, "")?;
    let name = top.get("default-runtime").and_then(string);
    let name = name.as_deref().filter(|name| !name.is_empty()).unwrap_or("runc");
    let runtimes = runtimes(&top)?;
    let Some(raw) = runtimes.get(name) else {
        return match name {
            "runc" | "io.containerd.runc.v2" => Ok("runc".to_owned()),
            _ => Err(Refusal::new(format!(
                "has no runtime {name}, which is its default"
            ))),
        };
    };
    let runtime: Value = serde_json::from_str(raw).unwrap_or_default();
    let list = runtime.get("runtimeArgs").and_then(Value::as_array);
    if list.is_some_and(|args| !args.is_empty()) {
        return Err(Refusal::new(format!(
            "gives its default runtime {name} runtimeArgs, which it would not get through us; name a program with --runtime"
        )));
    }
    let program = runtime.get("path").and_then(Value::as_str);
    program
        .filter(|program| !program.is_empty())
        .map(str::to_owned)
        .ok_or_else(|| {
            Refusal::new(format!(
                "has no path for its default runtime {name}; name a program with --runtime"
            ))
        })
}

/// Whether the latter text has all that the former says of runtimes, or another default: a reload does not take back what is
/// there no more.
pub fn only_adds((now, new): (&str, &str)) -> bool {
    let part = |text: &str, name: &str| -> Value {
        let top = object(text, "").ok();
        let raw = top.as_ref().and_then(|top| top.get(name));
        raw.and_then(|raw| serde_json::from_str(raw).ok())
            .unwrap_or_default()
    };
    let default = |text| !part(text, "default-runtime").is_null();
    let (had, has) = (part(now, "runtimes"), part(new, "runtimes"));
    let mut had = had.as_object().into_iter().flatten();
    (!default(now) || default(new)) && had.all(|(name, runtime)| has.get(name) == Some(runtime))
}

fn object(text: &str, at: &str) -> Result<Node, Refusal> {
    Node::object(text, at).map_err(|error| {
        let error = crate::report::chain(&error);
        let error = error.trim_start_matches(": ");
        Refusal::new(format!("is no JSON that can be edited: {error}"))
    })
}

fn runtimes(top: &Node) -> Result<Node, Refusal> {
    match top.get("runtimes") {
        None | Some("null") => Ok(Node::empty_object()),
        Some(raw) => object(raw, "runtimes"),
    }
}

fn string(raw: &str) -> Option<String> {
    serde_json::from_str(raw).ok()
}
