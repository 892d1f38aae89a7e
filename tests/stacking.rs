//! One preparation on another: their keys add up, and each goes by itself.

mod support;

use std::path::Path;
use std::process::ExitCode;

use support::{Bed, Bundle, RUNTIMES, Runtime, Suite, TestResult, equal, need};

const INNER: [(&str, &str); 3] = [
    ("kernel/second", "{ value = 2 }"),
    ("net/ipv4/second", "{ value = 2 }"),
    ("kernel/random/second", "{ value = 2 }"),
];
const OUTER: [(&str, &str); 3] = [
    ("kernel/first", "{ value = 1 }"),
    ("net/ipv4/first", "{ value = 1 }"),
    ("net/made/first", "{ value = 1 }"),
];

const READ: &str = "cd /proc/sys; cat kernel/first net/ipv4/first net/made/first kernel/second net/ipv4/second \
    kernel/random/second; wc -c < kernel/random/boot_id; cat kernel/keys/maxkeys; ls net/ipv4/conf | head -n 2; \
    echo $(cat kernel/ostype)";

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.test("cured::exec_in_exec", exec_in_exec);
    suite.test("cured::exec_in_exec::namespaces", exec_in_exec_namespaces);
    suite.test("cured::attach_twice", attach_twice);
    suite.test("cured::same_table_twice", same_table_twice);
    suite.test("cured::attach_over_foreign", attach_over_foreign);
    for runtime in RUNTIMES {
        suite.test(
            format!("cured::container_in_exec::{}", runtime.name),
            move |bed| container_in_exec(bed, runtime),
        );
    }
    suite.test("cured::detach_below_another", detach_below_another);
    suite.run()
}

/// What `READ` has to print here.
fn union() -> TestResult<String> {
    let keys = std::fs::read_to_string("/proc/sys/kernel/keys/maxkeys")?;
    let interfaces = if Path::new("/proc/sys/net/ipv4/conf").exists() {
        "all\ndefault\n"
    } else {
        ""
    };
    Ok(format!("1\n1\n1\n2\n2\n2\n37\n{keys}{interfaces}Linux"))
}

fn exec_in_exec(bed: &Bed) -> TestResult {
    nested(bed, READ, &union()?)
}

/// Children in new namespaces reach their own keys through both.
fn exec_in_exec_namespaces(bed: &Bed) -> TestResult {
    let program = r#"exec unshare --net --ipc sh -c "
        echo 77 > /proc/sys/net/ipv4/ip_default_ttl; echo 4321 > /proc/sys/kernel/shmmni
        cat /proc/sys/net/ipv4/ip_default_ttl /proc/sys/kernel/shmmni /proc/sys/net/ipv4/first /proc/sys/net/ipv4/second""#;
    nested(bed, program, "77\n4321\n1\n2")
}

fn nested(bed: &Bed, program: &str, prints: &str) -> TestResult {
    need::root()?;
    let text =
        format!(r#""$NSPREP" exec --table "$OUTER" -- "$NSPREP" exec --table "$INNER" -- sh -c '{program}'"#);
    let script = bed.script(&text)?;
    let script = script
        .env("OUTER", bed.table("outer.toml", &OUTER)?)
        .env("INNER", bed.table("inner.toml", &INNER)?);
    equal("read", script.succeed()?, prints)
}

fn container_in_exec(bed: &Bed, runtime: Runtime) -> TestResult {
    Bundle::new(
        bed,
        "b",
        &READ.replace("kernel/first net/ipv4/first net/made/first", ""),
    )?
    .write()?;
    let config = bed.config(&bed.table("inner.toml", &INNER)?)?;
    let text = format!(
        "{}\nexport BED RUNTIME BRIDGE CONFIG ID\n\
         \"$NSPREP\" exec --table \"$OUTER\" -- bash -c '. ./lib.sh; cat /proc/sys/kernel/first; run wrapped b'",
        "declare -f > lib.sh"
    );
    let script = bed
        .runtime_script(&runtime, &text)?
        .env("CONFIG", config)
        .env("OUTER", bed.table("outer.toml", &OUTER)?);
    // The container mounts a procfs of its own: the outer keys are the program's, the table's are the container's.
    let expected = union()?.replacen("1\n1\n1\n", "1\n", 1);
    equal("outer key, then the container", script.succeed()?, expected)
}

/// Each detach takes off the latest attach, whole, and nothing else.
fn attach_twice(bed: &Bed) -> TestResult {
    need::root()?;
    let text = format!(
        r#"cat /proc/self/mountinfo > bare; find -L /proc/sys -type f | sort > bare.keys
        "$NSPREP" attach --table "$OUTER" > /dev/null
        cat /proc/self/mountinfo > once
        "$NSPREP" attach --table "$INNER" > /dev/null
        ({READ})
        "$NSPREP" verify --table "$OUTER" > /dev/null; "$NSPREP" verify --table "$INNER" > /dev/null
        "$NSPREP" detach > /dev/null
        diff once /proc/self/mountinfo
        cat /proc/sys/kernel/first; test ! -e /proc/sys/kernel/second; test ! -e /proc/sys/kernel/random/second
        "$NSPREP" detach > /dev/null
        find -L /proc/sys -type f | sort | diff bare.keys -
        diff bare /proc/self/mountinfo"#
    );
    let script = bed.script(&text)?;
    let script = script
        .env("OUTER", bed.table("outer.toml", &OUTER)?)
        .env("INNER", bed.table("inner.toml", &INNER)?);
    equal(
        "union, then the first alone",
        script.succeed()?,
        format!("{}\n1", union()?),
    )
}

/// The same table attached twice: nothing the second time, but for what it has in every case, which is as the table has it again.
fn same_table_twice(bed: &Bed) -> TestResult {
    need::root()?;
    let always = (
        "vm/swappiness",
        r#"{ value = 7, mode = "0644", when = "always" }"#,
    );
    let keys: Vec<_> = OUTER.into_iter().chain([always]).collect();
    let text = r#""$NSPREP" attach --table "$OUTER" > /dev/null; "$NSPREP" attach --table "$OUTER"; "$NSPREP" detach > /dev/null
        "$NSPREP" attach --table "$ALWAYS" > /dev/null; test "$(cat /proc/sys/vm/swappiness)" = 7; echo 8 > /proc/sys/vm/swappiness; "$NSPREP" attach --table "$ALWAYS"
        cat /proc/sys/vm/swappiness; "$NSPREP" detach; cat /proc/sys/vm/swappiness"#;
    let script = bed.script(text)?;
    let script = script
        .env("OUTER", bed.table("outer.toml", &OUTER)?)
        .env("ALWAYS", bed.table("always.toml", &keys)?);
    let expected = "nothing attached: no key of the table is lacking
procemu:2: attached vm/swappiness
7
procemu:2: detached
8";
    equal("said", script.succeed()?.as_str(), expected)
}

/// Somebody else's overmount below ours is passed through, and stays when ours goes.
fn attach_over_foreign(bed: &Bed) -> TestResult {
    need::root()?;
    let text = r#"deprive /proc kernel/cap_last_cap vm/overcommit_memory
        cat /proc/self/mountinfo > before
        "$NSPREP" attach --profile runc --table "$INNER" > /dev/null
        cat /proc/sys/kernel/cap_last_cap /proc/sys/kernel/second /proc/sys/kernel/random/boot_id /proc/sys/vm/max_map_count
        "$NSPREP" detach > /dev/null
        diff before /proc/self/mountinfo; test ! -e /proc/sys/kernel/cap_last_cap"#;
    let value = |key: &str| std::fs::read_to_string(format!("/proc/sys/{key}"));
    let (cap, boot, maps) = (
        value("kernel/cap_last_cap")?,
        value("kernel/random/boot_id")?,
        value("vm/max_map_count")?,
    );
    let script = bed.script(text)?.env("INNER", bed.table("inner.toml", &INNER)?);
    equal(
        "union with the foreign overmount",
        script.succeed()?,
        format!("{cap}2\n{boot}{maps}").trim_end(),
    )
}

/// A layer goes only after those that were attached to what it passes through.
fn detach_below_another(bed: &Bed) -> TestResult {
    need::root()?;
    let outer = bed.table("outer.toml", &[("kernel/made_up_key", "{ value = 7 }")])?;
    let inner = bed.table("inner.toml", &[("kernel/keys/made_up", "{ value = 8 }")])?;
    let text = r#"cat /proc/self/mountinfo > before
        "$NSPREP" attach --table "$OUTER" > /dev/null; "$NSPREP" attach --table "$INNER" > /dev/null
        cat /proc/self/mountinfo > both
        status=0; "$NSPREP" detach procemu:1 2> said || status=$?; test $status != 0; grep -c procemu:2 said
        diff both /proc/self/mountinfo; cat /proc/sys/kernel/keys/made_up
        "$NSPREP" detach --all > /dev/null; diff before /proc/self/mountinfo"#;
    let script = bed.script(text)?.env("OUTER", outer).env("INNER", inner);
    equal("said and value", script.succeed()?, "1\n8")
}
