//! Tables as TOML.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use toml::de::{DeTable, DeValue, ValueDeserializer};
use toml::{Spanned, ser::ValueSerializer};

use super::error::{Fault, key_around};
use super::form::DUPLICATE;
use super::read::ReadEntry;
use super::text::Builder;
use super::{Table, TableForm};

/// Reads a table.
pub(super) fn read(text: &str) -> Result<Table, Fault> {
    let document = DeTable::parse(text).map_err(|error| match (error.message(), error.span()) {
        // The parser says no more than this.
        ("duplicate key", Some(span)) => {
            let name = text
                .get(span.clone())
                .unwrap_or_default()
                .trim_matches(['"', '\'']);
            match key_around(text, span.start) {
                Some(key) if key != name => {
                    Fault::at(span.start, format!("{name} is given twice; keep one of the two")).of_key(key)
                }
                _ => Fault::at(span.start, DUPLICATE).of_key(name),
            }
        }
        (_, span) => {
            let key = span.and_then(|span| key_around(text, span.start));
            let fault = fault(&error).told_of_zeros();
            match key {
                Some(key) => fault.of_key(key),
                None => fault,
            }
        }
    })?;
    let mut builder = Builder::default();
    for (name, value) in in_order(document.into_inner()) {
        let at = name.span().start;
        match (name.get_ref().as_ref(), value) {
            ("doc", value) => {
                let doc = String::deserialize(ValueDeserializer::from(value));
                builder.doc(doc.map_err(|error| fault(&error).of_field("doc"))?);
            }
            ("keys", value) => match value.into_inner() {
                DeValue::Table(keys) => {
                    for (key, value) in in_order(keys) {
                        read_key(&mut builder, key.span().start, key.get_ref(), value)?;
                    }
                }
                _ => return Err(Fault::at(at, "keys is not a table; write [keys]")),
            },
            (unknown, _) => return Err(Builder::unknown_member(at, unknown)),
        }
    }
    Ok(builder.finish())
}

fn read_key(
    builder: &mut Builder,
    at: usize,
    spelling: &str,
    value: Spanned<DeValue<'_>>,
) -> Result<(), Fault> {
    let is_bare_path = |value: &DeValue<'_>| match value {
        DeValue::Table(fields) => fields
            .values()
            .any(|field| matches!(field.get_ref(), DeValue::Table(_))),
        _ => false,
    };
    if !spelling.contains(['.', '/']) && is_bare_path(value.get_ref()) {
        let message =
            "the key's parts are separate TOML keys; quote it as one: \"kernel.panic\" or \"kernel/panic\"";
        return Err(Fault::at(at, message).of_key(spelling));
    }
    builder.entry(at, spelling, || {
        let read = serde_path_to_error::deserialize::<_, ReadEntry>(ValueDeserializer::from(value));
        let read = read.map_err(|error| fault(error.inner()).of_field(&error.path().to_string()))?;
        Ok(read.0)
    })
}

/// The members in the order of the text, so that the first fault is the one that is reported.
fn in_order<'a>(table: DeTable<'a>) -> Vec<(Spanned<Cow<'a, str>>, Spanned<DeValue<'a>>)> {
    let mut members: Vec<_> = table.into_iter().collect();
    members.sort_by_key(|(name, _)| name.span().start);
    members
}

fn fault(error: &toml::de::Error) -> Fault {
    Fault {
        at: error.span().map(|span| span.start),
        key: None,
        message: error.message().to_owned(),
    }
}

/// Writes a table, one line per key.
pub(super) fn write(table: &Table) -> String {
    const WHY: &str = "texts, integers, booleans and lists and tables of them have a TOML form";
    let form = TableForm::of(table);
    let mut text = String::new();
    if !form.doc.is_empty() {
        text.push_str("doc = ");
        form.doc.serialize(ValueSerializer::new(&mut text)).expect(WHY);
        text.push_str("\n\n");
    }
    text.push_str("[keys]\n");
    for (key, entry) in &form.keys.0 {
        key.serialize(ValueSerializer::new(&mut text)).expect(WHY);
        text.push_str(" = ");
        entry.serialize(ValueSerializer::new(&mut text)).expect(WHY);
        text.push('\n');
    }
    text
}
