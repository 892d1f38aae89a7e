//! A JSON object or array edited as text.
//!
//! Every part that is not edited keeps its bytes: order, white space, the spelling of numbers (`1e400`, `-0.0`) and of
//! string escapes. A typed model of the OCI spec would drop what it does not know, and even a generic value tree would
//! respell what it keeps; engines put both into `config.json`.
//!
//! A node is split one level deep. Values stay raw text, however deep they nest: `serde_json` skips over raw values
//! without recursion, so no input can exhaust the stack.

mod raw;
mod style;

use raw::{Elements, Members};
pub use style::Style;

/// Why a text is not an object or array that can be edited.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// Not JSON at all, or JSON of another type. serde_json's message says which, with line and column.
    #[error("{at}")]
    Syntax {
        /// Which part of the file: `config.json`, `linux.sysctl`, ...
        at: String,
        /// What is wrong and where.
        source: serde_json::Error,
    },
    /// Two members of one name. JSON parsers disagree on which one counts, so neither may be edited.
    #[error("{at}: duplicate member {name:?}, each name may appear once")]
    Duplicate {
        /// Which part of the file.
        at: String,
        /// The name that appears twice, decoded.
        name: String,
    },
}

/// One JSON object or array, split into its members or elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Text up to and with the opening bracket.
    open: String,
    items: Vec<Item>,
    /// White space between the brackets of an empty node.
    empty: String,
    /// The closing bracket and text after it.
    close: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Item {
    /// White space before the name or element.
    before: String,
    /// Member name, decoded; empty in arrays.
    name: String,
    /// Member name as written, with quotes, colon and white space up to the value; empty in arrays.
    label: String,
    value: String,
    /// White space up to the comma or closing bracket.
    after: String,
}

impl Node {
    /// Splits the object `text`; `at` names it in errors.
    ///
    /// # Errors
    /// If `text` is not one JSON object, or two of its members have one name.
    pub fn object(text: &str, at: &str) -> Result<Self, DocumentError> {
        let Members(members) = serde_json::from_str(text).map_err(|source| DocumentError::Syntax {
            at: at.to_owned(),
            source,
        })?;
        let mut seen = std::collections::HashSet::new();
        let mut parts = Vec::with_capacity(members.len());
        for (label, value) in members {
            // A name with a lone surrogate has no decoded form; as written it cannot equal a name asked for.
            let name = serde_json::from_str::<String>(label).unwrap_or_else(|_| label.to_owned());
            if !seen.insert(name.clone()) {
                return Err(DocumentError::Duplicate {
                    at: at.to_owned(),
                    name,
                });
            }
            parts.push((name, Some(label), value));
        }
        Ok(Self::split(text, parts, ['{', '}']))
    }

    /// Splits the array `text`; `at` names it in errors.
    ///
    /// # Errors
    /// If `text` is not one JSON array.
    pub fn array(text: &str, at: &str) -> Result<Self, DocumentError> {
        let Elements(elements) = serde_json::from_str(text).map_err(|source| DocumentError::Syntax {
            at: at.to_owned(),
            source,
        })?;
        let parts = elements
            .into_iter()
            .map(|value| (String::new(), None, value))
            .collect();
        Ok(Self::split(text, parts, ['[', ']']))
    }

    /// An object without members.
    pub fn empty_object() -> Self {
        Self {
            open: "{".into(),
            items: Vec::new(),
            empty: String::new(),
            close: "}".into(),
        }
    }

    /// An array without elements.
    pub fn empty_array() -> Self {
        Self {
            open: "[".into(),
            items: Vec::new(),
            empty: String::new(),
            close: "]".into(),
        }
    }

    /// `parts` are slices of `text`, in order; what lies between them is brackets, commas, colons and white space.
    fn split(text: &str, parts: Vec<(String, Option<&str>, &str)>, [open, close]: [char; 2]) -> Self {
        let offset = |part: &str| part.as_ptr() as usize - text.as_ptr() as usize;
        let inner = text.find(open).map_or(0, |at| at + 1);
        let end = text.rfind(close).unwrap_or(text.len());
        let mut node = Self {
            open: text[..inner].to_owned(),
            items: Vec::with_capacity(parts.len()),
            empty: String::new(),
            close: text[end..].to_owned(),
        };
        let mut at = inner;
        for (name, label, value) in parts {
            let value_at = offset(value);
            let start = label.map_or(value_at, offset);
            if let Some(last) = node.items.last_mut() {
                let comma = at + text[at..start].find(',').unwrap_or(0);
                text[at..comma].clone_into(&mut last.after);
                at = (comma + 1).min(start);
            }
            node.items.push(Item {
                before: text[at..start].to_owned(),
                name,
                label: text[start..value_at].to_owned(),
                value: value.to_owned(),
                after: String::new(),
            });
            at = value_at + value.len();
        }
        match node.items.last_mut() {
            Some(last) => text[at..end].clone_into(&mut last.after),
            None => text[at..end].clone_into(&mut node.empty),
        }
        node
    }

    /// White space before the first member or element.
    fn before_first(&self) -> &str {
        self.items.first().map_or("", |item| item.before.as_str())
    }

    /// How many members or elements there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The raw text of the member `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.items
            .iter()
            .find(|item| item.name == name)
            .map(|item| item.value.as_str())
    }

    /// Decoded names (empty in arrays) and raw values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.items
            .iter()
            .map(|item| (item.name.as_str(), item.value.as_str()))
    }

    /// Gives the member `name` the raw text `value`, in its place if it is there, else as the last one of a node whose
    /// members are at `depth` (1 = the outermost object's).
    pub fn set(&mut self, name: &str, value: String, style: &Style, depth: usize) {
        match self.items.iter_mut().find(|item| item.name == name) {
            Some(item) => item.value = value,
            None => self.insert(self.items.len(), Some(name), value, style, depth),
        }
    }

    /// Gives the element at `index` the raw text `value`; without effect where there is none.
    pub fn replace(&mut self, index: usize, value: String) {
        if let Some(item) = self.items.get_mut(index) {
            item.value = value;
        }
    }

    /// Puts an element in front of all others.
    pub fn prepend(&mut self, value: String, style: &Style, depth: usize) {
        self.insert(0, None, value, style, depth);
    }

    /// Takes the member `name` out; without effect where there is none.
    pub fn remove(&mut self, name: &str) {
        if let Some(index) = self.items.iter().position(|item| item.name == name) {
            self.remove_at(index);
        }
    }

    /// Takes the member or element at `index` out; without effect where there is none.
    pub fn remove_at(&mut self, index: usize) {
        if index >= self.items.len() {
            return;
        }
        let gone = self.items.remove(index);
        // The white space inside the brackets belongs to the brackets, not to the item that happened to stand there.
        if index == 0
            && let Some(first) = self.items.first_mut()
        {
            first.before = gone.before;
        }
        if index == self.items.len()
            && let Some(last) = self.items.last_mut()
        {
            last.after = gone.after;
        }
    }

    fn insert(&mut self, index: usize, name: Option<&str>, value: String, style: &Style, depth: usize) {
        let colon = self
            .items
            .first()
            .map_or(style.colon(), |item| colon_of(&item.label));
        let label = name.map_or_else(String::new, |name| {
            format!("{}{colon}", serde_json::Value::from(name))
        });
        let mut new = Item {
            before: String::new(),
            name: name.unwrap_or_default().to_owned(),
            label,
            value,
            after: String::new(),
        };
        let separated = self.items.get(1).map(|second| second.before.clone());
        let comma = if self.items.len() > 1 {
            self.items[0].after.clone()
        } else {
            String::new()
        };
        match (self.items.first_mut(), index) {
            (None, _) => {
                new.before = style.line(depth);
                new.after = style.line(depth.saturating_sub(1));
            }
            (Some(first), 0) => {
                let between = separated.unwrap_or_else(|| first.before.clone());
                new.before = std::mem::replace(&mut first.before, between);
                new.after = comma;
            }
            (Some(first), _) => {
                new.before = separated.unwrap_or_else(|| first.before.clone());
                if let Some(last) = self.items.last_mut() {
                    new.after = std::mem::replace(&mut last.after, comma);
                }
            }
        }
        self.items.insert(index, new);
    }
}

/// The colon of `label` with the white space around it.
fn colon_of(label: &str) -> &str {
    label.rfind('"').map_or(":", |quote| &label[quote + 1..])
}

impl std::fmt::Display for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.open)?;
        f.write_str(if self.items.is_empty() { &self.empty } else { "" })?;
        for (index, item) in self.items.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(
                f,
                "{comma}{}{}{}{}",
                item.before, item.label, item.value, item.after
            )?;
        }
        f.write_str(&self.close)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::chain;

    fn object(text: &str) -> Node {
        Node::object(text, "config.json").unwrap()
    }

    #[test]
    fn an_untouched_document_keeps_every_byte() {
        for text in [
            "{}",
            " \n{ \t } \n",
            r#"{"a":1e400,"b":-0.0,"c":12345678901234567890123,"\u0064":"\u00e9\/","e":{"x":1,"x":2}}"#,
            "{\n  \"a\" : [ 1 , 2 ] ,\n  \"b\":null\n}\n",
            r#"{"\ud800":"\udfff"}"#,
        ] {
            assert_eq!(object(text).to_string(), text);
        }
        for text in ["[]", "[ ]", "[1, {\"a\":[]} ,2 ]\n"] {
            assert_eq!(Node::array(text, "x").unwrap().to_string(), text);
        }
    }

    #[test]
    fn set_appends_in_the_style_of_its_neighbours() {
        for (text, want) in [
            (r#"{"a":1,"b":2}"#, r#"{"a":1,"b":2,"n":0}"#),
            (r#"{"a": 1, "b": 2}"#, r#"{"a": 1, "b": 2, "n": 0}"#),
            (r#"{ "a": 1 }"#, r#"{ "a": 1, "n": 0 }"#),
            ("{\n\t\"a\": 1\n}\n", "{\n\t\"a\": 1,\n\t\"n\": 0\n}\n"),
            ("{\"a\":1\n,\"b\":2\n}", "{\"a\":1\n,\"b\":2\n,\"n\":0\n}"),
            ("{}", r#"{"n":0}"#),
        ] {
            let mut node = object(text);
            let style = Style::of(&node);
            node.set("n", "0".into(), &style, 1);
            assert_eq!(node.to_string(), want);
        }
    }

    #[test]
    fn a_new_part_of_an_indented_document_is_indented() {
        let outer = object("{\n  \"a\": 1\n}");
        let style = Style::of(&outer);
        let mut inner = Node::empty_object();
        inner.set("x", style.render(&serde_json::json!({"y": [1]}), 2), &style, 2);
        assert_eq!(
            inner.to_string(),
            "{\n    \"x\": {\n      \"y\": [\n        1\n      ]\n    }\n  }"
        );
    }

    #[test]
    fn prepend_and_remove_are_inverse() {
        for text in ["[1]", "[ 1, 2 ]", "[\n 1,\n 2\n]", "[\n 1\n]"] {
            let mut node = Node::array(text, "x").unwrap();
            node.prepend("0".into(), &Style { unit: None }, 1);
            assert_eq!(node.len(), Node::array(&node.to_string(), "x").unwrap().len());
            node.remove_at(0);
            assert_eq!(node.to_string(), text);
        }
    }

    #[test]
    fn removing_the_last_member_keeps_the_closing_line() {
        let mut node = object("{\n  \"a\": 1,\n  \"b\": 2\n}");
        node.remove("b");
        assert_eq!(node.to_string(), "{\n  \"a\": 1\n}");
        node.remove("a");
        assert_eq!(node.to_string(), "{}");
    }

    #[test]
    fn escaped_names_are_the_same_name() {
        assert_eq!(object(r#"{"ho\u006fks":1}"#).get("hooks"), Some("1"));
        let error = Node::object(r#"{"a":1,"\u0061":2}"#, "linux").unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"linux: duplicate member "a", each name may appear once"#
        );
    }

    #[test]
    fn other_types_and_broken_text_are_refused_with_their_place() {
        for (text, want) in [
            (
                "[]",
                "linux: invalid type: sequence, expected a JSON object at line 1 column 0",
            ),
            ("{\"a\":1,}", "linux: trailing comma at line 1 column 8"),
            ("{\"a\":1} x", "linux: trailing characters at line 1 column 9"),
            ("", "linux: EOF while parsing a value at line 1 column 0"),
        ] {
            assert_eq!(chain(&Node::object(text, "linux").unwrap_err()), want);
        }
    }

    #[test]
    fn deep_nesting_neither_overflows_nor_is_refused() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        assert_eq!(object(&deep).to_string(), deep);
        assert!(Node::object(&deep[..deep.len() - 2], "x").is_err());
    }
}
