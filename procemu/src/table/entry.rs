//! One key's entry: where its value comes from, and when and how it is shown.

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::{Probe, Separator, SysctlKey, Value, ValueError, ValueSource};

/// How one key is shown.
///
/// Build it with [`Entry::literal`], [`Entry::computed`], [`Entry::host`] or [`Entry::sysctl`] and the `with_` methods:
///
/// ```
/// use procemu::{Entry, When};
///
/// let entry = Entry::literal(10).writable().with_when(When::Unwritable).with_doc("kubelet sets it");
/// assert_eq!(entry.mode.bits(), 0o644);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Where the value comes from.
    pub source: ValueSource,
    /// Who may write the file.
    pub mode: Mode,
    /// In which case the entry is used at all.
    pub when: When,
    /// What stands between the items of a list.
    pub separator: Separator,
    /// The value where the source has none; meaningless for a literal, which always has one.
    pub fallback: Option<Value>,
    /// Why the key is here: program, source place, issue. One line, may be empty.
    pub doc: String,
}

/// The file's mode: root owns it, and everyone may read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, JsonSchema)]
pub enum Mode {
    /// Nobody may write it.
    #[default]
    #[serde(rename = "0444")]
    ReadOnly,
    /// Root may write it, where the place would be writable without us.
    #[serde(rename = "0644")]
    ReadWrite,
}

impl Mode {
    /// The permission bits, as chmod(2) takes them.
    #[must_use]
    pub const fn bits(self) -> u32 {
        match self {
            Self::ReadOnly => 0o444,
            Self::ReadWrite => 0o644,
        }
    }

    /// Whether root may write the file.
    #[must_use]
    pub const fn is_writable(self) -> bool {
        matches!(self, Self::ReadWrite)
    }
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // By way of any value, so that `mode = 644` is told to be quoted instead of "expected a variant".
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(mode) if mode == "0444" => Ok(Self::ReadOnly),
            serde_json::Value::String(mode) if mode == "0644" => Ok(Self::ReadWrite),
            other => Err(D::Error::custom(format!(
                "mode {other} is unknown; write \"0444\" or \"0644\""
            ))),
        }
    }
}

/// In which case an entry is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// The kernel lacks the key; an existing one always wins.
    #[default]
    Missing,
    /// As `missing`, and also where the key cannot be opened for writing or refuses its own current value: a read-only
    /// /proc/sys, a stuck key.
    Unwritable,
    /// As `missing`, and also where the key's first line has no number but 0 although the kernel is up for longer than a tick:
    /// counters that nobody keeps.
    Zero,
    /// In every case: the kernel's key, if there is one, is replaced.
    Always,
}

impl Entry {
    fn new(source: ValueSource) -> Self {
        Self {
            source,
            mode: Mode::default(),
            when: When::default(),
            separator: Separator::default(),
            fallback: None,
            doc: String::new(),
        }
    }

    /// An entry that shows a value known beforehand.
    #[must_use]
    pub fn literal(value: impl Into<Value>) -> Self {
        Self::new(ValueSource::Literal(value.into()))
    }

    /// An entry whose value is asked of the kernel when it is attached.
    #[must_use]
    pub fn computed(probe: Probe) -> Self {
        Self::new(ValueSource::Computed(probe))
    }

    /// An entry whose value is copied when it is attached from the procfs outside.
    #[must_use]
    pub fn host() -> Self {
        Self::new(ValueSource::Host)
    }

    /// An entry whose value is taken from the bundle's `linux.sysctl`.
    #[must_use]
    pub fn sysctl() -> Self {
        Self::new(ValueSource::Sysctl)
    }

    /// The same entry with another mode.
    #[must_use]
    pub fn with_mode(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }

    /// The same entry with mode 0644.
    #[must_use]
    pub fn writable(self) -> Self {
        self.with_mode(Mode::ReadWrite)
    }

    /// The same entry, used in another case.
    #[must_use]
    pub fn with_when(self, when: When) -> Self {
        Self { when, ..self }
    }

    /// The same entry with another separator for lists.
    #[must_use]
    pub fn with_separator(self, separator: Separator) -> Self {
        Self { separator, ..self }
    }

    /// The same entry with a value for the case that its source has none.
    #[must_use]
    pub fn with_fallback(self, fallback: impl Into<Value>) -> Self {
        Self {
            fallback: Some(fallback.into()),
            ..self
        }
    }

    /// The same entry with a reason.
    #[must_use]
    pub fn with_doc(self, doc: impl Into<String>) -> Self {
        Self {
            doc: doc.into(),
            ..self
        }
    }

    /// The content of `key`'s file. `outside` is what a [`ValueSource::Host`] or [`ValueSource::Sysctl`] found for it; the
    /// other sources do not look at it, and a computed value is asked of the kernel here and now.
    ///
    /// # Errors
    /// [`ValueError`] if the source has no value and there is no fallback, or if the value cannot be shown.
    pub fn resolve(&self, key: &SysctlKey, outside: Option<&str>) -> Result<String, ValueError> {
        let found = match &self.source {
            ValueSource::Literal(value) => return value.render(self.separator),
            ValueSource::Computed(probe) => probe.compute(),
            ValueSource::Host | ValueSource::Sysctl => outside.map(str::to_owned),
        };
        match (found, &self.fallback) {
            (Some(text), _) => Value::Text(text).render(self.separator),
            (None, Some(fallback)) => fallback.render(self.separator),
            (None, None) => Err(match &self.source {
                ValueSource::Computed(probe) => ValueError::NoAnswer {
                    key: key.clone(),
                    probe: *probe,
                },
                ValueSource::Sysctl => ValueError::NotInSysctl(key.clone()),
                _ => ValueError::NotOutside(key.clone()),
            }),
        }
    }
}
