//! The form that a `config.toml` has, or is to begin with.

use super::{DocumentMut, Item, PLUGIN_2, PLUGIN_3, Refusal, Value, parse};
use crate::install::{InstallError, Target};
use std::io;
use std::process::Command;

const BEGINNING_2: &str = "version = 2\n";
const BEGINNING_3: &str = "version = 3\n";

/// The CRI plugin that has the runtimes, by the file's version.
pub(super) fn plugin(document: &DocumentMut) -> Result<&'static str, Refusal> {
    let Some(version) = document.get("version") else {
        return Err(of_version_1());
    };
    match version.as_integer() {
        Some(2) => Ok(PLUGIN_2),
        Some(3) => Ok(PLUGIN_3),
        Some(1) => Err(of_version_1()),
        _ => {
            let given = version.as_value().map_or("a table".to_owned(), |given| {
                given.clone().decorated("", "").to_string().replace('\n', " ")
            });
            Err(Refusal::new(format!(
                "has version = {given}, expected the number 2 or 3"
            )))
        }
    }
}

fn of_version_1() -> Refusal {
    Refusal::new(
        "has no version, or 1; expected version = 2 or 3 at the top and the form that `containerd config default` prints \
         (`containerd config migrate` of containerd 2.x prints this file in it)",
    )
}

/// The same, where it is not switched off.
pub(super) fn enabled_plugin(document: &DocumentMut) -> Result<&'static str, Refusal> {
    let disabled = document.get("disabled_plugins").and_then(Item::as_array);
    let mut names = disabled.into_iter().flatten().filter_map(Value::as_str);
    match names.find(|name| ["cri", PLUGIN_2, PLUGIN_3].contains(name)) {
        Some(name) => Err(Refusal::new(format!(
            "has {name} among its disabled_plugins, without which containerd has no runtimes to choose from; take it out there"
        ))),
        None => plugin(document),
    }
}

/// Whether the text says nothing: blank, or comments alone.
pub fn is_blank(text: &str) -> bool {
    parse(text).is_ok_and(|document| document.is_empty())
}

/// A text that says nothing with `beginning` below it.
pub fn begun(text: &str, beginning: &str) -> String {
    let gap = match text.is_empty() || text.ends_with('\n') {
        true => "",
        false => "\n",
    };
    format!("{text}{gap}{beginning}")
}

/// What a file of the same form as `text` begins with; nothing where it has none.
pub fn beginning(text: &str) -> &'static str {
    match parse(text).and_then(|document| plugin(&document)) {
        Ok(PLUGIN_2) => BEGINNING_2,
        Ok(_) => BEGINNING_3,
        Err(_) => "",
    }
}

/// What a new configuration begins with, in the form of the containerd that is here.
///
/// # Errors
/// If there is none, or it does not tell its version.
pub fn new() -> Result<&'static str, InstallError> {
    let unknown = |what: &str| InstallError::Unsupported {
        target: Target::Containerd.name(),
        what: format!(
            "has no configuration, and {what}; name its file with --config, or write what `containerd config default` prints"
        ),
    };
    let output = Command::new("containerd").arg("--version").output();
    let output = output.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => unknown("containerd is not on PATH"),
        _ => unknown(&format!(
            "containerd cannot be asked for its version: {}",
            procemu::errno_text(&error)
        )),
    })?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut words = text.split_whitespace().map(|word| word.trim_start_matches('v'));
    // `containerd github.com/containerd/containerd/v2 v2.2.9 REVISION`
    match words.find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.')) {
        Some(version) if version.starts_with("1.") => Ok(BEGINNING_2),
        Some(version) if version.starts_with("2.") => Ok(BEGINNING_3),
        _ => Err(unknown(&format!("its version is not known: {:?}", text.trim()))),
    }
}
