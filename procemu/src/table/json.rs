//! Tables as JSON.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::error::{Fault, key_around};
use super::read::ReadEntry;
use super::text::Builder;
use super::{Table, TableForm};

/// Reads a table. Members are kept as pieces of the text, since serde_json itself silently lets the last of two equal members
/// win, and tells no line for a fault found after parsing.
pub(super) fn read(text: &str) -> Result<Table, Fault> {
    let mut builder = Builder::default();
    let mut seen = Vec::new();
    let document = members(text, text).map_err(|fault| match fault.at {
        // What is before an error of the form tells which entry it is in.
        Some(at) => match key_around(text, at) {
            Some(key) => fault.of_key(key),
            None => fault,
        },
        None => fault,
    })?;
    for (name, value) in document {
        let at = offset(text, value);
        if seen.contains(&name) {
            return Err(Fault::at(
                at,
                format!("the member {name:?} is given twice; keep one of them"),
            ));
        }
        match name.as_str() {
            "doc" => builder.doc(parse(text, value).map_err(|fault| fault.of_field("doc"))?),
            "keys" => {
                for (key, entry) in members(text, value).map_err(|fault| fault.of_field("keys"))? {
                    builder.entry(offset(text, entry), &key, || {
                        let mut deserializer = serde_json::Deserializer::from_str(entry);
                        let read = serde_path_to_error::deserialize::<_, ReadEntry>(&mut deserializer);
                        let read = read.map_err(|error| {
                            fault(text, entry, error.inner()).of_field(&error.path().to_string())
                        })?;
                        Ok(read.0)
                    })?;
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
    let at = offset(text, piece) + lines_before + error.column().saturating_sub(1);
    Fault::at(at, message).told_of_zeros()
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
