//! Texts for people: values in a line, columns, colours. Values come from places that nobody needs to trust.

use anstyle::{AnsiColor, Style};

/// What is added.
pub const ADDED: Style = AnsiColor::Green.on_default();
/// What is changed.
pub const CHANGED: Style = AnsiColor::Yellow.on_default();
/// What is wrong.
pub const WRONG: Style = AnsiColor::Red.on_default().bold();
/// What stays.
pub const DIM: Style = Style::new().dimmed();
/// A heading.
pub const HEAD: Style = Style::new().bold();

/// The longest value that is shown.
const VALUE: usize = 40;
/// The longest of two in a line.
const OF_TWO: usize = 20;

/// One line of a table.
pub struct Row {
    /// Of the first cell.
    pub style: Style,
    /// The cells.
    pub cells: Vec<String>,
}

impl Row {
    /// A line.
    pub fn new<const N: usize>(style: Style, cells: [String; N]) -> Self {
        Self {
            style,
            cells: cells.into(),
        }
    }
}

/// The lines below each other. The last cell of a line is as long as it is, and so is one that is alone in it.
pub fn columns(rows: &[Row]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        let padded = row.cells.len().saturating_sub(1);
        widths.resize(widths.len().max(padded), 0);
        for (width, cell) in widths.iter_mut().zip(&row.cells[..padded]) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (at, cell) in row.cells.iter().enumerate() {
            let (on, off) = match at {
                0 => (format!("{}", row.style), format!("{:#}", row.style)),
                _ => Default::default(),
            };
            let last = at + 1 == row.cells.len() || row.cells[at + 1..].iter().all(String::is_empty);
            let fill = if last { 0 } else { widths[at] + 2 };
            let fill = fill.saturating_sub(cell.chars().count());
            line += &format!("{on}{cell}{off}{:fill$}", "");
            if last {
                break;
            }
        }
        text += &line;
        text.push('\n');
    }
    text
}

/// A value for a line: its first line, with dots where there are more, or where it is long.
pub fn in_one_line(value: &str) -> String {
    cut(value, VALUE)
}

/// A value and what takes its place.
pub fn replaced(old: Option<&str>, new: &str) -> String {
    match old {
        Some(old) if old == new => in_one_line(new),
        Some(old) => format!("{} -> {}", cut(old, OF_TWO), cut(new, OF_TWO)),
        None => format!("(not readable) -> {}", cut(new, OF_TWO)),
    }
}

fn cut(value: &str, width: usize) -> String {
    let mut lines = value.lines();
    let first = plain(&lines.next().unwrap_or_default().replace('\t', " "));
    let mut short: String = first.chars().take(width).collect();
    if lines.next().is_some() || short.len() < first.len() {
        short.truncate(short.trim_end().len());
        short += " ...";
    }
    short
}

/// The same text with nothing in it that a terminal would obey, or that would change the order of what is read.
pub fn plain(text: &str) -> String {
    let obeyed = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match obeyed(c) {
            true => plain.extend(c.escape_default()),
            false => plain.push(c),
        }
    }
    plain
}

/// `1 key`, `2 keys`.
pub fn counted(count: usize, one: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {one}s"),
    }
}

/// Whether it takes writes, in the letters of mount options.
pub fn access(writable: bool) -> &'static str {
    match writable {
        true => "rw",
        false => "ro",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_one_line_that_no_terminal_obeys() {
        assert_eq!(in_one_line("4\t4\t1\n"), "4 4 1");
        assert_eq!(in_one_line("cpu 1\ncpu0 1\n"), "cpu 1 ...");
        assert_eq!(in_one_line("\u{1b}[31mred\u{202e}"), "\\u{1b}[31mred\\u{202e}");
        assert_eq!(plain("\u{200e}1\u{61c}2\u{200f}"), "\\u{200e}1\\u{61c}2\\u{200f}");
        assert_eq!(in_one_line(&"x".repeat(41)), format!("{} ...", "x".repeat(40)));
        assert_eq!(replaced(Some("0"), "1"), "0 -> 1");
        assert_eq!(replaced(Some("1"), "1"), "1");
        assert_eq!(replaced(None, "1"), "(not readable) -> 1");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |cells: [&str; 3]| Row::new(Style::new(), cells.map(str::to_owned));
        let alone = Row::new(Style::new(), ["a line of its own that is long".to_owned()]);
        let text = columns(&[
            row(["a", "b", "c"]),
            alone,
            row(["aaa", "", "c"]),
            row(["a", "b", ""]),
        ]);
        assert_eq!(
            text,
            "a    b  c\na line of its own that is long\naaa     c\na    b\n"
        );
    }
}
