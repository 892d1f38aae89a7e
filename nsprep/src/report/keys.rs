//! The table's keys as they are, as they would be, and as `verify` finds them.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::badge::{badge, value};
use crate::diff::{Action, Change, Diff};
use crate::shown::{access, counted, plain};

/// An action in a word.
fn word(action: Action) -> &'static str {
    match action {
        Action::Add => "add",
        Action::Replace => "replace",
        Action::Keep => "keep",
        Action::Differs => "differs",
    }
}

/// Each key of the table.
pub fn keys(diff: &Diff) -> Markup {
    html! {
        p { (diff.summary()) "." }
        @if !diff.changes.is_empty() {
            div.scroll tabindex="0" role="region" aria-label="Keys of the table" {
                table {
                    thead { tr {
                        th scope="col" { "Key" }
                        th scope="col" { "Plan" }
                        th scope="col" { "Now" }
                        th scope="col" { "With the plan" }
                        th scope="col" { "Whose, now" }
                        th scope="col" { "Verify, now" }
                    } }
                    tbody { @for change in &diff.changes { (row(change)) } }
                }
            }
        }
    }
}

fn row(change: &Change) -> Markup {
    let state = word(change.action);
    html! {
        tr data-row data-state=(state) {
            th scope="row" { code { (plain(&change.key.to_string())) } }
            td { (badge(state)) }
            td {
                @match &change.old {
                    Some(old) => { (value(old)) " " span.dim { (access(change.old_writable)) } },
                    None if change.origin == "missing" => span.dim { "not there" },
                    None => span.dim { "not readable" },
                }
            }
            td {
                @match (&change.new, change.new_writable) {
                    (Some(new), Some(writable)) => { (value(new)) " " span.dim { (access(writable)) } },
                    _ => span.dim { "the same" },
                }
            }
            td { (change.whose()) }
            td {
                @match &change.problem {
                    None => (badge("ok")),
                    Some(problem) => { (badge("not ok")) " " (plain(problem)) },
                }
            }
        }
    }
}

/// What is attached already, and what `verify` says of it all.
pub fn attached(diff: &Diff) -> Markup {
    let mut given: BTreeMap<&str, usize> = BTreeMap::new();
    for layer in diff.changes.iter().filter_map(|change| change.layer.as_deref()) {
        *given.entry(layer).or_default() += 1;
    }
    let fine = diff
        .changes
        .iter()
        .filter(|change| change.problem.is_none())
        .count();
    html! {
        @if diff.layers.is_empty() {
            p { "No layer is attached: nothing of ours is mounted there." }
        } @else {
            table {
                thead { tr { th scope="col" { "Layer" } th scope="col" { "Keys of this table that a reader gets from it" } } }
                tbody { @for layer in &diff.layers {
                    tr {
                        th scope="row" { code { (layer) } }
                        td { (given.get(layer.as_str()).copied().unwrap_or_default()) }
                    }
                } }
            }
        }
        p { "Verify: " (fine) " of " (counted(diff.changes.len(), "key")) " as the table has them." }
    }
}
