//! Taking apart what scripts print.

use std::collections::BTreeSet;

use super::{TestResult, fail};

/// The lines between `== name` and the next `== `.
///
/// # Errors
/// There is no such section.
pub fn section<'a>(text: &'a str, name: &str) -> TestResult<Vec<&'a str>> {
    let head = format!("== {name}");
    let mut lines = text.lines().skip_while(|line| *line != head);
    if lines.next().is_none() {
        return fail(format!("no section {name:?} in:\n{text}"));
    }
    Ok(lines.take_while(|line| !line.starts_with("== ")).collect())
}

/// Fails unless the two lists hold the same lines, in whatever order; says which lines are in one of them only.
///
/// # Errors
/// A line is in one of them only.
pub fn same_lines<'a>(
    what: &str,
    got: impl IntoIterator<Item = &'a str>,
    expected: impl IntoIterator<Item = &'a str>,
) -> TestResult {
    let (got, expected): (BTreeSet<_>, BTreeSet<_>) =
        (got.into_iter().collect(), expected.into_iter().collect());
    let missing: Vec<_> = expected.difference(&got).collect();
    let more: Vec<_> = got.difference(&expected).collect();
    if missing.is_empty() && more.is_empty() {
        return Ok(());
    }
    fail(format!(
        "{what}: {} missing {missing:?}, {} too many {more:?}",
        missing.len(),
        more.len()
    ))
}
