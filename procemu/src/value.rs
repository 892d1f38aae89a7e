//! What a key reads as, and where that comes from.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::{Probe, SysctlKey};

/// A value written down in a table.
///
/// Numbers beyond `i64` (`kernel/shmmax` can be one) are written as text: the file is the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// Text, shown as it is; it may have several lines.
    Text(String),
    /// A decimal number.
    Integer(i64),
    /// Several values on one line, with the entry's [`Separator`] between them.
    List(Vec<Scalar>),
}

/// One item of a [`Value::List`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
pub enum Scalar {
    /// Text without line breaks.
    Text(String),
    /// A decimal number.
    Integer(i64),
}

/// What stands between the items of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Separator {
    /// A tab, as the kernel's integer vectors have it (`kernel/printk`, `kernel/sem`).
    #[default]
    Tab,
    /// A space, as word lists have it (`net/ipv4/tcp_available_congestion_control`).
    Space,
}

impl Separator {
    /// The character itself.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tab => "\t",
            Self::Space => " ",
        }
    }
}

/// Where an entry's value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ValueSource {
    /// Written down in the table (`value = ...`).
    Literal(Value),
    /// Asked of the kernel when the table is attached (`computed = "..."`).
    Computed(Probe),
    /// Copied when the table is attached from the procfs outside (`host = true`).
    Host,
    /// Taken from the bundle's `linux.sysctl` (`sysctl = true`).
    Sysctl,
}

/// Why a value cannot be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// More than [`Value::MAX_BYTES`]: the length in bytes, line end included.
    #[error("the value has {0} bytes with its line end; it may have at most 65536")]
    TooLong(usize),
    /// A NUL byte, which would end the text for most readers.
    #[error("the value contains a NUL character; write text without one")]
    Nul,
    /// A line break inside an item of a list.
    #[error(
        "the list item {0:?} contains a line break; a list is one line, so write several lines as one text"
    )]
    LineBreak(String),
    /// The kernel gave the probe no answer, and the entry has no fallback.
    #[error("{key}: the kernel gives no answer to the probe {probe}; add a fallback")]
    NoAnswer {
        /// The key that was to be computed.
        key: SysctlKey,
        /// The probe that got no answer.
        probe: Probe,
    },
    /// The procfs outside lacks the key, and the entry has no fallback.
    #[error("{0}: the procfs outside has no such key to copy; add a fallback")]
    NotOutside(SysctlKey),
    /// The bundle's `linux.sysctl` lacks the key, and the entry has no fallback.
    #[error("{0}: linux.sysctl has no such key; set it there or add a fallback")]
    NotInSysctl(SysctlKey),
}

impl Value {
    /// The most a rendered value may have: a key has a page at most, `/proc/stat` of a thousand CPUs some fifteen.
    pub const MAX_BYTES: usize = 64 << 10;

    /// The file's content, as the kernel prints it: the items of a list with `separator` between them, and a line end (not a
    /// second one where the text already has it).
    ///
    /// ```
    /// use procemu::{Separator, Value};
    ///
    /// assert_eq!(Value::from(40).render(Separator::Tab)?, "40\n");
    /// assert_eq!(Value::from(["4", "4", "1", "7"]).render(Separator::Tab)?, "4\t4\t1\t7\n");
    /// # Ok::<(), procemu::ValueError>(())
    /// ```
    ///
    /// # Errors
    /// [`ValueError`] for a NUL, a line break in a list item, or more than [`Value::MAX_BYTES`].
    pub fn render(&self, separator: Separator) -> Result<String, ValueError> {
        let mut text = match self {
            Self::Text(text) => text.clone(),
            Self::Integer(number) => format!("{number}\n"),
            Self::List(items) => {
                let items: Vec<_> = items.iter().map(Scalar::render).collect::<Result<_, _>>()?;
                items.join(separator.as_str())
            }
        };
        if !text.ends_with('\n') {
            text.push('\n');
        }
        if text.contains('\0') {
            return Err(ValueError::Nul);
        }
        match text.len() {
            long if long > Self::MAX_BYTES => Err(ValueError::TooLong(long)),
            _ => Ok(text),
        }
    }
}

impl Scalar {
    fn render(&self) -> Result<Cow<'_, str>, ValueError> {
        match self {
            Self::Text(text) if text.contains('\n') => {
                Err(ValueError::LineBreak(text.chars().take(60).collect()))
            }
            Self::Text(text) => Ok(text.into()),
            Self::Integer(number) => Ok(number.to_string().into()),
        }
    }
}

macro_rules! from_numbers_and_text {
    ($name:ident) => {
        impl From<i64> for $name {
            fn from(number: i64) -> Self {
                Self::Integer(number)
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self::Text(text)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::Text(text.to_owned())
            }
        }
    };
}
from_numbers_and_text!(Value);
from_numbers_and_text!(Scalar);

impl<T: Into<Scalar>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Scalar>, const N: usize> From<[T; N]> for Value {
    fn from(items: [T; N]) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

/// serde's own untagged enums misread numbers where serde_json keeps them as text (`arbitrary_precision`), hence this way
/// through its value type.
impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::Array(items) => Self::List(
                items
                    .into_iter()
                    .map(scalar)
                    .collect::<Result<_, _>>()
                    .map_err(D::Error::custom)?,
            ),
            single => match scalar(single).map_err(D::Error::custom)? {
                Scalar::Text(text) => Self::Text(text),
                Scalar::Integer(number) => Self::Integer(number),
            },
        };
        // Separators are one byte each, so which one does not matter here.
        value.render(Separator::Tab).map_err(D::Error::custom)?;
        Ok(value)
    }
}

fn scalar(value: serde_json::Value) -> Result<Scalar, String> {
    match value {
        serde_json::Value::String(text) => Ok(Scalar::Text(text)),
        serde_json::Value::Number(number) => number.as_i64().map(Scalar::Integer).ok_or_else(|| {
            format!(
                "{number} is not a whole number of 64 bits; write other numbers as text, {:?}",
                number.to_string()
            )
        }),
        serde_json::Value::Bool(on) => Err(format!("{on} is not a value; write {}", u8::from(on))),
        serde_json::Value::Null => {
            Err("null is not a value; write a text, an integer or a list of them".to_owned())
        }
        serde_json::Value::Array(_) => {
            Err("a list within a list is not a value; write one flat list".to_owned())
        }
        serde_json::Value::Object(_) => {
            Err("a table or date is not a value; write a text, an integer or a list of them".to_owned())
        }
    }
}

impl JsonSchema for Value {
    fn schema_name() -> Cow<'static, str> {
        "Value".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // As "not": where `$` also stands before a last line end, a pattern for the whole text would let that through.
        let text = json_schema!({
            "type": "string",
            "not": { "pattern": r"\x00" },
            // The kernel's line end is added where there is none.
            "anyOf": [{ "maxLength": Self::MAX_BYTES - 1 }, { "maxLength": Self::MAX_BYTES, "pattern": r"\n$" }],
        });
        let item = json_schema!({
            "type": "string",
            "not": { "pattern": r"[\x00\n]" },
            "maxLength": Self::MAX_BYTES - 1,
        });
        let integer = json_schema!({ "type": "integer", "minimum": i64::MIN, "maximum": i64::MAX });
        json_schema!({
            "description": "A text, an integer, or a list of them printed on one line",
            "anyOf": [text, integer, { "type": "array", "items": { "anyOf": [item, integer] } }],
        })
    }
}
