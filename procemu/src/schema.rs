//! The table format as JSON Schema.

use schemars::generate::SchemaSettings;

use crate::Table;

/// The JSON Schema (draft 2020-12) of the table format, for editors and validators. TOML and JSON tables have the same form.
///
/// It is published as `docs/table.schema.json`. What a schema cannot say, such as that two spellings of one key count as a
/// duplicate, only reading the table tells.
#[must_use]
pub fn json_schema() -> serde_json::Value {
    SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<Table>()
        .to_value()
}
