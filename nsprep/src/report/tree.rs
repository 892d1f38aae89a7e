//! The plan as nested lists.

use maud::{Markup, html};

use super::badge::{badge, value};
use crate::plan_tree::{Node, What, how};
use crate::shown::{access, counted, plain};

/// All of it.
pub fn tree(tree: &[Node]) -> Markup {
    html! {
        ul.tree { @for top in tree { li.folder { (folder(top)) (below(top)) } } }
    }
}

fn below(node: &Node) -> Markup {
    let originals = node.originals();
    let others = match &node.what {
        What::Way { others } => Some(others.as_deref()),
        _ => None,
    };
    html! {
        ul {
            @for node in node.below.iter().filter(|below| !below.is_original()) { (entry(node)) }
            @if originals.passed() > 0 {
                li.kept { details {
                    summary { (counted(originals.passed(), "original")) " passed through: " (how(&originals)) }
                    ul { @for node in node.below.iter().filter(|below| below.is_original()) { (original(node)) } }
                } }
            }
            @match others {
                Some(Some([])) | None => {},
                Some(Some(names)) => li.kept { details {
                    summary { (counted(names.len(), "other")) " not touched" }
                    p { @for name in names { code { (plain(name)) } " " } }
                } },
                Some(None) => li.kept { "all others: not touched" },
            }
        }
    }
}

fn folder(node: &Node) -> Markup {
    html! {
        code { (node.shown()) }
        @match node.what {
            What::Overmount => { " " (badge("overmounted")) " " span.dim { "a tmpfs over it" } },
            What::Folder => { " " span.dim { "a folder in that tmpfs" } },
            _ => {},
        }
    }
}

fn entry(node: &Node) -> Markup {
    let key = |state: &str, old: Option<&str>, new: &str, writable: bool| {
        html! {
            li data-row data-state=(state) {
                code { (node.shown()) } " " (badge(state)) " "
                @if let Some(old) = old { (value(old)) " → " }
                (value(new)) " " span.dim { (access(writable)) }
            }
        }
    };
    match &node.what {
        What::Add { value, writable } => key("add", None, value, *writable),
        What::Replace { old, value, writable } => key("replace", old.as_deref(), value, *writable),
        _ => html! { li.folder { (folder(node)) (below(node)) } },
    }
}

fn original(node: &Node) -> Markup {
    let how = match &node.what {
        What::Bound { read_only: true, .. } => "bound, read-only".to_owned(),
        What::Namespaced => "linked, namespaced".to_owned(),
        What::Link { target } => format!("a link to {}", plain(target)),
        _ => "bound".to_owned(),
    };
    html! { li { code { (node.shown()) } " " span.dim { (how) } } }
}
