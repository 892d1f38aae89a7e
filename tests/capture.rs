//! What `nsprep` prints as data: captured tables, built-in profiles and the schema can be used as they come.

mod support;

use std::process::ExitCode;

use serde_json::Value;
use support::{Bed, Suite, TestResult, equal, need};

const PROFILES: [&str; 7] = [
    "runc",
    "crun",
    "kubelet",
    "kube-proxy",
    "dockerd",
    "podman",
    "container",
];

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.test("cured::capture_and_show", capture_and_show);
    suite.test("cured::capture_json", capture_json);
    suite.test("cured::profiles", profiles);
    suite.test("cured::schema", schema);
    suite.run()
}

/// One machine's keys, shown where they are missing.
fn capture_and_show(bed: &Bed) -> TestResult {
    need::root()?;
    let text = r#""$NSPREP" capture --keys 'kernel/cap_last_cap' --keys 'vm/dirty_*' > t.toml
        cat /proc/sys/kernel/cap_last_cap /proc/sys/vm/dirty_ratio > before
        deprive /proc kernel/cap_last_cap vm/dirty_ratio
        "$NSPREP" exec --table t.toml -- cat /proc/sys/kernel/cap_last_cap /proc/sys/vm/dirty_ratio | diff before -
        grep -c '^"' t.toml > /dev/null; ! grep swappiness t.toml"#;
    equal("difference", bed.script(text)?.succeed()?, "")
}

fn capture_json(bed: &Bed) -> TestResult {
    need::root()?;
    let text = r#""$NSPREP" capture --json --keys 'kernel/os*' | tee t.json; "$NSPREP" plan --table t.json > /dev/null"#;
    let table: Value = serde_json::from_str(&bed.script(text)?.succeed()?)?;
    equal(
        "ostype",
        table["keys"]["kernel/ostype"]["value"].as_str(),
        Some("Linux"),
    )
}

/// Each built-in profile is named, printed, and accepted as a table.
fn profiles(bed: &Bed) -> TestResult {
    need::root()?;
    let text = format!(
        r#""$NSPREP" profiles > list
        for name in {}; do
            grep -q "$name" list || echo "$name is not listed"
            "$NSPREP" profiles "$name" > "$name.toml"
            "$NSPREP" plan --table "$name.toml" > /dev/null
        done"#,
        PROFILES.join(" ")
    );
    equal("faults", bed.script(&text)?.succeed()?, "")
}

fn schema(bed: &Bed) -> TestResult {
    need::root()?;
    let schema: Value = serde_json::from_str(&bed.script(r#""$NSPREP" schema"#)?.succeed()?)?;
    equal(
        "describes an object with keys",
        schema["properties"]["keys"].is_object(),
        true,
    )
}
