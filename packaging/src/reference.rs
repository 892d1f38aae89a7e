//! The reference in `docs/`: what the programs say of themselves, and what the schema says of tables.

use std::fmt::Write;

use clap::Command;
use serde_json::{Map, Value};

use crate::commands;

/// Its pages, by their file names.
pub fn pages() -> Vec<(String, String)> {
    let mut pages: Vec<_> = commands::all()
        .iter()
        .map(|program| (format!("{}.md", program.get_name()), of_program(program)))
        .collect();
    pages.push(("table.md".to_owned(), of_tables(&procemu::json_schema())));
    pages
}

/// The help of all its commands.
fn of_program(program: &Command) -> String {
    let mut text = format!(
        "# {}\n\nWhat `--help` says of each command. This page is written by `make reference`.\n",
        program.get_name()
    );
    for command in commands::flattened(program) {
        let name = command.get_bin_name().unwrap_or(command.get_name());
        let help = command.clone().render_long_help().to_string();
        let lines: Vec<_> = help.trim_end().lines().map(str::trim_end).collect();
        let _ = write!(text, "\n## {name}\n\n```text\n{}\n```\n", lines.join("\n"));
    }
    text
}

/// Every member of the schema's objects, and every value of its enumerations.
fn of_tables(schema: &Value) -> String {
    let mut text = "# Tables\n\nWhat the [JSON Schema](../table.schema.json) says; [tables.md](../tables.md) explains it. \
                    This page is written by `make reference`.\n"
        .to_owned();
    section(&mut text, schema["title"].as_str().unwrap_or_default(), schema);
    for (name, of) in members(schema, "$defs") {
        section(&mut text, name, of);
    }
    text
}

fn section(text: &mut String, name: &str, of: &Value) {
    let _ = write!(text, "\n## {name}\n\n{}\n", sentence(of));
    if of["properties"].is_object() {
        text.push_str("\n| member | type | default | means |\n|---|---|---|---|\n");
        for (name, member) in members(of, "properties") {
            let default = member
                .get("default")
                .map(|default| format!("`{default}`"))
                .unwrap_or_default();
            let _ = writeln!(
                text,
                "| `{name}` | {} | {default} | {} |",
                kind(member),
                cell(&description(member))
            );
        }
    } else if let Some(values) = of["oneOf"].as_array() {
        text.push_str("\n| value | means |\n|---|---|\n");
        for value in values {
            let _ = writeln!(text, "| {} | {} |", kind(value), cell(&description(value)));
        }
    } else {
        let _ = write!(text, "\n{}\n", kind(of));
    }
}

fn members<'a>(of: &'a Value, name: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    of[name].as_object().into_iter().flat_map(Map::iter)
}

/// What a value may be, in a line.
fn kind(of: &Value) -> String {
    let parts = |list: &Value| -> String {
        let kinds = list.as_array().into_iter().flatten().map(kind);
        kinds.collect::<Vec<_>>().join(", or ")
    };
    if let Some(name) = of["$ref"].as_str() {
        let name = name.trim_start_matches("#/$defs/");
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(value) = of.get("const") {
        return format!("`{value}`");
    }
    match of["type"].as_str() {
        Some("object") => {
            let of = kind(&of["additionalProperties"]);
            format!("object of {of}, by their keys")
        }
        Some("array") => format!("list of ({})", kind(&of["items"])),
        Some(kind) => kind.to_owned() + &bounds(of),
        None => parts(&of["anyOf"]),
    }
}

/// `minLength` and the like of a text or a number.
fn bounds(of: &Value) -> String {
    let mut said = Vec::new();
    if let (Value::Number(least), Value::Number(most)) = (&of["minimum"], &of["maximum"]) {
        said.push(format!("{least} to {most}"));
    }
    match (&of["minLength"], &of["maxLength"]) {
        (Value::Number(least), Value::Number(most)) => said.push(format!("{least} to {most} characters")),
        (_, Value::Number(most)) => said.push(format!("at most {most} characters")),
        _ => {}
    }
    if let Some(pattern) = of["pattern"].as_str() {
        said.push(format!("`{pattern}`"));
    }
    if let Some(pattern) = of["not"]["pattern"].as_str() {
        said.push(format!("without `{pattern}`"));
    }
    match said.is_empty() {
        true => String::new(),
        false => format!(" ({})", said.join("; ")),
    }
}

fn description(of: &Value) -> String {
    of["description"].as_str().unwrap_or_default().to_owned()
}

/// A description that ends as a sentence does.
fn sentence(of: &Value) -> String {
    let said = description(of);
    match said.ends_with('.') {
        true => said,
        false => said + ".",
    }
}

/// Text on one line, in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::pages;

    #[test]
    fn is_as_the_programs_and_the_schema_are() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference");
        for (name, text) in pages() {
            let there = fs::read_to_string(folder.join(&name)).unwrap_or_default();
            assert!(
                there == text,
                "docs/reference/{name} is not what the programs and the schema say now: `make reference` writes it"
            );
        }
        let known: BTreeSet<_> = pages().into_iter().map(|(name, _)| name).collect();
        let there: BTreeSet<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(
            there, known,
            "docs/reference has only what `make reference` writes"
        );
    }
}
