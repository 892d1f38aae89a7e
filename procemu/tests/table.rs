//! Tables: what they say in TOML, in JSON and in code, how they merge, and how wrong ones are refused.

use procemu::{
    Entry, Mode, Probe, Separator, SysctlKey, Table, TableError, Value, ValueError, ValueSource, When,
};
use proptest::prelude::*;

fn key(text: &str) -> SysctlKey {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

const TOML: &str = r#"
doc = "what k needs"

[keys]
"kernel.cap_last_cap" = { computed = "cap_last_cap", fallback = 40, doc = "runc" }
"vm/overcommit_memory" = { value = 1, mode = "0644", when = "unwritable" }
"kernel/sem" = { value = [250, 32000, "32", 128] }
"net.ipv4.tcp_allowed" = { value = ["reno", "cubic"], separator = "space", when = "always" }
"kernel/threads-max" = { host = true, fallback = 100000 }
"net/ipv4/ping_group_range" = { sysctl = true }
"/proc/stat" = { value = "cpu 1 2\ncpu0 1 2\n" }
"kernel/y" = { table = false }
"#;

const JSON: &str = r#"{
  "doc": "what k needs",
  "keys": {
    "kernel.cap_last_cap": { "computed": "cap_last_cap", "fallback": 40, "doc": "runc" },
    "vm/overcommit_memory": { "value": 1, "mode": "0644", "when": "unwritable" },
    "kernel/sem": { "value": [250, 32000, "32", 128] },
    "net.ipv4.tcp_allowed": { "value": ["reno", "cubic"], "separator": "space", "when": "always" },
    "kernel/threads-max": { "host": true, "fallback": 100000 },
    "net/ipv4/ping_group_range": { "sysctl": true },
    "/proc/stat": { "value": "cpu 1 2\ncpu0 1 2\n" },
    "kernel/y": { "table": false }
  }
}"#;

fn in_code() -> Table {
    let mut table = Table::new();
    table.set_doc("what k needs");
    table.extend([
        (
            key("kernel/cap_last_cap"),
            Entry::computed(Probe::CapLastCap)
                .with_fallback(40)
                .with_doc("runc"),
        ),
        (
            key("vm/overcommit_memory"),
            Entry::literal(1).writable().with_when(When::Unwritable),
        ),
        (
            key("kernel/sem"),
            Entry::literal(Value::List(vec![
                250.into(),
                32000.into(),
                "32".into(),
                128.into(),
            ])),
        ),
        (
            key("net/ipv4/tcp_allowed"),
            Entry::literal(["reno", "cubic"])
                .with_separator(Separator::Space)
                .with_when(When::Always),
        ),
        (key("kernel/threads-max"), Entry::host().with_fallback(100_000)),
        (key("net/ipv4/ping_group_range"), Entry::sysctl()),
        (key("/proc/stat"), Entry::literal("cpu 1 2\ncpu0 1 2\n")),
    ]);
    table.insert_removal(key("kernel/y"));
    table
}

#[test]
fn toml_json_and_code_say_the_same() {
    assert_eq!(Table::from_toml(TOML, "t").unwrap(), in_code());
    assert_eq!(Table::from_json(JSON, "t").unwrap(), in_code());
    assert_eq!(toml::from_str::<Table>(TOML).unwrap(), in_code());
    assert_eq!(serde_json::from_str::<Table>(JSON).unwrap(), in_code());
    let value = serde_json::to_value(in_code()).unwrap();
    assert_eq!(serde_json::from_value::<Table>(value).unwrap(), in_code());
}

#[test]
fn the_file_name_or_the_text_tells_the_language() {
    for name in ["t.toml", "T.TOML", "t", "t.conf", "-"] {
        assert_eq!(Table::from_str_named(TOML, name).unwrap(), in_code(), "{name}");
    }
    for name in ["t.json", "t.JSON", "t", "t.conf", "-"] {
        assert_eq!(Table::from_str_named(JSON, name).unwrap(), in_code(), "{name}");
    }
    assert!(Table::from_str_named(JSON, "t.toml").is_err());
    assert!(Table::from_str_named(TOML, "t.json").is_err());
    assert_eq!(Table::from_toml("", "t").unwrap(), Table::new());
    assert_eq!(Table::from_json("{}", "t").unwrap(), Table::new());
}

#[test]
fn values_are_rendered_as_the_kernel_prints_them() {
    let rendered = |text: &str| {
        in_code()
            .get(&key(text))
            .unwrap()
            .resolve(&key(text), None)
            .unwrap()
    };
    assert_eq!(rendered("vm/overcommit_memory"), "1\n");
    assert_eq!(rendered("kernel/sem"), "250\t32000\t32\t128\n");
    assert_eq!(rendered("net/ipv4/tcp_allowed"), "reno cubic\n");
    assert_eq!(rendered("/proc/stat"), "cpu 1 2\ncpu0 1 2\n");
    assert_eq!(rendered("kernel/threads-max"), "100000\n");
    assert_eq!(Entry::literal("").resolve(&key("a/b"), None).unwrap(), "\n");
    assert_eq!(Entry::host().resolve(&key("a/b"), Some("7\n")).unwrap(), "7\n");
    assert_eq!(
        Entry::sysctl()
            .with_fallback(1)
            .resolve(&key("a/b"), Some("8"))
            .unwrap(),
        "8\n"
    );
}

#[test]
fn values_that_no_key_can_have_are_refused() {
    let render = |value: Value| value.render(Separator::Tab);
    assert_eq!(render("x".repeat(4095).into()).map(|text| text.len()), Ok(4096));
    assert_eq!(render("x".repeat(4096).into()), Err(ValueError::TooLong(4097)));
    assert_eq!(render("a\0b".into()), Err(ValueError::Nul));
    assert!(matches!(render(["a\nb"].into()), Err(ValueError::LineBreak(_))));
    let (a, no) = (key("a/b"), "the entry has neither value nor fallback");
    assert_eq!(
        Entry::host().resolve(&a, None).expect_err(no),
        ValueError::NotOutside(a.clone())
    );
    assert_eq!(
        Entry::sysctl().resolve(&a, None).expect_err(no),
        ValueError::NotInSysctl(a.clone())
    );
    let error = ValueError::NoAnswer {
        key: a,
        probe: Probe::Overflowuid,
    };
    assert_eq!(
        error.to_string(),
        "a/b: the kernel gives no answer to the probe overflowuid; add a fallback"
    );
}

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
            "unknown variant `never`, expected one of `missing`, `unwritable`, `always`",
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
    let page = refused(&format!("{{ value = \"{}\" }}", "x".repeat(4096)));
    assert!(page.message().contains("the value has 4097 bytes"), "{page}");
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
            "t:1: invalid type: integer `1`, expected a string",
        ),
        (
            toml("[keys]\nkernel.panic = { value = 1 }"),
            "t:2: kernel: the key's parts are separate TOML keys",
        ),
        (
            toml("[keys]\n\"/etc/x\" = { value = 1 }"),
            "t:2: key \"/etc/x\" lies outside /proc",
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
            "t:3: a/b: null is not a value",
        ),
        (
            json("{\"keys\":{\n\"a/b\":{\n\"value\": 1e3}}}"),
            "t:3: a/b: 1e+3 is not a whole number",
        ),
        (
            json("{\"keys\":{\"a/b\":{\"value\": 1,\n\"doc\": null}}}"),
            "t:2: a/b: invalid type: null",
        ),
        (
            json("{\"keys\":{\n\"a/b\":5}}"),
            "t:2: a/b: invalid type: integer `5`, expected a table",
        ),
        (
            json("{\"keys\":\n{\"/sys/x\":{\"value\": 1}}}"),
            "t:2: key \"/sys/x\" lies in /sys",
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

#[test]
fn a_whole_proc_sys_is_no_huge_text() {
    let keys = (0..20_000).map(|n| {
        (
            key(&format!("net/ipv4/conf/eth{n}/forwarding")),
            Entry::literal(n),
        )
    });
    let table: Table = keys.collect();
    assert_eq!(table.len(), 20_000);
    assert_eq!(Table::from_toml(&table.to_toml(), "t").unwrap(), table);
    assert_eq!(Table::from_json(&table.to_json(), "t").unwrap(), table);
}

#[test]
fn keys_and_entries_can_be_picked() {
    let mut table = in_code();
    table.retain(|key, entry| key.below_sys().is_some() && entry.mode == Mode::ReadOnly);
    assert_eq!(table.len(), 5);
    assert!(!table.contains_key(&key("/proc/stat")));
    assert_eq!(table.removals().collect::<Vec<_>>(), [&key("kernel/y")]);
    table.get_mut(&key("kernel/sem")).unwrap().doc = "x".to_owned();
    assert_eq!(table.get(&key("kernel/sem")).unwrap().doc, "x");
    assert!((&table).into_iter().map(|(key, _)| key).is_sorted());
    assert!(table.remove(&key("kernel/sem")).is_some());
    assert!(table.remove(&key("kernel/sem")).is_none());
    assert_eq!(table.into_iter().count(), 4);
}

#[test]
fn a_literal_is_written_without_its_meaningless_fallback() {
    let table: Table = [(key("a/b"), Entry::literal(1).with_fallback(2))]
        .into_iter()
        .collect();
    assert_eq!(table.to_toml(), "[keys]\n\"a/b\" = { value = 1 }\n");
    assert!(Table::from_toml(&table.to_toml(), "t").is_ok());
}

fn keys() -> impl Strategy<Value = SysctlKey> {
    // Few, so that tables share some.
    prop::sample::select(vec![
        "a/b",
        "a/c",
        "net/x.y/z",
        "/proc/stat",
        "/proc/sys/d.e/f",
        "kernel/é\"\\",
    ])
    .prop_map(key)
}

fn values() -> impl Strategy<Value = Value> {
    let text = any::<String>().prop_map(|text| text.replace('\0', "").chars().take(300).collect::<String>());
    let item = prop_oneof![
        any::<i64>().prop_map(Into::into),
        "[^\n\0]{0,9}".prop_map(procemu::Scalar::Text)
    ];
    prop_oneof![
        text.prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::collection::vec(item, 0..4).prop_map(Value::List)
    ]
}

fn entries() -> impl Strategy<Value = Entry> {
    let sourced = prop_oneof![
        prop::sample::select(Probe::ALL.to_vec()).prop_map(Entry::computed),
        Just(Entry::host()),
        Just(Entry::sysctl())
    ];
    let with_fallback = (sourced, prop::option::of(values())).prop_map(|(entry, fallback)| match fallback {
        Some(fallback) => entry.with_fallback(fallback),
        None => entry,
    });
    let when = prop::sample::select(vec![When::Missing, When::Unwritable, When::Always]);
    let mode = prop::sample::select(vec![Mode::ReadOnly, Mode::ReadWrite]);
    let separator = prop::sample::select(vec![Separator::Tab, Separator::Space]);
    let entry = prop_oneof![with_fallback, values().prop_map(Entry::literal)];
    (entry, when, mode, separator, any::<String>()).prop_map(|(entry, when, mode, separator, doc)| {
        entry
            .with_when(when)
            .with_mode(mode)
            .with_separator(separator)
            .with_doc(doc)
    })
}

fn tables() -> impl Strategy<Value = Table> {
    let slots = prop::collection::vec((keys(), prop::option::of(entries())), 0..6);
    (slots, "[a-z]?").prop_map(|(slots, doc)| {
        let mut table = Table::new();
        table.set_doc(doc);
        for (key, entry) in slots {
            match entry {
                Some(entry) => table.insert(key, entry),
                None => table.insert_removal(key),
            };
        }
        table
    })
}

proptest! {
    #[test]
    fn tables_are_read_back_as_they_were_written(table in tables()) {
        prop_assert_eq!(&Table::from_toml(&table.to_toml(), "t").unwrap(), &table);
        prop_assert_eq!(&Table::from_json(&table.to_json(), "t").unwrap(), &table);
        prop_assert_eq!(&serde_json::from_str::<Table>(&table.to_json()).unwrap(), &table);
        // As a member of a bundle's configuration, which numbers go through as text.
        let value: serde_json::Value = serde_json::from_str(&table.to_json()).unwrap();
        prop_assert_eq!(&serde_json::from_value::<Table>(value).unwrap(), &table);
    }

    #[test]
    fn merging_is_associative(a in tables(), b in tables(), c in tables()) {
        let join = |low: &Table, high: &Table| Table::merged([low.clone(), high.clone()]);
        prop_assert_eq!(join(&join(&a, &b), &c), join(&a, &join(&b, &c)));
        prop_assert_eq!(join(&a, &Table::new()), a.clone());
        prop_assert_eq!(join(&Table::new(), &a), a.clone());
        prop_assert_eq!(join(&a, &a), a);
    }

    #[test]
    fn later_tables_win_key_by_key(low in tables(), high in tables()) {
        let mut both = low.clone();
        both.merge(high.clone());
        for key in low.keys().chain(high.keys()).chain(low.removals()).chain(high.removals()) {
            let expected = if high.removals().any(|removed| removed == key) {
                None
            } else {
                high.get(key).or_else(|| low.get(key))
            };
            prop_assert_eq!(both.get(key), expected);
        }
        prop_assert!(both.keys().all(|key| low.contains_key(key) || high.contains_key(key)));
        prop_assert!(both.removals().all(|key| !both.contains_key(key)));
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in "[\\[\\]{}=:,\"'a-k\n. 0-9\\\\]{0,60}") {
        let _ = Table::from_toml(&text, "t");
        let _ = Table::from_json(&text, "t");
    }
}

#[test]
fn literal_sources_tell_their_value() {
    let entry = in_code().get(&key("vm/overcommit_memory")).cloned().unwrap();
    assert_eq!(entry.source, ValueSource::Literal(Value::Integer(1)));
    assert_eq!((entry.mode.bits(), entry.mode.is_writable()), (0o644, true));
}
