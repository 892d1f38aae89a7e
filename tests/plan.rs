//! `nsprep plan` as a tree, and `--diff`: what a reader sees now against what it would see.

mod support;

use std::collections::BTreeMap;
use std::process::ExitCode;

use serde_json::Value;
use support::{
    Bed, Block, MADE_UP_WRITABLE, Suite, TestResult, blocks_print, equal, fail, made_up_table, need,
    same_lines, section, typed_blocks,
};

/// A table that adds, replaces and keeps.
const KEYS: [(&str, &str); 5] = [
    ("kernel/made_up_key", "{ value = 7 }"),
    ("kernel/made/up", r#"{ value = "some text", mode = "0644" }"#),
    ("net/ipv4/made_up", "{ value = 1 }"),
    ("vm/max_map_count", r#"{ value = 7, when = "always" }"#),
    ("kernel/ostype", r#"{ value = "Other" }"#),
];

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.test("tree::few", few);
    suite.test("tree::many", many);
    suite.test("tree::all", all);
    suite.test("tree::files", files);
    suite.test("tree::colour", colour);
    suite.test("json::as_before", json_as_before);
    suite.test("diff::here", diff_here);
    suite.test("diff::as_verify", diff_as_verify);
    suite.test("diff::pid", diff_pid);
    suite.test("diff::stacked", diff_stacked);
    suite.test("diff::hostile", diff_hostile);
    let blocks = suite.page("docs/output.md").blocks();
    suite.test("page", move |bed| page(bed, &blocks));
    suite.run()
}

/// The commands of the page, typed in a network namespace of its own where `/proc` lacks the key and has a Linux's usual value of
/// the other.
fn page(bed: &Bed, blocks: &[Block]) -> TestResult {
    need::root()?;
    need::command("prove")?;
    let text = format!(
        "mkdir bin; ln -s \"$NSPREP\" bin/nsprep; PATH=$BED/bin:$PATH\ndeprive /proc kernel/cap_last_cap\n\
         echo 65530 > max_map_count; mount --bind max_map_count /proc/sys/vm/max_map_count\n{}",
        typed_blocks(blocks)
    );
    blocks_print(blocks, &bed.script(&text)?.succeed()?)?;
    let page = std::fs::read_to_string(bed.path("report.html"))?;
    equal("a page", page.contains("<td>procemu:1</td>"), true)
}

/// Lines without their branches.
fn bare(tree: &str) -> Vec<String> {
    let words = |line: &str| {
        let words = line
            .trim_start_matches(['│', '├', '└', '─', ' '])
            .split_whitespace();
        words.collect::<Vec<_>>().join(" ")
    };
    tree.lines().map(words).collect()
}

fn few(bed: &Bed) -> TestResult {
    need::root()?;
    need::command("jq")?;
    let table = bed.table("t.toml", &KEYS)?;
    let text = r#"echo "== json"; "$NSPREP" plan --json --table "$TABLE" | jq -c '.plan.steps[]'
        echo "== tree"; "$NSPREP" plan --table "$TABLE"
        echo "== vm"; ls /proc/sys/vm | wc -l; cat /proc/sys/vm/max_map_count"#;
    let output = bed.script(text)?.env("TABLE", table).succeed()?;
    let steps: Result<Vec<Value>, _> = section(&output, "json")?
        .into_iter()
        .map(serde_json::from_str)
        .collect();
    let steps = steps?;
    let count = |step: &str, folder: &str| {
        let below = |path: &str| path.strip_prefix(folder).is_some_and(|name| !name.contains('/'));
        let is = |s: &&Value| s["step"] == step && s["path"].as_str().is_some_and(below);
        steps.iter().filter(is).count()
    };
    let [vm, max_map_count] = section(&output, "vm")?[..] else {
        return fail(output);
    };
    let kernel = (count("pass", "sys/kernel/"), count("link", "sys/kernel/"));
    let namespaced = "linked, namespaced: each reader has its own";
    let (net, ipv4) = (count("link", "sys/net/"), count("link", "sys/net/ipv4/"));
    let expected = [
        "/proc/sys/".to_owned(),
        "kernel/ a tmpfs over it".to_owned(),
        "made/ a folder in that tmpfs".to_owned(),
        "+ up some text rw".to_owned(),
        "+ made_up_key 7 ro".to_owned(),
        format!(
            "= {} originals {} bound; {} {namespaced}",
            kernel.0 + kernel.1,
            kernel.0,
            kernel.1
        ),
        "net/ a tmpfs over it".to_owned(),
        "ipv4/ a folder in that tmpfs".to_owned(),
        "+ made_up 1 ro".to_owned(),
        format!("= {ipv4} originals {ipv4} {namespaced}"),
        format!("= {net} originals {net} {namespaced}"),
        "vm/".to_owned(),
        format!("~ max_map_count {max_map_count} -> 7 ro"),
        format!(
            "{} others not touched",
            vm.parse::<usize>().unwrap_or_default() - 1
        ),
    ];
    let lines = bare(&section(&output, "tree")?.join("\n"));
    equal("tree", &lines[..expected.len()], &expected)?;
    equal("others", lines[expected.len()].contains("not touched: "), true)?;
    let originals = kernel.0 + kernel.1 + net + ipv4;
    let summary = format!("3 keys to add, 1 to replace, 1 as they are; {originals} originals passed through");
    equal("summary", lines.last(), Some(&summary))
}

/// A line for each key, one for all originals of a folder, and what is in a column begins where the others do.
fn many(bed: &Bed) -> TestResult {
    need::root()?;
    let names: Vec<String> = (0..1000)
        .map(|number| format!("kernel/made_up_{number}"))
        .collect();
    let entries: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), "{ value = 123456 }"))
        .collect();
    let table = bed.table("t.toml", &entries)?;
    let tree = bed
        .script(r#""$NSPREP" plan --table "$TABLE""#)?
        .env("TABLE", table)
        .succeed()?;
    let keys: Vec<_> = tree.lines().filter(|line| line.contains("+ made_up_")).collect();
    equal("keys", keys.len(), 1000)?;
    let columns: std::collections::BTreeSet<_> = keys.iter().map(|line| line.find("123456")).collect();
    equal("columns", columns.len(), 1)?;
    // Two folders, the originals of one, what is beside it, a blank line, the summary.
    equal("lines", tree.lines().count(), 1006)
}

/// `--all` names each original with how it is passed through, and no sum.
fn all(bed: &Bed) -> TestResult {
    need::root()?;
    need::command("jq")?;
    let table = bed.table("t.toml", &KEYS)?;
    let text = r#"echo "== json"; "$NSPREP" plan --json --table "$TABLE" | jq -r '.plan.steps[] |
            select(.step == "pass" or .step == "link") | "\(.path) \(.step)"' | sed 's|.*/||'
        echo "== all"; "$NSPREP" plan --all --table "$TABLE""#;
    let output = bed.script(text)?.env("TABLE", table).succeed()?;
    let shown = bare(&section(&output, "all")?.join("\n"));
    let shown: Vec<String> = shown
        .iter()
        .filter_map(|line| line.strip_prefix("= "))
        .map(|line| {
            line.replace('/', "")
                .replace(" linked, namespaced", " link")
                .replace(" bound", " pass")
        })
        .collect();
    let planned = section(&output, "json")?;
    equal("originals", shown.len(), planned.len())?;
    same_lines("originals", shown.iter().map(String::as_str), planned)
}

/// What lies outside of `/proc/sys`, and in sysfs, has trees that begin at the file system's root.
fn files(bed: &Bed) -> TestResult {
    need::root()?;
    let table = bed.table(
        "t.toml",
        &[
            ("/proc/version", r#"{ value = "Other\nsecond", when = "always" }"#),
            ("/sys/module/made_up/x", "{ value = 2 }"),
        ],
    )?;
    let tree = bed
        .script(r#""$NSPREP" plan --table "$TABLE""#)?
        .env("TABLE", table)
        .succeed()?;
    let lines = bare(&tree);
    let has = |wanted: &dyn Fn(&String) -> bool| lines.iter().any(wanted);
    let all = has(&|line| line == "/proc/")
        && has(&|line| line == "all others not touched")
        && has(&|line| line.starts_with("~ version Linux version ") && line.ends_with("-> Other ... ro"))
        && has(&|line| line == "/sys/")
        && has(&|line| line == "+ x 2 ro");
    if all { Ok(()) } else { fail(tree) }
}

fn colour(bed: &Bed) -> TestResult {
    need::root()?;
    need::command("script")?;
    let table = bed.table("t.toml", &KEYS)?;
    let text = r#"for options in "" --diff; do
            show() { "$NSPREP" plan $options --table "$TABLE" || true; }
            show | grep -c $'\e' || true
            NO_COLOR=1 script -qec "'$NSPREP' plan $options --table '$TABLE'" /dev/null | grep -c $'\e\[' || true
            script -qec "'$NSPREP' plan $options --table '$TABLE'" /dev/null | grep -c $'\e\[32m' || true
        done"#;
    let script = bed.script(text)?.env("TABLE", table).env("TERM", "xterm");
    equal("lines in colour", script.succeed()?, "0\n0\n3\n0\n0\n3")
}

/// Members may come, none may go.
fn json_as_before(bed: &Bed) -> TestResult {
    need::root()?;
    need::command("jq")?;
    let table = bed.table("t.toml", &[KEYS[0], ("/sys/module/made_up/x", "{ value = 2 }")])?;
    let text = r#"for options in "" --diff; do
            "$NSPREP" plan $options --json --table "$TABLE" > plan || test $? = 1
            jq -c '[keys_unsorted, .plan.steps[0], .sys.plan.filesystem, (.snapshot.nodes | length > 0)]' plan
        done"#;
    let steps = r#"{"step":"overmount","folder":"sys/kernel"},"sys",true]"#;
    let expected = format!(
        r#"[["plan","snapshot","sys"],{steps}
[["plan","snapshot","sys","against","layers","changes"],{steps}"#
    );
    equal(
        "members",
        bed.script(text)?.env("TABLE", table).succeed()?,
        expected,
    )
}

fn diff_here(bed: &Bed) -> TestResult {
    need::root()?;
    need::command("jq")?;
    let table = bed.table("t.toml", &KEYS)?;
    let text = r#"echo "== now"; cat /proc/sys/vm/max_map_count
        cat /proc/self/mountinfo > before
        echo "== before"; "$NSPREP" plan --diff --table "$TABLE" || echo "exit $?"
        diff before /proc/self/mountinfo
        echo "== json"; "$NSPREP" plan --diff --json --table "$TABLE" > json || echo "exit $?"
        jq -r '.against, (.layers | length), (.changes[] | "\(.action) \(.key) \(.old) \(.new) \(.new_writable)")' json
        "$NSPREP" attach --table "$TABLE" > /dev/null
        echo "== after"; "$NSPREP" plan --diff --table "$TABLE""#;
    let output = bed.script(text)?.env("TABLE", table).succeed()?;
    let now = section(&output, "now")?.join("");
    let words = |name| -> TestResult<Vec<String>> { Ok(bare(&section(&output, name)?.join("\n"))) };
    let access = format!("~ vm/max_map_count {now} -> 7 rw -> ro");
    let before = [
        "--- here, now; no layers attached",
        "+++ here, with the plan",
        "+ kernel/made/up some text rw",
        "+ kernel/made_up_key 7 ro",
        "+ net/ipv4/made_up 1 ro",
        &access,
        "= 1 key as they are: 1 the kernel's",
        "5 keys: 3 to add, 1 to replace, 1 as they are",
        "exit 1",
    ];
    equal("before", words("before")?, before)?;
    let replaced = format!("replace vm/max_map_count {now} 7 false");
    let json = [
        "exit 1",
        "here",
        "0",
        "add kernel/made/up null some text true",
        "add kernel/made_up_key null 7 false",
        "keep kernel/ostype Linux null null",
        "add net/ipv4/made_up null 1 false",
        &replaced,
    ];
    equal("json", section(&output, "json")?, json)?;
    let after = [
        "--- here, now; layers attached: procemu:1",
        "+++ here, with the plan",
        "= 5 keys as they are: 4 procemu:1, 1 the kernel's",
        "5 keys: 0 to add, 0 to replace, 5 as they are (1 put there once more)",
    ];
    equal("after", words("after")?, after)
}

/// Before, after, and after something has been written: both find differences, or none does.
fn diff_as_verify(bed: &Bed) -> TestResult {
    need::root()?;
    let text = format!(
        r#"both() {{ for call in verify "plan --diff"; do
                "$NSPREP" $call --table "$TABLE" > found && echo "$call: 0" || echo "$call: $?"
            done; grep '^!' found || true; }}
        both; "$NSPREP" attach --table "$TABLE" > /dev/null; both
        echo 99 > /proc/sys/{MADE_UP_WRITABLE}; both"#
    );
    let output = bed.script(&text)?.env("TABLE", made_up_table(bed)?).succeed()?;
    let one = "verify: 1\nplan --diff: 1";
    let problem = r#"! fs/made_up  99  rw  procemu:1: reads "99", the table has "1""#;
    equal(
        "found",
        output,
        format!("{one}\nverify: 0\nplan --diff: 0\n{one}\n{problem}"),
    )
}

/// Of a process elsewhere it is what that sees, not what is here.
fn diff_pid(bed: &Bed) -> TestResult {
    need::root()?;
    let table = bed.table("t.toml", &KEYS)?;
    let text = r#"unshare --mount sh -c 'touch ready; exec sleep 100' > /dev/null 2>&1 & pid=$!
        trap 'kill $pid' EXIT; wait_for ready
        "$NSPREP" attach --table "$TABLE" --pid $pid > /dev/null
        "$NSPREP" plan --diff --table "$TABLE" --pid $pid | sed "s/$pid/PID/"
        "$NSPREP" plan --diff --table "$TABLE" > here || echo "here: $?""#;
    let expected = "--- pid PID, now; layers attached: procemu:1\n+++ pid PID, with the plan\n\
        = 5 keys as they are: 4 procemu:1, 1 the kernel's\n5 keys: 0 to add, 0 to replace, 5 as they are (1 put there once more)\nhere: 1";
    equal("diff", bed.script(text)?.env("TABLE", table).succeed()?, expected)
}

/// A key is of the layer that gives it, also where a later one passes it through, or somebody else's mount gives it.
fn diff_stacked(bed: &Bed) -> TestResult {
    need::root()?;
    need::command("jq")?;
    let first = bed.table("first.toml", &[("kernel/made_up_1", "{ value = 1 }")])?;
    let second = bed.table("second.toml", &[("kernel/made_up_2", "{ value = 2 }")])?;
    let keys = [
        "kernel/made_up_1",
        "kernel/made_up_2",
        "kernel/ostype",
        "vm/swappiness",
    ];
    let both = bed.table(
        "both.toml",
        &[
            (keys[0], "{ value = 1 }"),
            (keys[1], "{ value = 2 }"),
            (keys[2], r#"{ value = "Linux" }"#),
            (keys[3], r#"{ value = 5, mode = "0644" }"#),
        ],
    )?;
    let text = r#""$NSPREP" attach --table "$FIRST" > /dev/null; "$NSPREP" attach --table "$SECOND" > /dev/null
        echo 5 > mine; mount --bind mine /proc/sys/vm/swappiness
        "$NSPREP" plan --diff --json --table "$BOTH" | jq -r '.changes[] | "\(.key) \(.origin) \(.layer)"'
        "$NSPREP" plan --diff --all --table "$BOTH" | sed -n 's/^= \([^ ]*\) .*  \(.*\)$/\1 \2/p'"#;
    let script = bed
        .script(text)?
        .env("FIRST", first)
        .env("SECOND", second)
        .env("BOTH", both);
    let output = script.succeed()?;
    let [one, two, three, four] = keys;
    let expected = format!(
        "{one} emulated procemu:1\n{two} emulated procemu:2\n{three} kernel null\n{four} emulated null\n\
         {one} procemu:1\n{two} procemu:2\n{three} the kernel's\n{four} emulated"
    );
    equal("layers", output, expected)
}

/// Nothing that a value holds is obeyed by a terminal.
fn diff_hostile(bed: &Bed) -> TestResult {
    need::root()?;
    let table = bed.table(
        "t.toml",
        &[("vm/swappiness", r#"{ value = 1, when = "always" }"#)],
    )?;
    let text = r#"printf '\033]0;title\007\033[31mred\342\200\256\n' > mine; mount --bind mine /proc/sys/vm/swappiness
        for options in "" --diff; do
            CLICOLOR_FORCE=1 "$NSPREP" plan $options --table "$TABLE" > shown || true
            grep -c $'\a\|\e]\|\e\[31m\|\342\200\256' shown || true
        done; grep -o '^.*~ [^ ]*' shown; "$NSPREP" plan --diff --table "$TABLE" | grep -o 'swappiness.*' || true"#;
    let output = bed.script(text)?.env("TABLE", table).succeed()?;
    let mut lines = output.lines();
    let mut next = || lines.next().unwrap_or_default().to_owned();
    equal("obeyed", [next(), next()], ["0", "0"].map(str::to_owned))?;
    let shown = output.lines().last().unwrap_or_default();
    let told: BTreeMap<_, _> = [("escape", "\\u{1b}]0;title"), ("arrow", "-> 1")].into();
    for (what, part) in told {
        equal(what, shown.contains(part), true).or_else(|_| fail(format!("{what}: {shown}")))?;
    }
    Ok(())
}
