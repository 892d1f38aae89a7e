//! Tables as JSON.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::error::Fault;
use super::text::Builder;
use super::{Table, TableForm};

/// Reads a table. Members are kept as pieces of the text, since serde_json itself silently lets the last of two equal members
/// win, and tells no line for a fault found after parsing.
pub(super) fn read(text: &str) -> Result<Table, Fault> {
    let mut builder = Builder::default();
    let mut seen = Vec::new();
    for (name, value) in members(text, text)? {
        let at = offset(text, value);
        if seen.contains(&name) {
            return Err(Fault::at(
                at,
                format!("the member {name:?} is given twice; keep one of them"),
            ));
        }
        match name.as_str() {
            "doc" => builder.doc(parse(text, value)?),
            "keys" => {
                for (key, entry) in members(text, value)? {
                    builder.entry(offset(text, entry), &key, || parse(text, entry))?;
                }
            }
            unknown => return Err(Builder::unknown_member(at, unknown)),
        }
        seen.push(name);
    }
    Ok(builder.finish())
}

/// Writes a table, indented.
pub(super) fn write(table: &Table) -> String {
    let mut text = serde_json::to_string_pretty(&TableForm::of(table))
        .expect("texts, integers, booleans and lists and maps of them have a JSON form");
    text.push('\n');
    text
}

/// The members of the object `piece`, which is a part of `text`.
fn members<'a>(text: &'a str, piece: &'a str) -> Result<Vec<(String, &'a str)>, Fault> {
    parse::<Members<'a>>(text, piece).map(|members| members.0)
}

fn parse<'a, T: Deserialize<'a>>(text: &str, piece: &'a str) -> Result<T, Fault> {
    serde_json::from_str(piece).map_err(|error| fault(text, piece, &error))
}

/// Where `piece`, a part of `text`, begins in it, in bytes.
fn offset(text: &str, piece: &str) -> usize {
    piece.as_ptr().addr() - text.as_ptr().addr()
}

fn fault(text: &str, piece: &str, error: &serde_json::Error) -> Fault {
    let lines_before: usize = piece
        .split_inclusive('\n')
        .take(error.line().saturating_sub(1))
        .map(str::len)
        .sum();
    let position = format!(" at line {} column {}", error.line(), error.column());
    let message = error.to_string();
    // The line is told once, and counted in the whole text.
    let message = message
        .strip_suffix(&position)
        .unwrap_or(&message)
        .replace("EOF", "end of text");
    Fault::at(offset(text, piece) + lines_before, message)
}

/// An object's members, in the order of the text, with equal ones kept apart.
struct Members<'a>(Vec<(String, &'a str)>);

impl<'a> Deserialize<'a> for Members<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'a> Visitor<'a> for Object {
            type Value = Members<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Members<'a>, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    members.push((name, value.get()));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}
