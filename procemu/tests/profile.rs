//! The built-in profiles, and the pages published about tables.

use std::path::{Path, PathBuf};

use procemu::{
    Entry, Filesystem, Mode, Preset, Probe, Profile, SysctlKey, Table, ValueSource, When, json_schema,
};

fn docs(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(file)
}

#[test]
fn every_profile_is_a_table_with_a_reason_for_each_key() {
    for profile in Profile::ALL {
        let table =
            Table::from_toml(profile.toml(), profile.name()).unwrap_or_else(|error| panic!("{error}"));
        assert!(!table.is_empty() && !table.doc().is_empty(), "{}", profile.name());
        assert_eq!(table, profile.table());
        for (key, entry) in &table {
            let place = format!("{}: {key}", profile.name());
            assert!(entry.doc.len() > 10 && !entry.doc.contains('\n'), "{place}");
            // A key in /sys that exists may be an order to a device; nobody else has to take it.
            if key.filesystem() == Filesystem::Proc {
                assert_eq!(
                    entry.mode == Mode::ReadWrite,
                    entry.when == When::Unwritable,
                    "{place}"
                );
            } else {
                assert_eq!(entry.when, When::Missing, "{place}");
            }
            // What cannot be asked for has to have something to say instead.
            assert!(
                entry.source != ValueSource::Host || entry.fallback.is_some(),
                "{place}"
            );
            let text = entry
                .resolve(key, None)
                .unwrap_or_else(|error| panic!("{place}: {error}"));
            assert!(text.ends_with('\n') && text.len() > 1, "{place}: {text:?}");
            if entry.fallback.is_some() {
                assert!(
                    entry.doc.contains("fallback: ") || entry.doc.contains("fallback "),
                    "{place} says whose fallback"
                );
            }
        }
    }
}

#[test]
fn profile_names_are_listed_where_one_is_wrong() {
    let names: Vec<_> = Profile::names().collect();
    assert!(names.is_sorted());
    assert_eq!(
        names,
        [
            "bubblewrap",
            "chromium",
            "cni",
            "container",
            "crun",
            "dockerd",
            "full",
            "go",
            "gvisor",
            "kube-proxy",
            "kubelet",
            "podman",
            "redis",
            "runc",
            "sysctl",
            "systemd"
        ]
    );
    let error = Profile::get("kublet").unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no profile \"kublet\"; the profiles are bubblewrap, chromium, cni, container, crun, dockerd, full, go, gvisor, kube-proxy, kubelet, podman, redis, runc, sysctl, systemd"
    );
}

#[test]
fn every_preset_has_the_profile_of_its_name() {
    for preset in Preset::ALL {
        assert_eq!(preset.table(), Profile::get(preset.name()).unwrap());
    }
    let error = Preset::find("gvizor").unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no preset \"gvizor\"; the presets are gvisor"
    );
}

/// Profiles are combined: the later one's entry must not say something else of the same key. The kubelet's are values that it writes.
#[test]
fn a_key_has_the_same_value_in_every_profile() {
    let others = || Profile::ALL.iter().filter(|profile| profile.name() != "kubelet");
    for profile in others() {
        for (key, entry) in &profile.table() {
            for other in others() {
                // What is asked of the kernel in the same way may be another the next moment.
                let same = |found: &&Entry| found.source == entry.source && found.fallback == entry.fallback;
                if let Some(found) = other.table().get(key).filter(|found| !same(found)) {
                    let place = format!("{key}: {} and {}", profile.name(), other.name());
                    assert_eq!(entry.resolve(key, None), found.resolve(key, None), "{place}");
                }
            }
        }
    }
}

/// It describes a machine that is not there: it takes no writes, stands in for nothing, and what the host has is the host's.
#[test]
fn the_profile_full_claims_nothing() {
    let known = Profile::get("container").unwrap();
    let full = Profile::get("full").unwrap();
    for (key, entry) in &full {
        assert_eq!((entry.mode, entry.when), (Mode::ReadOnly, When::Missing), "{key}");
        assert!(
            entry.source == ValueSource::Host || known.get(key) == Some(entry),
            "{key}: {:?}",
            entry.source
        );
    }
    let folders: std::collections::BTreeSet<_> = full
        .keys()
        .filter_map(|key| key.below_sys()?.split('/').next())
        .collect();
    assert_eq!(
        folders.into_iter().collect::<Vec<_>>(),
        ["fs", "kernel", "net", "user", "vm"]
    );
}

#[test]
fn the_kubelet_profile_has_the_values_it_compares_with() {
    let table = Profile::get("kubelet").unwrap();
    for (text, value) in [
        ("vm/overcommit_memory", "1\n"),
        ("vm/panic_on_oom", "0\n"),
        ("kernel/panic", "10\n"),
        ("kernel/panic_on_oops", "1\n"),
        ("kernel/keys/root_maxkeys", "1000000\n"),
        ("kernel/keys/root_maxbytes", "25000000\n"),
    ] {
        let key: SysctlKey = text.parse().unwrap();
        let entry = table.get(&key).unwrap();
        assert_eq!(
            (entry.mode, entry.when),
            (Mode::ReadWrite, When::Unwritable),
            "{text}"
        );
        assert_eq!(entry.resolve(&key, None).unwrap(), value, "{text}");
    }
}

#[test]
fn the_published_schema_is_the_one_in_the_code() {
    let published = std::fs::read_to_string(docs("table.schema.json")).unwrap();
    let expected = serde_json::to_string_pretty(&json_schema()).unwrap() + "\n";
    assert_eq!(
        published, expected,
        "write `nsprep schema` to docs/table.schema.json"
    );
}

/// There is no engine for its expressions here; this holds what they are made of to what reading refuses.
#[test]
fn the_schema_refuses_what_reading_refuses() {
    let schema = json_schema();
    let entry = &schema["$defs"]["Entry"];
    assert_eq!(
        entry["oneOf"][0]["not"]["required"],
        serde_json::json!(["fallback"])
    );
    assert!(Table::from_toml("[keys]\nx = { value = 1, fallback = 2 }\n", "t").is_err());
    let pattern = schema["$defs"]["SysctlKey"]["pattern"].as_str().unwrap();
    for (part, refused) in [
        ("/sys/", "/system/x"),
        ("self", "/proc/self/status"),
        ("[0-9]+", "/proc/1/status"),
        (r"(?!\.{1,2}(/|$))", "kernel/../x"),
        (r"(?!//?(\.|$))", "kernel.//.x"),
        (r"\s\x00-\x1f", "kernel/a\0"),
        ("{1,255}", "kernel//x"),
    ] {
        assert!(pattern.contains(part), "{part} is not in {pattern}");
        assert!(refused.parse::<SysctlKey>().is_err(), "{refused:?}");
    }
}

#[test]
fn the_pages_name_every_probe_profile_and_field() {
    let page = std::fs::read_to_string(docs("tables.md")).unwrap();
    let page = page + &std::fs::read_to_string(docs("profiles.md")).unwrap();
    let fields = json_schema()["$defs"]["Entry"]["properties"]
        .as_object()
        .unwrap()
        .clone();
    let names = Probe::ALL
        .iter()
        .map(ToString::to_string)
        .chain(Profile::names().map(str::to_owned));
    for name in names.chain(fields.into_iter().map(|(name, _)| name)) {
        assert!(
            page.contains(&format!("| `{name}` |")),
            "docs/tables.md and docs/profiles.md have no row for {name}"
        );
    }
}
