//! `nsprep plan`, `attach`, `verify` and `detach`: in this namespace, below a folder, in another process's namespace.

mod support;

use std::process::ExitCode;

use serde_json::Value;
use support::{
    Bed, MADE_UP, MADE_UP_WRITABLE, Suite, TestResult, equal, fail, made_up_table, made_up_values, need,
    print_made_up,
};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.test("cured::here", |bed| {
        everywhere(bed, "true", "", "/proc", "/proc/self/mountinfo")
    });
    suite.test("cured::rootfs", |bed| {
        everywhere(
            bed,
            "mkdir -p r/proc; mount -t proc proc r/proc",
            "--rootfs \"$BED/r\"",
            "$BED/r/proc",
            "/proc/self/mountinfo",
        )
    });
    suite.test("cured::pid", |bed| {
        let other = "unshare --mount sh -c 'touch ready; exec sleep 100' > /dev/null 2>&1 & pid=$!
            trap 'kill $pid' EXIT; wait_for ready";
        everywhere(
            bed,
            other,
            "--pid $pid",
            "/proc/$pid/root/proc",
            "/proc/$pid/mountinfo",
        )
    });
    suite.test("cured::pid_stays_there", pid_stays_there);
    suite.test("cured::shared_proc", shared_proc);
    suite.test("cured::verify_finds", verify_finds);
    suite.test("cured::replace_stuck", replace_stuck);
    suite.test("cured::proc_files", proc_files);
    suite.test("cured::plan", plan);
    suite.test("cured::interfaces_keep_their_keys", interfaces_keep_their_keys);
    suite.test("cured::nothing_lacking", nothing_lacking);
    suite.run()
}

/// Attached, verified, read and taken off again, in the place that `option` means and whose procfs is at `proc`, whose mount table is `mounts`.
fn everywhere(bed: &Bed, prepare: &str, option: &str, proc: &str, mounts: &str) -> TestResult {
    need::root()?;
    let read = print_made_up().replace("/proc/sys", &format!("{proc}/sys"));
    let text = format!(
        "{prepare}\n\
         cat {mounts} > before\n\
         status=0; \"$NSPREP\" verify --table \"$TABLE\" {option} > found || status=$?; test $status = 1\n\
         for key in {keys}; do grep -q \"$key\" found || echo \"verify does not name $key\"; done\n\
         \"$NSPREP\" attach --table \"$TABLE\" {option} > /dev/null\n\
         {read}\
         \"$NSPREP\" verify --table \"$TABLE\" {option} > /dev/null\n\
         \"$NSPREP\" detach {option} > /dev/null\n\
         diff before {mounts}\n\
         test ! -e {proc}/sys/kernel/made_up_key",
        keys = MADE_UP.map(|(key, _, _)| key).join(" "),
    );
    let output = bed.script(&text)?.env("TABLE", made_up_table(bed)?).succeed()?;
    equal("values", output, made_up_values())
}

fn pid_stays_there(bed: &Bed) -> TestResult {
    need::root()?;
    let text = r#"cat /proc/self/mountinfo > before
        unshare --mount sh -c 'touch ready; exec sleep 100' > /dev/null 2>&1 & pid=$!
        trap 'kill $pid' EXIT; wait_for ready
        "$NSPREP" attach --table "$TABLE" --pid $pid > /dev/null
        nsenter --target $pid --mount cat /proc/sys/kernel/made_up_key
        diff before /proc/self/mountinfo; test ! -e /proc/sys/kernel/made_up_key"#;
    equal(
        "value",
        bed.script(text)?.env("TABLE", made_up_table(bed)?).succeed()?,
        "7",
    )
}

/// Where /proc is in a peer group, what is attached does not reach the others of it.
fn shared_proc(bed: &Bed) -> TestResult {
    need::root()?;
    let text = r#"mount --make-rshared /proc
        unshare --mount --propagation unchanged sh -c 'touch ready; exec sleep 100' > /dev/null 2>&1 & peer=$!
        trap 'kill $peer' EXIT; wait_for ready
        nsenter --target $peer --mount cat /proc/self/mountinfo > before
        "$NSPREP" attach --table "$TABLE" > /dev/null; cat /proc/sys/kernel/made_up_key
        nsenter --target $peer --mount cat /proc/self/mountinfo | diff before -"#;
    equal(
        "value",
        bed.script(text)?.env("TABLE", made_up_table(bed)?).succeed()?,
        "7",
    )
}

/// A changed value, a key that is gone and one that takes writes but should not: each is found and named.
fn verify_finds(bed: &Bed) -> TestResult {
    need::root()?;
    let text = format!(
        r#""$NSPREP" attach --table "$TABLE" > /dev/null
        echo 99 > /proc/sys/{MADE_UP_WRITABLE}
        status=0; "$NSPREP" verify --json --table "$TABLE" || status=$?; test $status = 1
        echo 1 > /proc/sys/{MADE_UP_WRITABLE}
        "$NSPREP" verify --table "$TABLE" > /dev/null"#
    );
    let output = bed.script(&text)?.env("TABLE", made_up_table(bed)?).succeed()?;
    let checks: Vec<Value> = serde_json::from_str(&output)?;
    let named = |key: &str| {
        checks
            .iter()
            .any(|check| check["key"] == key && !check["problem"].is_null())
    };
    equal("names the changed key", named(MADE_UP_WRITABLE), true)?;
    equal("names another", named("kernel/made_up_key"), false)
}

/// `when = "always"` and `when = "unwritable"`: one file is replaced, the folder stays the kernel's.
fn replace_stuck(bed: &Bed) -> TestResult {
    need::root()?;
    let table = bed.table(
        "t.toml",
        &[
            ("vm/max_map_count", r#"{ value = 7, when = "always" }"#),
            (
                "vm/overcommit_memory",
                r#"{ value = 1, mode = "0644", when = "unwritable" }"#,
            ),
            ("kernel/ostype", r#"{ value = "Other" }"#),
        ],
    )?;
    let text = r#"read_only_proc_sys
        "$NSPREP" attach --table "$TABLE" > /dev/null
        for key in vm/max_map_count vm/overcommit_memory kernel/ostype; do echo $(cat /proc/sys/$key); done
        echo 2 > /proc/sys/vm/overcommit_memory; cat /proc/sys/vm/overcommit_memory
        stat -f -c %T /proc/sys/vm
        { true >> /proc/sys/vm/dirty_ratio; } 2> /dev/null && echo "dirty_ratio became writable"
        { true >> /proc/sys/vm/max_map_count; } 2> /dev/null && echo "max_map_count became writable"
        true"#;
    equal(
        "values",
        bed.script(text)?.env("TABLE", table).succeed()?,
        "7\n1\nLinux\n2\nproc",
    )
}

/// Files of /proc outside /proc/sys.
fn proc_files(bed: &Bed) -> TestResult {
    need::root()?;
    let table = bed.table(
        "t.toml",
        &[
            (
                "/proc/version",
                r#"{ value = "Other version 1", when = "always" }"#,
            ),
            ("/proc/fs/made_up", "{ value = 7 }"),
        ],
    )?;
    let text = r#"ls /proc/fs > before; cat /proc/self/mountinfo > mounts
        "$NSPREP" attach --table "$TABLE" > /dev/null
        cat /proc/version /proc/fs/made_up; ls /proc/fs | diff before - | grep '^[<>]'
        "$NSPREP" detach > /dev/null; diff mounts /proc/self/mountinfo; ls /proc/fs | diff before -"#;
    let output = bed.script(text)?.env("TABLE", table).succeed()?;
    equal("values and difference", output, "Other version 1\n7\n> made_up")
}

fn plan(bed: &Bed) -> TestResult {
    need::root()?;
    let text = r#"cat /proc/self/mountinfo > before
        "$NSPREP" plan --json --table "$TABLE"; "$NSPREP" plan --table "$TABLE" > text
        for folder in kernel net fs; do grep -q "$folder" text || echo "the plan does not name $folder"; done
        diff before /proc/self/mountinfo"#;
    let output = bed.script(text)?.env("TABLE", made_up_table(bed)?).succeed()?;
    let plan: Value = serde_json::from_str(&output)?;
    if plan.is_null() { fail(output) } else { Ok(()) }
}

/// Where nothing is missing, nothing is mounted.
fn nothing_lacking(bed: &Bed) -> TestResult {
    need::root()?;
    let table = bed.table("t.toml", &[("kernel/ostype", r#"{ value = "Other" }"#)])?;
    let text = r#"cat /proc/self/mountinfo > before
        "$NSPREP" attach --table "$TABLE" > /dev/null
        diff before /proc/self/mountinfo; cat /proc/sys/kernel/ostype"#;
    equal("value", bed.script(text)?.env("TABLE", table).succeed()?, "Linux")
}

/// Looking whether a key of all interfaces takes its own value would copy that to each of them.
fn interfaces_keep_their_keys(bed: &Bed) -> TestResult {
    need::root()?;
    let entry = r#"{ value = 0, mode = "0644", when = "unwritable" }"#;
    let keys = ["disable_ipv6", "forwarding"];
    let paths = keys.map(|key| format!("net/ipv6/conf/all/{key}"));
    let table = bed.table("t.toml", &paths.each_ref().map(|path| (path.as_str(), entry)))?;
    let text = r#"cat > inner <<'END'
        cd /proc/sys/net/ipv6/conf/lo; echo 1 > disable_ipv6; echo 1 > forwarding
        "$NSPREP" plan --table "$TABLE" > /dev/null; "$NSPREP" exec --table "$TABLE" -- true
        cat disable_ipv6 forwarding
END
        test -e /proc/sys/net/ipv6 || { printf '1\n1\n'; exit; }
        unshare --net sh inner"#;
    equal(
        "values of lo",
        bed.script(text)?.env("TABLE", table).succeed()?,
        "1\n1",
    )
}
