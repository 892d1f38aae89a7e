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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_value_leaves_its_element(text in "(<|>|&|\"|'|\\\\|script|/|=|\\PC|\\p{Cc})*") {
            let shown = value(&text).into_string();
            let inside = shown.strip_prefix("<code>").and_then(|rest| rest.strip_suffix("</code>"));
            let bad = inside.unwrap().contains(['<', '>', '"', '\u{1b}', '\0', '\u{202e}']);
            prop_assert!(!bad);
        }
    }

    #[test]
    fn a_long_value_is_cut_and_counted() {
        let shown = value(&"x".repeat(VALUE + 1)).into_string();
        assert!(
            shown.ends_with("x</code> ... <span class=\"dim\">2001 characters</span>"),
            "{shown}"
        );
    }
}
