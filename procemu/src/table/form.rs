//! The table as it is written: the one definition behind TOML, JSON, serde and the JSON Schema.

use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::read::{ReadEntry, given_word, word};
use super::{Entry, Mode, Table, When};
use crate::{Probe, Separator, SysctlKey, Value, ValueSource};

/// A table of files of procfs that a program needs.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TableForm {
    /// What the table is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub doc: String,
    /// The keys. One key may be spelled in several ways, but named only once.
    #[serde(default)]
    pub keys: KeysForm,
}

/// Keys and entries in the order of the keys.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub(crate) struct KeysForm(pub BTreeMap<SysctlKey, EntryForm>);

/// How one key is shown. Exactly one of value, computed, host and sysctl, or table = false alone.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Entry", extend("oneOf" = [
    { "required": ["value"], "not": { "required": ["fallback"] } },
    { "required": ["computed"] }, { "required": ["host"] }, { "required": ["sysctl"] },
    { "required": ["table"], "maxProperties": 1 },
]))]
pub(crate) struct EntryForm {
    /// The value itself.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Value")]
    pub value: Option<Value>,
    /// The value is asked of the kernel by this probe when the table is attached.
    #[serde(
        default,
        deserialize_with = "given_word",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Probe")]
    pub computed: Option<Probe>,
    /// The value is copied from the procfs outside when the table is attached.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "bool", extend("const" = true))]
    pub host: Option<bool>,
    /// The value is taken from the bundle's linux.sysctl.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "bool", extend("const" = true))]
    pub sysctl: Option<bool>,
    /// false removes the key from earlier tables.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "bool", extend("const" = false))]
    pub table: Option<bool>,
    /// The value where computed, host or sysctl has none.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Value")]
    pub fallback: Option<Value>,
    /// The file's mode.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schemars(extend("default" = Mode::default()))]
    pub mode: Mode,
    /// In which case the entry is used.
    #[serde(default, deserialize_with = "word", skip_serializing_if = "is_default")]
    #[schemars(extend("default" = When::default()))]
    pub when: When,
    /// What stands between the items of a list.
    #[serde(default, deserialize_with = "word", skip_serializing_if = "is_default")]
    #[schemars(extend("default" = Separator::default()))]
    pub separator: Separator,
    /// Why the key is here: program, source place, issue.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub doc: String,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A field that is there has a value: unlike serde's own `Option`, this refuses JSON's null.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl EntryForm {
    /// The entry, or `None` for a removal, or what is wrong with it.
    pub fn read(self) -> Result<Option<Entry>, String> {
        let Self {
            value,
            computed,
            host,
            sysctl,
            table,
            fallback,
            mode,
            when,
            separator,
            doc,
        } = self;
        for (name, flag) in [("host", host), ("sysctl", sysctl)] {
            if flag == Some(false) {
                return Err(format!(
                    "{name} = false says nothing; write {name} = true or leave it out"
                ));
            }
        }
        let mut sources: Vec<_> = [
            value.map(|value| ("value", ValueSource::Literal(value))),
            computed.map(|probe| ("computed", ValueSource::Computed(probe))),
            host.map(|_| ("host", ValueSource::Host)),
            sysctl.map(|_| ("sysctl", ValueSource::Sysctl)),
        ]
        .into_iter()
        .flatten()
        .collect();
        match table {
            Some(true) => {
                return Err("table = true says nothing; write table = false to remove the key".to_owned());
            }
            Some(false) => {
                let alone = sources.is_empty()
                    && fallback.is_none()
                    && is_default(&mode)
                    && is_default(&when)
                    && is_default(&separator)
                    && doc.is_empty();
                return match alone {
                    true => Ok(None),
                    false => Err(
                        "table = false stands alone; take out the other fields or table = false".to_owned(),
                    ),
                };
            }
            None => {}
        }
        let names: Vec<_> = sources.iter().map(|(name, _)| *name).collect();
        match (sources.pop(), sources.is_empty()) {
            (Some(("value", _)), true) if fallback.is_some() => {
                Err("fallback says nothing beside value; it goes with computed, host or sysctl".to_owned())
            }
            (Some((_, source)), true) => Ok(Some(Entry {
                source,
                mode,
                when,
                separator,
                fallback,
                doc,
            })),
            (None, _) => Err("no value is given; write one of value, computed, host and sysctl".to_owned()),
            (Some(_), false) => Err(format!(
                "{} exclude each other; write one of value, computed, host and sysctl",
                names.join(" and ")
            )),
        }
    }

    /// The form of an entry.
    fn of(entry: &Entry) -> Self {
        let mut form = Self {
            fallback: entry.fallback.clone(),
            mode: entry.mode,
            when: entry.when,
            separator: entry.separator,
            doc: entry.doc.clone(),
            ..Self::default()
        };
        match &entry.source {
            // A literal always has a value, so that a fallback would say nothing, and reading it back would be refused.
            ValueSource::Literal(value) => (form.value, form.fallback) = (Some(value.clone()), None),
            ValueSource::Computed(probe) => form.computed = Some(*probe),
            ValueSource::Host => form.host = Some(true),
            ValueSource::Sysctl => form.sysctl = Some(true),
        }
        form
    }

    /// The form of a removal.
    fn removal() -> Self {
        Self {
            table: Some(false),
            ..Self::default()
        }
    }
}

impl TableForm {
    /// The form of a table.
    pub fn of(table: &Table) -> Self {
        let entries = table
            .iter()
            .map(|(key, entry)| (key.clone(), EntryForm::of(entry)));
        let removals = table.removals().map(|key| (key.clone(), EntryForm::removal()));
        Self {
            doc: table.doc().to_owned(),
            keys: KeysForm(entries.chain(removals).collect()),
        }
    }
}

impl Serialize for Table {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        TableForm::of(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Table {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ReadForm {
            doc,
            keys: ReadKeys(mut keys),
        } = ReadForm::deserialize(deserializer)?;
        // What was written by us is in order already.
        keys.sort_by(|one, other| one.0.cmp(&other.0));
        if let Some(twice) = keys.windows(2).find(|two| two[0].0 == two[1].0) {
            return Err(D::Error::custom(format_args!("{}: {DUPLICATE}", twice[1].0)));
        }
        let mut removed = Vec::new();
        let mut entries = Vec::with_capacity(keys.len());
        for (key, entry) in keys {
            match entry {
                Some(entry) => entries.push((key, entry)),
                None => removed.push(key),
            }
        }
        Ok(Self {
            doc,
            entries: entries.into_iter().collect(),
            removed: removed.into_iter().collect(),
        })
    }
}

/// [`TableForm`] as it is read: entry by entry, since a table may have a thousand.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadForm {
    #[serde(default)]
    doc: String,
    #[serde(default)]
    keys: ReadKeys,
}

/// In the order of the text; `None` for a removal.
#[derive(Default)]
struct ReadKeys(Vec<(SysctlKey, Option<Entry>)>);

impl JsonSchema for Table {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Table".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        TableForm::json_schema(generator)
    }
}

impl<'de> Deserialize<'de> for ReadKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;

        impl<'de> Visitor<'de> for Keys {
            type Value = ReadKeys;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map from keys to entries")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<ReadKeys, A::Error> {
                let mut keys = Vec::new();
                while let Some(key) = members.next_key::<SysctlKey>()? {
                    let at_fault =
                        |fault: &dyn fmt::Display| A::Error::custom(format_args!("{key}: {fault}"));
                    let ReadEntry(form) = members.next_value().map_err(|error| at_fault(&error))?;
                    let entry = form.read().map_err(|fault| at_fault(&fault))?;
                    keys.push((key, entry));
                }
                Ok(ReadKeys(keys))
            }
        }

        deserializer.deserialize_map(Keys)
    }
}

/// What is wrong with a key's second entry.
pub(super) const DUPLICATE: &str = "the key is given twice; keep one of the two, whatever their spelling";

impl JsonSchema for KeysForm {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Keys".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": "object",
            "propertyNames": generator.subschema_for::<SysctlKey>(),
            "additionalProperties": generator.subschema_for::<EntryForm>(),
        })
    }
}
