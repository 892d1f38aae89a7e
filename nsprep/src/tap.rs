//! `verify` for what reads the Test Anything Protocol, version 13: perl's prove(1) knows no later one.

use std::fmt::Write;

use procemu::Check;

use crate::diff::origin;

/// One test point for each key, with a YAML block for what differs.
pub fn tap(checks: &[Check]) -> String {
    let mut text = "TAP version 13\n".to_owned();
    if checks.is_empty() {
        return text + "1..0 # SKIP the table has no keys here\n";
    }
    // Writing to a String does not fail, here and below.
    let _ = writeln!(text, "1..{}", checks.len());
    for (at, check) in checks.iter().enumerate() {
        let ok = if check.problem.is_none() { "ok" } else { "not ok" };
        let key = described(&check.key.to_string());
        let _ = writeln!(text, "{ok} {} - {key}", at + 1);
        let Some(problem) = &check.problem else { continue };
        let _ = writeln!(text, "  ---");
        let _ = writeln!(text, "  message: {}", quoted(problem));
        let _ = writeln!(text, "  severity: fail");
        let _ = writeln!(text, "  origin: {}", origin(check.origin));
        if let Some(value) = &check.value {
            let _ = writeln!(text, "  value: {}", quoted(value));
        }
        let _ = writeln!(text, "  writable: {}", check.writable);
        let _ = writeln!(text, "  ...");
    }
    text
}

/// A `#` would begin a directive. Keys have no whitespace and no control characters.
fn described(key: &str) -> String {
    key.replace('\\', "\\\\").replace('#', "\\#")
}

/// In YAML's double quotes, with what is not printed as `\x..`, which all readers know, or `\u....`.
fn quoted(text: &str) -> String {
    let mut quoted = "\"".to_owned();
    for c in text.chars() {
        let _ = match (c, u32::from(c)) {
            ('"' | '\\', _) => write!(quoted, "\\{c}"),
            ('\n', _) => write!(quoted, "\\n"),
            ('\t', _) => write!(quoted, "\\t"),
            (_, code @ (0..0x20 | 0x7f..0xa0)) => write!(quoted, "\\x{code:02x}"),
            (
                _,
                code @ (0x61c
                | 0x200e
                | 0x200f
                | 0x2028..=0x202e
                | 0x2066..=0x2069
                | 0xfeff
                | 0xfffe
                | 0xffff),
            ) => {
                write!(quoted, "\\u{code:04x}")
            }
            _ => write!(quoted, "{c}"),
        };
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_value_ends_its_line_or_its_quotes() {
        assert_eq!(
            quoted("a\"b\\c\n...\nok 9\t\u{1b}\u{85}\u{2028}\u{200f}\u{61c}"),
            r#""a\"b\\c\n...\nok 9\t\x1b\x85\u2028\u200f\u061c""#
        );
        assert_eq!(
            described("net/ipv4/conf/a#b\\c/forwarding"),
            r"net/ipv4/conf/a\#b\\c/forwarding"
        );
    }

    proptest! {
        #[test]
        fn any_value_is_one_line_in_quotes(text in "(\\PC|\\p{Cc}|\"|\\\\|\n|\t)*") {
            let quoted = quoted(&text);
            prop_assert_eq!(quoted.lines().count(), 1);
            prop_assert!(!quoted.contains(char::is_control));
            // A JSON string where no escape is one that JSON has not.
            if !quoted.contains("\\x") {
                prop_assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), text);
            }
        }
    }

    #[test]
    fn nothing_to_test_is_a_skipped_file() {
        assert_eq!(
            tap(&[]),
            "TAP version 13\n1..0 # SKIP the table has no keys here\n"
        );
    }
}
