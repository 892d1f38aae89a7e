//! The tree for people.

use anstyle::Style;

use super::{Counts, Node, What, how};
use crate::shown::{ADDED, CHANGED, DIM, HEAD, Row, access, columns, counted, in_one_line, plain, replaced};

/// So many names of what is not touched are shown; more are counted.
const NAMES: usize = 12;

/// The whole tree; each original only with `all`. Styles are for the writer to keep or to strip.
pub fn text(tree: &[Node], all: bool) -> String {
    let mut rows = Vec::new();
    for top in tree {
        rows.push(folder(top, ""));
        below(top, "", all, &mut rows);
    }
    columns(&rows)
}

/// All of it in one line; of the table's keys `others` are there already.
pub fn summary(tree: &[Node], others: usize) -> String {
    let mut counts = Counts::default();
    tree.iter().for_each(|top| counts.add(&top.counts()));
    format!(
        "{} to add, {} to replace, {others} as they are; {} passed through",
        counted(counts.added, "key"),
        counts.replaced,
        counted(counts.passed(), "original")
    )
}

/// A line below a folder.
struct Line<'a> {
    row: Row,
    /// The node whose own lines follow.
    node: Option<&'a Node>,
}

fn below(node: &Node, indent: &str, all: bool, rows: &mut Vec<Row>) {
    let shown = node.below.iter().filter(|below| all || !below.is_original());
    let mut lines: Vec<Line<'_>> = shown
        .map(|below| Line {
            row: row(below),
            node: Some(below),
        })
        .collect();
    let originals = node.originals();
    if !all && originals.passed() > 0 {
        let count = counted(originals.passed(), "original");
        lines.push(line(DIM, format!("= {count}"), how(&originals)));
    }
    if let What::Way { others } = &node.what {
        match others.as_deref() {
            Some([]) => {}
            Some(names) if names.len() <= NAMES || all => {
                let names: Vec<String> = names.iter().map(|name| plain(name)).collect();
                lines.push(line(
                    DIM,
                    format!("  {}", counted(names.len(), "other")),
                    format!("not touched: {}", names.join(" ")),
                ));
            }
            Some(names) => lines.push(line(
                DIM,
                format!("  {}", counted(names.len(), "other")),
                "not touched".to_owned(),
            )),
            None => lines.push(line(DIM, "  all others".to_owned(), "not touched".to_owned())),
        }
    }
    let count = lines.len();
    for (at, Line { mut row, node }) in lines.into_iter().enumerate() {
        let (branch, rest) = match at + 1 == count {
            true => ("└─ ", "   "),
            false => ("├─ ", "│  "),
        };
        row.cells[0].insert_str(0, &format!("{indent}{branch}"));
        rows.push(row);
        if let Some(node) = node {
            below(node, &format!("{indent}{rest}"), all, rows);
        }
    }
}

fn line(style: Style, first: String, rest: String) -> Line<'static> {
    Line {
        row: Row::new(style, [first, rest]),
        node: None,
    }
}

fn folder(node: &Node, mark: &str) -> Row {
    let what = match node.what {
        What::Overmount => "a tmpfs over it",
        What::Folder => "a folder in that tmpfs",
        _ => "",
    };
    Row::new(HEAD, [format!("{mark}{}", node.shown()), what.to_owned()])
}

fn row(node: &Node) -> Row {
    let name = |mark: &str| format!("{mark} {}", node.shown());
    let original = |how: String| Row::new(DIM, [name("="), how]);
    match &node.what {
        What::Way { .. } | What::Overmount | What::Folder => folder(node, "  "),
        What::Add { value, writable } => Row::new(
            ADDED,
            [name("+"), in_one_line(value), access(*writable).to_owned()],
        ),
        What::Replace { old, value, writable } => {
            let value = replaced(old.as_deref(), value);
            Row::new(CHANGED, [name("~"), value, access(*writable).to_owned()])
        }
        What::Bound { read_only: true, .. } => original("bound, read-only".to_owned()),
        What::Bound { .. } => original("bound".to_owned()),
        What::Namespaced => original("linked, namespaced".to_owned()),
        What::Link { target } => original(format!("a link to {}", plain(target))),
    }
}
