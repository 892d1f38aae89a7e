//! Tables: what they say in TOML, in JSON and in code, and how they merge.

use procemu::{Entry, Mode, Probe, Separator, SysctlKey, Table, Value, ValueError, ValueSource, When};
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
    assert_eq!(render("x".repeat(65535).into()).map(|text| text.len()), Ok(65536));
    assert_eq!(render("x".repeat(65536).into()), Err(ValueError::TooLong(65537)));
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
    let when = prop::sample::select(vec![When::Missing, When::Unwritable, When::Zero, When::Always]);
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
