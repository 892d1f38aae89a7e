//! What reading a table from TOML and from JSON have in common.

use super::error::{Fault, TableError};
use super::form::{DUPLICATE, EntryForm};
use super::{Table, json, toml_text};
use crate::SysctlKey;

impl Table {
    /// Reads a table written in TOML. `origin` names the file (or the like) in errors.
    ///
    /// ```
    /// use procemu::{Probe, Table, ValueSource};
    ///
    /// let table = Table::from_toml(
    ///     r#"
    ///     doc = "what runc needs"
    ///     [keys]
    ///     "kernel.cap_last_cap" = { computed = "cap_last_cap", doc = "runc >= 1.2 reads it in init" }
    ///     "#,
    ///     "runc.toml",
    /// )?;
    /// let entry = table.get(&"kernel/cap_last_cap".parse()?).expect("it is in the text");
    /// assert_eq!(entry.source, ValueSource::Computed(Probe::CapLastCap));
    ///
    /// let wrong = "[keys]\n\"kernel/panic\" = { valeu = 1 }";
    /// let error = Table::from_toml(wrong, "my.toml").unwrap_err();
    /// assert!(error.to_string().starts_with("my.toml:2: kernel/panic: unknown field `valeu`, expected one of"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`TableError`] for the first thing that is wrong; nothing of a wrong table is used.
    pub fn from_toml(text: &str, origin: &str) -> Result<Self, TableError> {
        read_with(toml_text::read, text, origin)
    }

    /// Reads a table written in JSON, in the same form as the TOML. `origin` names the file (or the like) in errors.
    ///
    /// # Errors
    /// [`TableError`] for the first thing that is wrong, equal members of one object included.
    pub fn from_json(text: &str, origin: &str) -> Result<Self, TableError> {
        read_with(json::read, text, origin)
    }

    /// Reads a table from a file's text: JSON or TOML as the name's ending `.json` or `.toml` says, whatever its case; else
    /// JSON if the text begins with `{`, as no TOML does.
    ///
    /// # Errors
    /// [`TableError`], as for [`Table::from_toml`] and [`Table::from_json`].
    pub fn from_str_named(text: &str, file_name: &str) -> Result<Self, TableError> {
        let ending = file_name
            .rsplit_once('.')
            .map(|(_, ending)| ending.to_ascii_lowercase());
        let is_json = match ending.as_deref() {
            Some("json") => true,
            Some("toml") => false,
            _ => text.trim_start().starts_with('{'),
        };
        if is_json {
            Self::from_json(text, file_name)
        } else {
            Self::from_toml(text, file_name)
        }
    }

    /// The table as TOML, one line per key, removals included; [`Table::from_toml`] reads it back.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml_text::write(self)
    }

    /// The table as JSON, indented, removals included; [`Table::from_json`] reads it back.
    #[must_use]
    pub fn to_json(&self) -> String {
        json::write(self)
    }
}

fn read_with(read: fn(&str) -> Result<Table, Fault>, text: &str, origin: &str) -> Result<Table, TableError> {
    if text.len() > Table::MAX_BYTES {
        let message = format!(
            "the text has {} bytes; a table has at most {}",
            text.len(),
            Table::MAX_BYTES
        );
        return Err(Fault {
            at: None,
            key: None,
            message,
        }
        .in_text(text, origin));
    }
    read(text).map_err(|fault| fault.in_text(text, origin))
}

/// A table while it is being read.
#[derive(Default)]
pub(super) struct Builder {
    table: Table,
}

impl Builder {
    pub fn doc(&mut self, doc: String) {
        self.table.set_doc(doc);
    }

    /// Adds the key spelled `spelling` at `at`, whose entry `form` reads.
    pub fn entry(
        &mut self,
        at: usize,
        spelling: &str,
        form: impl FnOnce() -> Result<EntryForm, Fault>,
    ) -> Result<(), Fault> {
        let here = |message: String| Fault::at(at, message).of_key(spelling);
        let key: SysctlKey = spelling
            .parse()
            .map_err(|error: crate::KeyError| Fault::at(at, error.to_string()))?;
        if self.table.mentions(&key) {
            return Err(here(DUPLICATE.to_owned()));
        }
        let form = form().map_err(|fault| {
            Fault {
                at: fault.at.or(Some(at)),
                ..fault
            }
            .of_key(spelling)
        })?;
        match form.read().map_err(here)? {
            Some(entry) => self.table.insert(key, entry),
            None => self.table.insert_removal(key),
        };
        Ok(())
    }

    /// What is wrong with a member of the document that is neither doc nor keys.
    pub fn unknown_member(at: usize, name: &str) -> Fault {
        Fault::at(at, format!("unknown member {name:?}; a table has doc and keys"))
    }

    pub fn finish(self) -> Table {
        self.table
    }
}
