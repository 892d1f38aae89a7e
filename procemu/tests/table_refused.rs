//! Wrong tables are refused whole, with file, line, key, what is wrong and what would be right.

use procemu::{Table, TableError};

/// The error of one entry of a TOML table, which stands in line 3.
fn refused(entry: &str) -> TableError {
    let text = format!("\n[keys]\n\"kernel/k\" = {entry}\n");
    Table::from_toml(&text, "t.toml").expect_err(entry)
}

#[test]
fn wrong_entries_are_refused_with_file_line_and_key() {
    for (entry, what) in [
        (
            "{}",
            "no value is given; write one of value, computed, host and sysctl",
        ),
        ("{ doc = \"x\" }", "no value is given"),
        ("{ value = 1, host = true }", "value and host exclude each other"),
        (
            "{ computed = \"sem\", sysctl = true }",
            "computed and sysctl exclude each other",
        ),
        (
            "{ value = 1, fallback = 2 }",
            "fallback says nothing beside value",
        ),
        ("{ host = false }", "host = false says nothing"),
        ("{ sysctl = false, value = 1 }", "sysctl = false says nothing"),
        ("{ table = true }", "table = true says nothing"),
        ("{ table = false, doc = \"x\" }", "table = false stands alone"),
        ("{ table = false, value = 1 }", "table = false stands alone"),
        (
            "{ valeu = 1 }",
            "unknown field `valeu`, expected one of `value`, `computed`",
        ),
        ("{ value = true }", "true is not a value; write 1"),
        ("{ value = 1.5 }", "1.5 is not a whole number of 64 bits"),
        (
            "{ value = 99999999999999999999 }",
            "99999999999999999999 is not a whole number of 64 bits",
        ),
        ("{ value = [[1]] }", "a list within a list"),
        ("{ value = { a = 1 } }", "a table or date is not a value"),
        ("{ value = 1979-05-27 }", "a table or date is not a value"),
        ("{ value = \"a\\u0000b\" }", "the value contains a NUL"),
        ("{ value = [\"a\\nb\"] }", "contains a line break"),
        (
            "{ value = 1, mode = \"0666\" }",
            "mode \"0666\" is unknown; write \"0444\" or \"0644\"",
        ),
        ("{ value = 1, mode = 644 }", "mode 644 is unknown"),
        (
            "{ value = 1, when = \"never\" }",
            "unknown variant `never`, expected one of `missing`, `unwritable`, `zero`, `always`",
        ),
        (
            "{ computed = \"nope\" }",
            "unknown variant `nope`, expected one of `cap_last_cap`",
        ),
        ("{ host = 1 }", "invalid type: integer `1`, expected a boolean"),
        ("5", "expected a table such as { value = 1 }"),
    ] {
        let error = refused(entry);
        assert_eq!(
            (error.origin(), error.line(), error.key()),
            ("t.toml", Some(3), Some("kernel/k")),
            "{entry}"
        );
        assert!(error.message().contains(what), "{entry}: {error}");
        assert!(error.to_string().starts_with("t.toml:3: kernel/k: "), "{error}");
        assert!(!error.to_string().contains('\n'), "{error}");
    }
    let page = refused(&format!("{{ value = \"{}\" }}", "x".repeat(65536)));
    assert!(page.message().contains("the value has 65537 bytes"), "{page}");
}

#[test]
fn wrong_documents_are_refused_with_their_line() {
    let toml = |text: &str| Table::from_toml(text, "t").expect_err(text).to_string();
    let json = |text: &str| Table::from_json(text, "t").expect_err(text).to_string();
    for (error, expected) in [
        (
            toml("x = 1"),
            "t:1: unknown member \"x\"; a table has doc and keys",
        ),
        (toml("\nkeys = 1"), "t:2: keys is not a table; write [keys]"),
        (
            toml("doc = 1"),
            "t:1: doc: invalid type: integer `1`, expected a string",
        ),
        (
            toml("[keys]\nkernel.panic = { value = 1 }"),
            "t:2: kernel: the key's parts are separate TOML keys",
        ),
        (
            toml("[keys]\n\"/etc/x\" = { value = 1 }"),
            "t:2: key \"/etc/x\" lies outside /proc",
        ),
        (
            toml("[keys]\n\"sys/module/x\" = { value = 1 }"),
            "t:2: key \"sys/module/x\" would lie in /proc/sys; write \"/sys/module/x\"",
        ),
        (
            toml("[keys]\n\"proc.sys.vm.x\" = { value = 1 }"),
            "t:2: key \"proc.sys.vm.x\" would lie in /proc/sys; write \"/proc/sys/vm/x\"",
        ),
        (toml("[keys]\n\"a\" = {"), "t:2: "),
        (
            toml("[keys]\n\"a b\" = { value = 1 }"),
            "t:2: key \"a b\" has the character ' '",
        ),
        (json(""), "t:1: end of text"),
        (json("[]"), "t:1: invalid type: sequence, expected an object"),
        (json("{} x"), "t:1: trailing characters"),
        (json("{\n\"x\": 1}"), "t:2: unknown member \"x\""),
        (
            json("{\"keys\":{\n\"a/b\":{\n\"value\": null}}}"),
            "t:3: a/b: value: null is not a value",
        ),
        (
            json("{\"keys\":{\n\"a/b\":{\n\"value\": 1e3}}}"),
            "t:3: a/b: value: 1e+3 is not a whole number",
        ),
        (
            json("{\"keys\":{\"a/b\":{\"value\": 1,\n\"doc\": null}}}"),
            "t:2: a/b: doc: invalid type: null",
        ),
        (
            json("{\"keys\":{\n\"a/b\":5}}"),
            "t:2: a/b: invalid type: integer `5`, expected a table",
        ),
        (
            json("{\"keys\":\n{\"/system/x\":{\"value\": 1}}}"),
            "t:2: key \"/system/x\" lies outside /proc and /sys",
        ),
    ] {
        assert!(error.starts_with(expected), "{error}\n  is not\n{expected}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn a_key_is_given_once_whatever_its_spelling() {
    let toml = |second: &str| {
        format!("[keys]\n\"kernel/a.b\" = {{ value = 1 }}\n\"{second}\" = {{ table = false }}\n")
    };
    let json = |second: &str| {
        format!(
            "{{\"keys\":{{\"kernel/a.b\":{{\"value\":1}},\n\"k/x\":{{\"value\":1}},\n\"{second}\":{{\"value\":1}}}}}}"
        )
    };
    for second in ["kernel/a.b", "kernel.a/b", "/proc/sys/kernel/a.b"] {
        let expected =
            format!("t:3: {second}: the key is given twice; keep one of the two, whatever their spelling");
        assert_eq!(
            Table::from_toml(&toml(second), "t").unwrap_err().to_string(),
            expected
        );
        assert_eq!(
            Table::from_json(&json(second), "t").unwrap_err().to_string(),
            expected
        );
        let by_serde = serde_json::from_str::<Table>(&json(second))
            .unwrap_err()
            .to_string();
        assert!(
            by_serde.contains("kernel/a.b: the key is given twice"),
            "{by_serde}"
        );
    }
    let removed_twice = "{\"keys\":{\"a.b\":{\"table\":false},\"a/b\":{\"table\":false}}}";
    assert!(
        Table::from_json(removed_twice, "t")
            .unwrap_err()
            .message()
            .contains("twice")
    );
}

#[test]
fn equal_json_members_are_refused_at_every_level() {
    for (text, expected) in [
        (
            "{\"doc\":\"a\",\n\"doc\":\"a\"}",
            "t:2: the member \"doc\" is given twice; keep one of them",
        ),
        (
            "{\"keys\":{},\n\"keys\":{}}",
            "t:2: the member \"keys\" is given twice; keep one of them",
        ),
        (
            "{\"keys\":{},\n\"k\\u0065ys\":{}}",
            "t:2: the member \"keys\" is given twice; keep one of them",
        ),
        (
            "{\"keys\":{\"a/b\":{\"value\":1,\n\"value\":1}}}",
            "t:2: a/b: duplicate field `value`",
        ),
        (
            "{\"keys\":{\"a/b\":{\"value\":1,\"mode\":\"0444\",\n\"mode\":\"0444\"}}}",
            "t:2: a/b: duplicate field `mode`",
        ),
    ] {
        assert_eq!(Table::from_json(text, "t").unwrap_err().to_string(), expected);
    }
}

#[test]
fn deep_and_huge_texts_are_refused() {
    let deep = 200_000;
    let (open, close) = ("[".repeat(deep), "]".repeat(deep));
    for text in [
        format!("x = {open}{close}"),
        format!("[keys]\n\"a/b\" = {{ value = {open}{close} }}"),
        format!("[keys]\n\"a/b\" = {}", "{ value = ".repeat(deep)),
        format!("[{}]", vec!["a"; deep].join(".")),
    ] {
        Table::from_toml(&text, "t").expect_err("too deep for a table");
    }
    for text in [
        open.clone(),
        format!("{open}{close}"),
        format!("{{\"keys\":{open}{close}}}"),
        format!("{{\"keys\":{{\"a/b\":{{\"value\":{open}{close}}}}}}}"),
        "{\"keys\":".repeat(deep),
    ] {
        Table::from_json(&text, "t").expect_err("too deep for a table");
    }
    let huge = format!("# {}", "x".repeat(Table::MAX_BYTES));
    let error = Table::from_toml(&huge, "t").unwrap_err().to_string();
    assert_eq!(
        error,
        "t: the text has 4194306 bytes; a table has at most 4194304"
    );
    assert!(Table::from_json(&huge, "t").is_err());
}
