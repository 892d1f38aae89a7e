//! A text edited without its byte order mark and with LF for CRLF, which both come back afterwards: toml_edit drops them, and what is
//! ours is to end its lines as the rest does.

use super::Refusal;

const MARK: char = '\u{feff}';

/// `text` without byte order mark, and with LF where every line of it ends in CRLF.
pub fn plain(text: &str) -> String {
    let text = text.strip_prefix(MARK).unwrap_or(text);
    let plain = text.replace("\r\n", "\n");
    match with_crlf(&plain) == text {
        true => plain,
        false => text.to_owned(),
    }
}

/// What `edit` makes of the plain `text`, in the form of `text`.
///
/// # Errors
/// As `edit`.
pub fn edit(text: &str, edit: impl FnOnce(&str) -> Result<String, Refusal>) -> Result<String, Refusal> {
    let body = text.strip_prefix(MARK).unwrap_or(text);
    let plain = plain(text);
    let new = edit(&plain)?;
    let new = if plain == body { new } else { with_crlf(&new) };
    Ok(format!("{}{new}", &text[..text.len() - body.len()]))
}

fn with_crlf(text: &str) -> String {
    text.replace('\n', "\r\n")
}
