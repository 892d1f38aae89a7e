//! The small parts that sections have in common.

use maud::{Markup, html};

use crate::shown::plain;

/// More of a value is not shown: the page is for people.
const VALUE: usize = 2000;

/// A word with a colour of its own, which is also told by the word.
pub fn badge(state: &str) -> Markup {
    html! { span.badge.(state.replace(' ', "-")) { (state) } }
}

/// A value, in as many lines as it has.
pub fn value(text: &str) -> Markup {
    let shown: String = text.chars().take(VALUE).collect();
    let lines: Vec<String> = shown
        .lines()
        .map(|line| plain(&line.replace('\t', " ")))
        .collect();
    html! {
        code { (lines.join("\n")) }
        @if shown.len() < text.len() { " ... " span.dim { (text.chars().count()) " characters" } }
    }
}

/// A figure and what it counts.
pub fn tile(count: usize, of: &str, state: &str) -> Markup {
    let state = if count == 0 { "none" } else { state };
    html! { li.(state) { strong { (count) } " " span { (of) } } }
}
