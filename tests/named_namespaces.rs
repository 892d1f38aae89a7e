//! `exec --ns` and `--join`: several programs in one prepared mount namespace, as a kubelet and its containerd need it.

mod support;

use std::process::ExitCode;

use support::{Bed, Propagation, Script, Suite, TestResult, equal, made_up_table, need};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.test("cured::shared", |bed| {
        need::root()?;
        shared(bed, |text| bed.script(text))
    });
    suite.test("cured::shared::in_gvisor", |bed| {
        shared(bed, |text| bed.sandbox(support::GVISOR, text))
    });
    suite.test("cured::on_a_shared_tree", on_a_shared_tree);
    suite.test("cured::first_calls_at_once", first_calls_at_once);
    suite.test("cured::join", join);
    suite.test("list_and_remove", list_and_remove);
    suite.test("refused::no_cap_sys_admin", no_cap_sys_admin);
    suite.test("nothing_left_by_a_failure", nothing_left_by_a_failure);
    for (name, before, call, code, words) in REFUSED {
        suite.test(format!("refused::{name}"), move |bed| {
            refused(bed, before, call, *code, words)
        });
    }
    suite.run()
}

/// Name, what is done before, the call, its exit code, and what it has to say.
type Refused = (
    &'static str,
    &'static str,
    &'static str,
    i32,
    &'static [&'static str],
);

const REFUSED: &[Refused] = &[
    (
        "stale",
        "mkdir -p state/ns; : > state/ns/one",
        r#"exec --state-dir "$BED/state" --ns one --table "$TABLE" -- touch ran"#,
        125,
        &["ns one", "stale", "nsprep ns remove one"],
    ),
    (
        "another_kind_of_namespace",
        "mkdir -p state/ns; : > state/ns/one; mount --bind /proc/self/ns/net state/ns/one",
        r#"exec --state-dir "$BED/state" --ns one --table "$TABLE" -- touch ran"#,
        125,
        &["ns one", "not a mount namespace"],
    ),
    (
        "symlink",
        "mkdir -p state/ns; ln -s /proc/self/ns/mnt state/ns/one",
        r#"exec --state-dir "$BED/state" --ns one --table "$TABLE" -- touch ran"#,
        125,
        &["ns one", "symbolic links"],
    ),
    (
        "folder_of_others",
        "mkdir -p state/ns; chmod 777 state/ns",
        r#"exec --state-dir "$BED/state" --ns one --table "$TABLE" -- touch ran"#,
        125,
        &["state/ns", "nobody else"],
    ),
    (
        "name",
        "true",
        r#"exec --ns ../one --table "$TABLE" -- touch ran 2>&1 | head -n 1 >&2; exit 125"#,
        125,
        &["../one", "a-z"],
    ),
    (
        "relative_folder",
        "true",
        r#"exec --state-dir state --ns one --table "$TABLE" -- touch ran"#,
        125,
        &["--state-dir state", "absolute"],
    ),
    (
        "remove_none",
        "true",
        r#"ns remove one --state-dir "$BED/state""#,
        2,
        &["ns one", "none of that name"],
    ),
    (
        "join_nobody",
        "true",
        r#"exec --join 999999999 --table "$TABLE" -- touch ran"#,
        125,
        &["/proc/999999999/ns/mnt"],
    ),
];

/// The first call makes the namespace, later ones join it, also when its programs have ended. What one mounts the others
/// see; what the second lacks is added; outside there is nothing of it.
fn shared(bed: &Bed, script: impl FnOnce(&str) -> TestResult<Script>) -> TestResult {
    let later = bed.table("later.toml", &[("kernel/later", "{ value = 9 }")])?;
    let text = r#"mkdir volume state; grep -v state/ns /proc/self/mountinfo > before
        in_ns() { "$NSPREP" exec --state-dir "$BED/state" --ns one "$@"; }
        in_ns --table "$TABLE" -- sh -c 'readlink /proc/self/ns/mnt > first; mount -t tmpfs volume volume; echo hello > volume/file'
        in_ns --table "$LATER" -- sh -c 'readlink /proc/self/ns/mnt > second; cat volume/file; cd /proc/sys/kernel; cat made_up_key later'
        cmp first second; ! readlink /proc/self/ns/mnt | cmp -s - first
        grep -v state/ns /proc/self/mountinfo | diff before -
        "$NSPREP" ns remove one --state-dir "$BED/state""#;
    let script = script(text)?
        .env("TABLE", made_up_table(bed)?)
        .env("LATER", later);
    equal("said", script.succeed()?, "hello\n7\n9")
}

/// Where the state folder lies on a shared mount, a pin would reach the namespace that it pins.
fn on_a_shared_tree(bed: &Bed) -> TestResult {
    need::root()?;
    let text = r#"in_ns() { "$NSPREP" exec --state-dir "$BED/state" --ns "$1" --table "$TABLE" -- cat /proc/sys/kernel/made_up_key; }
        in_ns one; in_ns two; in_ns one
        "$NSPREP" ns remove one --state-dir "$BED/state"; "$NSPREP" ns remove two --state-dir "$BED/state""#;
    let script = bed
        .script(text)?
        .propagation(Propagation::Shared)
        .env("TABLE", made_up_table(bed)?);
    equal("said", script.succeed()?, "7\n7\n7")
}

fn first_calls_at_once(bed: &Bed) -> TestResult {
    need::root()?;
    let text = r#"for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
            "$NSPREP" exec --state-dir "$BED/state" --ns one --table "$TABLE" -- readlink /proc/self/ns/mnt > "got.$i" &
        done; wait
        cat got.* | wc -l; cat got.* | sort -u | wc -l
        "$NSPREP" exec --state-dir "$BED/state" --ns one --table "$TABLE" -- grep -o '/procemu:[0-9]*/sys/kernel ' /proc/self/mountinfo
        "$NSPREP" ns remove one --state-dir "$BED/state""#;
    let script = bed.script(text)?.env("TABLE", made_up_table(bed)?);
    equal("said", script.succeed()?, "12\n1\n/procemu:1/sys/kernel ")
}

fn join(bed: &Bed) -> TestResult {
    need::root()?;
    let text = r#""$NSPREP" exec --table "$TABLE" -- sh -c 'touch ready; sleep 100 > /dev/null 2>&1' & pid=$!; trap 'kill $pid; pkill -P $pid || true' EXIT
        wait_for ready; mkdir here; cd here
        "$NSPREP" exec --join "$pid" --table "$TABLE" -- sh -c 'pwd; cat /proc/sys/kernel/made_up_key; readlink /proc/self/ns/mnt' > got
        readlink /proc/$pid/ns/mnt > theirs; { echo "$PWD"; echo 7; cat theirs; } | diff - got"#;
    let script = bed.script(text)?.env("TABLE", made_up_table(bed)?);
    equal("said", script.succeed()?, "")
}

/// A name taken away is free again, and the programs in the namespace go on; the last one takes the folder with it.
fn list_and_remove(bed: &Bed) -> TestResult {
    need::root()?;
    let text = r#"ns() { "$NSPREP" ns "$@" --state-dir "$BED/state"; }
        in_ns() { local name=$1; shift; "$NSPREP" exec --state-dir "$BED/state" --ns "$name" --table "$TABLE" -- "$@"; }
        cat /proc/self/mountinfo > before
        ns list; in_ns two true; in_ns one readlink /proc/self/ns/mnt > one; : > state/ns/old
        { echo old stale; echo "one $(cat one)"; echo "two mnt:[]"; } > expected
        ns list | sed '/^two/s/[0-9]//g' | diff expected -
        ns remove old; ns list --json | grep -c '"mnt": [0-9]'
        mkdir mark; in_ns one sh -c 'mount -t tmpfs mark mark; touch mark/old ready; while [ ! -e removed ]; do sleep 0.02; done; cat /proc/sys/kernel/made_up_key' & 
        wait_for ready; ns remove one; touch removed; wait $!
        in_ns one test ! -e mark/old
        ns remove one; ns remove two; ns list; ls -A state; diff before /proc/self/mountinfo"#;
    let script = bed.script(text)?.env("TABLE", made_up_table(bed)?);
    equal("said", script.succeed()?, "2\n7")
}

/// A pin is a mount where the caller is; a user namespace does not help.
fn no_cap_sys_admin(bed: &Bed) -> TestResult {
    need::root()?;
    let text = r#"status=0; setpriv --bounding-set=-sys_admin --inh-caps=-all \
            "$NSPREP" exec --state-dir "$BED/state" --ns one --table "$TABLE" -- touch ran || status=$?
        test ! -e ran; ls -A state; exit $status"#;
    let output = bed.script(text)?.env("TABLE", made_up_table(bed)?).run()?;
    equal("left", output.stdout.as_str(), "")?;
    output.refuses(125, &["ns one", "CAP_SYS_ADMIN"])
}

/// Where the keys cannot be attached, the name is free again.
fn nothing_left_by_a_failure(bed: &Bed) -> TestResult {
    need::root()?;
    need::command("strace")?;
    let text = r#"cat /proc/self/mountinfo > before; status=0
        strace -o trace --inject=fsmount:error=ENOMEM \
            "$NSPREP" exec --state-dir "$BED/state" --ns one --table "$TABLE" -- touch ran || status=$?
        test ! -e ran; ls -A state; diff before /proc/self/mountinfo; exit $status"#;
    let output = bed.script(text)?.env("TABLE", made_up_table(bed)?).run()?;
    equal("left", output.stdout.as_str(), "")?;
    output.refuses(125, &["attach", "cannot allocate memory"])
}

fn refused(bed: &Bed, before: &str, call: &str, code: i32, words: &[&str]) -> TestResult {
    need::root()?;
    let text = format!(
        "{before}; cat /proc/self/mountinfo > before\nstatus=0; (\"$NSPREP\" {call}) || status=$?
        diff before /proc/self/mountinfo; test ! -e ran; exit $status"
    );
    let output = bed.script(&text)?.env("TABLE", made_up_table(bed)?).run()?;
    output.refuses(code, words)
}
