//! How inserted text is laid out.

use super::Node;

/// How inserted parts are laid out: as the document's own members are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Style {
    /// One level of indentation where members stand on lines of their own, else `None`.
    pub(super) unit: Option<String>,
}

impl Style {
    /// The style of a whole document, read off its outermost object.
    pub fn of(outermost: &Node) -> Self {
        let before = outermost.before_first();
        Self {
            unit: before.rsplit_once('\n').map(|(_, indent)| indent.to_owned()),
        }
    }

    /// The style of a document that does not exist yet.
    pub fn indented() -> Self {
        Self {
            unit: Some("  ".to_owned()),
        }
    }

    /// The text of `value` as a member at `depth` (1 = member of the outermost object) would be written.
    pub fn render(&self, value: &serde_json::Value, depth: usize) -> String {
        match &self.unit {
            None => value.to_string(),
            // A raw line break cannot occur inside a JSON string, so every one found is between tokens.
            Some(unit) => pretty(value, unit).replace('\n', &format!("\n{}", unit.repeat(depth))),
        }
    }

    pub(super) fn line(&self, depth: usize) -> String {
        self.unit
            .as_ref()
            .map_or_else(String::new, |unit| format!("\n{}", unit.repeat(depth)))
    }

    pub(super) fn colon(&self) -> &'static str {
        if self.unit.is_some() { ": " } else { ":" }
    }
}

fn pretty(value: &serde_json::Value, unit: &str) -> String {
    let mut out = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(unit.as_bytes());
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, formatter);
    serde::Serialize::serialize(value, &mut serializer).expect("a value tree always serializes into memory");
    String::from_utf8(out).expect("serde_json writes UTF-8, and the indentation comes from a str")
}
