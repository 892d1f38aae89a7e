//! docs/kernel-features.md: the tests that are said to force a fallback are there.

use std::fs;
use std::path::Path;

use crate::support::{CHECKOUT, Suite, TestResult, equal, fail, line_alike};

pub fn add(suite: &mut Suite) {
    suite.test("features::tests_exist", |_| tests_exist());
    suite.test("features::read", |_| read());
}

fn tests_exist() -> TestResult {
    let page = fs::read_to_string(Path::new(CHECKOUT).join("docs/kernel-features.md"))?;
    let table = page.split_once("## With a fallback").map_or("", |(_, rest)| rest);
    let table = table.split_once("\n## ").map_or(table, |(table, _)| table);
    let rows: Vec<_> = table
        .lines()
        .filter(|line| line.starts_with("| "))
        .skip(1)
        .collect();
    equal("are there any", rows.len() > 20, true)?;
    let mut wrong = Vec::new();
    for row in rows {
        let forced = row
            .trim_end_matches('|')
            .rsplit(" | ")
            .next()
            .unwrap_or_default()
            .trim();
        if forced
            .strip_prefix("not forced: ")
            .is_some_and(|reason| !reason.is_empty())
        {
            continue;
        }
        let tests = named(forced);
        if tests.is_empty() {
            wrong.push(format!("no test, and no reason: {row}"));
        }
        for (file, test) in tests {
            let path = Path::new(CHECKOUT).join(file);
            if !fs::read_to_string(path).is_ok_and(|text| has_test(&text, test)) {
                wrong.push(format!("{file} has no test {test}"));
            }
        }
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => fail(wrong.join("\n")),
    }
}

/// The tests of a cell: in backticks a file, then the names of tests in it.
fn named(cell: &str) -> Vec<(&str, &str)> {
    let (mut file, mut tests) = (None, Vec::new());
    for code in cell.split('`').skip(1).step_by(2) {
        match (code.ends_with(".rs"), file) {
            (true, _) => file = Some(code),
            (false, Some(file)) => tests.push((file, code)),
            (false, None) => {}
        }
    }
    tests
}

/// Whether a file registers a test of that name, whose last parts, such as a runtime's, may be left out; or has it as a function.
fn has_test(text: &str, test: &str) -> bool {
    let registered = text.split('"').skip(1).step_by(2).any(|literal| {
        let is_name = literal.contains("::") || literal == test;
        let parts = literal.split("::").map(|part| match part.contains('{') {
            true => "...",
            false => part,
        });
        let parts: Vec<_> = parts.collect();
        let wanted: Vec<_> = test.split("::").collect();
        is_name
            && parts.len() >= wanted.len()
            && wanted
                .iter()
                .zip(&parts)
                .all(|(wanted, part)| line_alike(wanted, part))
    });
    registered || text.contains(&format!("fn {test}("))
}

/// What is taken for a test is one.
fn read() -> TestResult {
    equal(
        "named",
        named("ENOSYS: `a.rs` `one::two`, `three`; gVisor: `b.rs` `four`"),
        vec![("a.rs", "one::two"), ("a.rs", "three"), ("b.rs", "four")],
    )?;
    let text = "suite.test(format!(\"one::{calls}::{}\", runtime.name), two); suite.test(\"three\", five);\nfn five() {}";
    let found =
        ["one::open_tree", "three", "five", "one", "four", "two::open_tree"].map(|test| has_test(text, test));
    equal("found", found, [true, true, true, true, false, false])
}
