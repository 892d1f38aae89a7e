//! What `nsprep` prints as data: captured tables, built-in profiles and the schema can be used as they come.

mod support;

use std::process::ExitCode;

use procemu::{Profile, Table};
use serde_json::Value;
use support::{Bed, Suite, TestResult, equal, need};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.test("cured::capture_and_show", capture_and_show);
    suite.test("cured::capture_json", capture_json);
    suite.test("cured::capture_portable", capture_portable);
    suite.test("cured::full_is_captured", full_is_captured);
    suite.test("cured::full_shown", full_shown);
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

/// What goes elsewhere says nothing of this machine, whatever it is called and has.
fn capture_portable(bed: &Bed) -> TestResult {
    need::root()?;
    let text = r#"ip link add procemu-made0 type bridge
        unshare --uts sh -c 'hostname procemu-made-host; exec "$NSPREP" capture --portable' > t.toml 2> reasons
        boot=$(cat /proc/sys/kernel/random/boot_id)
        if grep -e procemu-made -e "$boot" -e "$(uname --kernel-version)" t.toml; then exit 9; fi
        if grep -e 'mode = ' -e 'when = ' -e '{ value = ' t.toml; then exit 8; fi
        grep -q 'network interface' reasons; grep -q 'as a protection' reasons
        "$NSPREP" plan --table t.toml > /dev/null
        "$NSPREP" capture --portable --without 'kernel/*' --keys 'kernel.pt*' --keys vm.laptop_mode 2> /dev/null"#;
    let one = Table::from_toml(&bed.script(text)?.succeed()?, "one")?;
    let keys: Vec<_> = one.keys().map(ToString::to_string).collect();
    equal("keys", keys, ["vm/laptop_mode"])
}

/// None of the profile's keys that this kernel has is one that the rules leave out.
fn full_is_captured(bed: &Bed) -> TestResult {
    need::root()?;
    let text = r#""$NSPREP" capture 2> /dev/null > all.toml; "$NSPREP" capture --portable 2> /dev/null"#;
    let portable = Table::from_toml(&bed.script(text)?.succeed()?, "portable")?;
    let all = Table::from_toml(&std::fs::read_to_string(bed.path("all.toml"))?, "all")?;
    let full = Profile::get("full")?;
    let picked: Vec<_> = full
        .keys()
        .filter(|key| all.contains_key(key) && !portable.contains_key(key))
        .collect();
    equal(
        "keys against the rules",
        picked,
        Vec::new() as Vec<&procemu::SysctlKey>,
    )?;
    let both = full.keys().filter(|key| portable.contains_key(key)).count();
    equal("has most keys of a usual Linux", both > full.len() / 2, true)
}

/// Where much is missing it is there again, read-only, with the values that the host outside has.
fn full_shown(bed: &Bed) -> TestResult {
    need::root()?;
    let text = r#"keys="vm/dirty_ratio vm/swappiness net/ipv4/tcp_fin_timeout fs/lease-break-time kernel/cap_last_cap"
        (cd /proc/sys; cat $keys) > before
        deprive /proc $keys
        "$NSPREP" exec --profile full -- sh -ec "cd /proc/sys; cat $keys > $BED/after; stat -c %a $keys | sort -u; sysctl -a > $BED/all 2> /dev/null"
        diff before after; grep -x 'vm.dirty_ratio = .*' all | wc -l"#;
    equal(
        "modes and lines",
        bed.script(text)?.succeed()?,
        "444
1",
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
        Profile::names().collect::<Vec<_>>().join(" ")
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
