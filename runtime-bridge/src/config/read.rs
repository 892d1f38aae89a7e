//! From the text of `bridge.toml` to its form, or to what is wrong at which place.

use super::Form;

/// What is wrong.
pub(super) struct Fault {
    /// At which byte.
    pub at: usize,
    /// With which key, as TOML has it with dots; empty where the text is none that has keys.
    pub key: String,
    /// What, and what would be right, in one line.
    pub message: String,
}

pub(super) fn read_form(text: &str) -> Result<Form, Fault> {
    let parsed = toml::Deserializer::parse(text).map_err(|error| {
        let span = error.span().unwrap_or_default();
        let message = one_line(error.message());
        let key = match message.as_str() {
            // The parser points at the second one.
            "duplicate key" => text.get(span.clone()),
            _ => key_before(text, span.start),
        };
        Fault {
            at: span.start,
            key: key.unwrap_or_default().to_owned(),
            message: match message.as_str() {
                "duplicate key" => "the key is given twice; keep one of the two".to_owned(),
                _ => message,
            },
        }
    })?;
    serde_path_to_error::deserialize(parsed).map_err(|error| {
        let inner = error.inner();
        let span = inner.span().unwrap_or_default();
        let message = match inner.message() {
            NO_TEXT => words(text, &span).unwrap_or_else(|| NO_TEXT.to_owned()),
            message => one_line(message),
        };
        let path = error.path().to_string();
        // What toml hands on the place of a value by is no key of the file.
        let path = path.split(".$").next().unwrap_or_default();
        // A field that is unknown is told in the message.
        let key = match message.starts_with("unknown field") {
            true => path.rsplit_once('.').map_or("", |(table, _)| table),
            false => path.trim_matches('.'),
        };
        Fault {
            at: span.start,
            key: key.to_owned(),
            message: message
                .replace("expected a sequence", "expected a list")
                .replace("expected a map", "expected a table")
                .replace("expected path string", "expected a path in quotes"),
        }
    })
}

/// What toml says where one of some words is wanted; not which ones.
const NO_TEXT: &str = "wanted string or table";

/// The same of a text in its place, of which it is said which ones there are.
fn words(text: &str, span: &std::ops::Range<usize>) -> Option<String> {
    let given = text.get(span.clone())?.replace(['"', '\\', '\n'], " ");
    let quoted = format!("{}\"{given}\"{}", text.get(..span.start)?, text.get(span.end..)?);
    let error = toml::from_str::<Form>(&quoted).err()?;
    Some(one_line(error.message()))
}

/// What stands before `=` on the line.
fn key_before(text: &str, at: usize) -> Option<&str> {
    let line = text.get(..at)?.rsplit('\n').next()?;
    line.split_once('=').map(|(key, _)| key.trim())
}

/// toml breaks some of its messages into lines.
fn one_line(message: &str) -> String {
    message
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(", ")
}
