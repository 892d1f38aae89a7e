//! Files that are ours alone, for engines that read a folder of them.

use super::{HANDLER, Handler, MADE_BY, Target};
use crate::config::PROFILE_ANNOTATION;
use crate::hooks::{ARGS, ENV};
use serde_json::json;

/// What `target` reads, for `handler`; `bridge` is the path of runtime-bridge itself. `None` where the target's file is
/// shared with others.
pub fn content(target: Target, handler: &Handler, bridge: &str) -> Option<String> {
    let program = toml_string(&handler.program);
    Some(match target {
        Target::Containerd | Target::Docker | Target::K3sV2 | Target::K3sV3 => return None,
        Target::Podman => {
            // podman keeps a container's runtime as it is written here. By its path it is found without this file too.
            let default = match handler.default {
                true => format!("runtime = {program}\n"),
                false => String::new(),
            };
            format!("{MADE_BY}[engine]\n{default}\n[engine.runtimes]\n{HANDLER} = [{program}]\n")
        }
        Target::Crio => {
            let default = match handler.default {
                true => format!("[crio.runtime]\ndefault_runtime = \"{HANDLER}\"\n\n"),
                false => String::new(),
            };
            format!(
                "{MADE_BY}{default}[crio.runtime.runtimes.{HANDLER}]\nruntime_path = {program}\nruntime_type = \"oci\"\n"
            )
        }
        Target::HooksDir => {
            let when = match handler.default {
                true => json!({"always": true}),
                false => {
                    json!({"annotations": {format!("^{}$", PROFILE_ANNOTATION.replace('.', "\\.")): ".*"}})
                }
            };
            let hook = json!({
                "version": "1.0.0",
                "hook": {"path": bridge, "args": ARGS, "env": ENV},
                "when": when,
                "stages": ["createContainer"],
            });
            format!("{hook:#}\n")
        }
        Target::Cdi => {
            let hook = json!({"hookName": "createContainer", "path": bridge, "args": ARGS, "env": ENV});
            let spec = json!({
                "cdiVersion": "0.5.0",
                "kind": "procemu.io/keys",
                "devices": [{"name": "all", "containerEdits": {"hooks": [hook]}}],
            });
            format!("{spec:#}\n")
        }
    })
}

/// The handler that such a file tells of; `None` for a file that is not by us.
pub fn installed(target: Target, text: &str) -> Option<Handler> {
    let (program, default) = match target {
        Target::HooksDir => {
            let file: serde_json::Value = serde_json::from_str(text).ok()?;
            (hook(file.get("hook")?)?, file.pointer("/when/always").is_some())
        }
        Target::Cdi => {
            let file: serde_json::Value = serde_json::from_str(text).ok()?;
            (hook(file.pointer("/devices/0/containerEdits/hooks/0")?)?, false)
        }
        _ => {
            let file: toml::Table = toml::from_str(text.strip_prefix(MADE_BY)?).ok()?;
            let engine = file
                .get("engine")
                .or(file.get("crio").and_then(|crio| crio.get("runtime")))?;
            let ours = engine.get("runtimes")?.get(HANDLER)?;
            let program = ours.get(0).or(ours.get("runtime_path"))?.as_str()?.to_owned();
            let default = engine.get("runtime").or(engine.get("default_runtime"));
            let default = default.and_then(toml::Value::as_str);
            let is_ours = default == Some(HANDLER) || default == Some(&program);
            (program, is_ours)
        }
    };
    Some(Handler {
        program,
        default,
        no_new_keyring: false,
    })
}

/// The program of a hook that is ours.
fn hook(hook: &serde_json::Value) -> Option<String> {
    let ours = hook.get("args")? == &json!(ARGS);
    Some(hook.get("path")?.as_str()?.to_owned()).filter(|_| ours)
}

fn toml_string(text: &str) -> String {
    toml::Value::from(text).to_string()
}
