//! What administrators are told, and what engines are not: `changes.log`, and what `RUST_LOG` asks for.

mod support;

use std::fs;
use std::process::ExitCode;

use serde_json::Value;
use support::{Bed, Bundle, Output, Runtime, Suite, TestResult, equal, fail};

/// What a container lacks in all of these tests.
const PLACE: &str = "deprived_proc inner kernel/cap_last_cap";

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.for_runtimes("changed_containers_have_a_line", changed_containers_have_a_line);
    suite.for_runtimes("nobody_is_told_what_nobody_asked_for", nobody_is_told);
    suite.for_runtimes("rust_log_in_the_engines_log", rust_log_in_the_engines_log);
    suite.for_runtimes("level_of_bridge_toml", level_of_bridge_toml);
    suite.for_runtimes("a_wrong_rust_log_stops_no_container", a_wrong_rust_log);
    suite.test("what_could_not_be_done_has_a_line", what_could_not_be_done);
    suite.test("no_container_fails_for_a_line", no_container_fails_for_a_line);
    suite.test("text_of_a_bundle_is_escaped", text_of_a_bundle_is_escaped);
    suite.test("nsprep_on_standard_error", nsprep_on_standard_error);
    suite.run()
}

/// A bundle `lacks` whose `/proc` has no cap_last_cap, and one `whole` that lacks nothing of the table.
fn bundles(bed: &Bed) -> TestResult {
    Bundle::new(bed, "lacks", "echo ran")?
        .bind_proc(&bed.path("inner"))
        .write()?;
    fs::copy(bed.path("lacks/config.json"), bed.path("lacks.json"))?;
    Bundle::new(bed, "whole", "echo ran")?.write()?;
    bed.table(
        "table.toml",
        &[("kernel/cap_last_cap", r#"{ computed = "cap_last_cap" }"#)],
    )?;
    Ok(())
}

/// Runs `text` with the runtime and a configuration that has `more` at its end; `logged` is `wrapped` with a `--log` as containerd
/// gives it.
fn run(bed: &Bed, runtime: Runtime, more: &str, text: &str) -> TestResult<Output> {
    if !bed.path("lacks").exists() {
        bundles(bed)?;
    }
    // As the engine writes it.
    fs::copy(bed.path("lacks.json"), bed.path("lacks/config.json"))?;
    let table = bed.path("table.toml");
    let config = bed.config_with(&format!("profiles = []\ntables = [{table:?}]\n{more}"))?;
    let logged = r#"logged() { OPTIONS="--log $BED/log.json --log-format json" wrapped "$@"; }"#;
    let script = bed.runtime_script(&runtime, &format!("{PLACE}\n{logged}\n{text}"))?;
    script.env("CONFIG", config).run()
}

/// Whether it succeeded, and said nothing but `stdout`.
fn silent(output: Output, stdout: &str) -> TestResult {
    equal("standard error", output.stderr.as_str(), "")?;
    equal("standard output", output.success()?, stdout)
}

fn changes(bed: &Bed) -> Vec<String> {
    let text = fs::read_to_string(bed.path("bridge-state/changes.log")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// The lines of the engine's log file, each as containerd reads it.
fn log(bed: &Bed) -> TestResult<Vec<Value>> {
    let text = fs::read_to_string(bed.path("log.json")).unwrap_or_default();
    let mut lines = Vec::new();
    for line in text.lines() {
        let value: Value = serde_json::from_str(line)?;
        for name in ["level", "msg", "time"] {
            equal(format!("{name} in {line}"), value[name].is_string(), true)?;
        }
        lines.push(value);
    }
    Ok(lines)
}

/// Who has written such a line, if not the runtime.
fn targets(lines: &[Value]) -> Vec<&str> {
    lines.iter().filter_map(|line| line["target"].as_str()).collect()
}

fn has(lines: &[Value], target: &str, message: &str) -> TestResult {
    let found = lines
        .iter()
        .any(|line| line["target"] == target && line["msg"] == message);
    match found {
        true => Ok(()),
        false => fail(format!("no line {message:?} of {target} in {lines:#?}")),
    }
}

fn changed_containers_have_a_line(bed: &Bed, runtime: Runtime) -> TestResult {
    let output = run(
        bed,
        runtime,
        "",
        "run wrapped lacks; run wrapped whole; run wrapped lacks",
    )?;
    silent(output, "ran\nran\nran")?;
    let lines = changes(bed);
    // The second time nothing was left to change.
    equal("lines", lines.len(), 1)?;
    for part in [
        " level=info msg=\"hooks.createContainer: our hook comes first: the container lacks kernel/cap_last_cap; ",
        "procemu: a table of 1 keys and 0 sysctls: the hook reads there what to do",
        &format!(" container=\"{}-lacks\" ", bed.id()),
        &format!(" bundle={:?}", bed.path("lacks").display()),
    ] {
        equal(format!("{part} in {lines:?}"), lines[0].contains(part), true)?;
    }
    // What is not in the bundle: the flag, and the place of the runtime itself.
    fs::remove_file(bed.path("bridge-state/changes.log"))?;
    let text = r#"deprive /proc kernel/cap_last_cap; wrapped run --bundle "$BED/lacks" "$ID-lacks""#;
    run(bed, runtime, "[policy]\nno_new_keyring = \"always\"\n", text)?.success()?;
    let lines = changes(bed);
    equal("lines", lines.len(), 1)?;
    for part in [
        "; mount namespace: the runtime has one of its own: runtimes read kernel/cap_last_cap; ",
        "; --no-new-keyring: given to the runtime: policy no_new_keyring is ",
    ] {
        equal(format!("{part} in {lines:?}"), lines[0].contains(part), true)?;
    }
    fs::remove_file(bed.path("bridge-state/changes.log"))?;
    run(bed, runtime, "[log]\nchanges = false\n", "run wrapped lacks")?.success()?;
    equal("lines with changes = false", changes(bed), Vec::<String>::new())
}

fn nobody_is_told(bed: &Bed, runtime: Runtime) -> TestResult {
    let output = run(bed, runtime, "", "run logged lacks")?;
    silent(output, "ran")?;
    let lines = log(bed)?;
    equal("lines of ours", targets(&lines), Vec::<&str>::new())
}

fn rust_log_in_the_engines_log(bed: &Bed, runtime: Runtime) -> TestResult {
    // Standard output and error together, as containerd reads `state`.
    let text = r#"export RUST_LOG=debug
run logged lacks
logged create --no-new-keyring --bundle "$BED/whole" "$ID-whole" < /dev/null > /dev/null 2>&1
logged state "$ID-whole" > "$BED/state.json" 2>&1 || true
logged delete --force "$ID-whole""#;
    let output = run(bed, runtime, "", text)?;
    silent(output, "ran")?;
    let state: Value = serde_json::from_slice(&fs::read(bed.path("state.json"))?)?;
    equal("state", state["status"].as_str(), Some("created"))?;
    let lines = log(bed)?;
    has(&lines, "runtime_bridge::wrapper", "the runtime is found")?;
    has(&lines, "runtime_bridge::wrapper", "becoming the runtime")?;
    has(&lines, "runtime_bridge::config::tables", "the table is read")?;
    has(&lines, "runtime_bridge::bundle", "what the container lacks")?;
    // What the hook did, in the container.
    has(&lines, "runtime_bridge::hook", "called in the container")?;
    has(&lines, "procemu::attach", "mounted")?;
    has(&lines, "procemu::attach", "attached")?;
    let ours = lines.iter().filter(|line| line["target"].is_string());
    for line in ours {
        // containerd takes the last one of this level for the reason of a failure.
        equal(format!("level of {line}"), line["level"] == "error", false)?;
        equal(format!("time in {line}"), line["ms"].is_number(), true)?;
    }
    Ok(())
}

fn level_of_bridge_toml(bed: &Bed, runtime: Runtime) -> TestResult {
    let level = "[log]\nlevel = \"procemu=debug\"\n";
    let output = run(bed, runtime, level, "run logged lacks")?;
    silent(output, "ran")?;
    let lines = log(bed)?;
    has(&lines, "procemu::attach", "attached")?;
    let other = |target: &&str| !target.starts_with("procemu::");
    equal("others", targets(&lines).into_iter().find(other), None)?;
    // What is asked for at the moment comes first.
    fs::remove_file(bed.path("log.json"))?;
    let output = run(bed, runtime, level, "export RUST_LOG=off; run logged lacks")?;
    equal("standard output", output.success()?, "ran")?;
    equal("lines with RUST_LOG=off", targets(&log(bed)?), Vec::<&str>::new())
}

fn a_wrong_rust_log(bed: &Bed, runtime: Runtime) -> TestResult {
    let output = run(bed, runtime, "", "export RUST_LOG=procemu=loud; run logged lacks")?;
    silent(output, "ran")?;
    let lines = log(bed)?;
    let warnings = lines.iter().filter(|line| line["level"] == "warning");
    let warnings: Vec<_> = warnings.filter_map(|line| line["msg"].as_str()).collect();
    let says = r#"RUST_LOG: "procemu=loud" does not say which events to tell: "#;
    equal(
        "a warning",
        warnings.first().is_some_and(|line| line.starts_with(says)),
        true,
    )?;
    equal("lines of ours", targets(&lines), Vec::<&str>::new())
}

fn what_could_not_be_done(bed: &Bed) -> TestResult {
    Bundle::new(bed, "b", "true")?.write()?;
    let text = r#"printf '#!/nonexistent\n' > "$BED/runc"; chmod +x "$BED/runc"; cp "$BED/b/config.json" "$BED/before"
RUNTIME=$BED/runc wrapped run --bundle "$BED/b" one 2> /dev/null || echo failed
cmp "$BED/b/config.json" "$BED/before"
RUNTIME=/bin/true wrapped run --bundle "$BED/nothing" two 2> /dev/null || echo failed"#;
    let table = bed.table("table.toml", &[("kernel/made_up", "{ value = 1 }")])?;
    let script = bed.script(text)?.env("CONFIG", bed.config(&table)?);
    equal("standard output", script.run()?.success()?, "failed\nfailed")?;
    let lines = changes(bed);
    // Of the second one nothing is left, and its engine is told.
    equal("lines", lines.len(), 2)?;
    for (line, part) in lines.iter().zip([
        " level=info msg=\"hooks.createContainer: ",
        " level=error msg=\"all is taken back: cannot execute ",
    ]) {
        equal(format!("{part} in {line}"), line.contains(part), true)?;
    }
    Ok(())
}

/// Where the file cannot be written to, or the process must not make it longer, there is no line, and nothing else.
fn no_container_fails_for_a_line(bed: &Bed) -> TestResult {
    Bundle::new(bed, "b", "true")?.write()?;
    let text = r#"cp "$BED/b/config.json" "$BED/before"; mkdir -p "$BED/bridge-state"; cd "$BED/bridge-state"
start() { cp "$BED/before" "$BED/b/config.json"; RUNTIME=/bin/true wrapped run --bundle "$BED/b" one && echo ran; }
mkfifo changes.log; start; rm changes.log
mkdir changes.log; start; rmdir changes.log
mknod changes.log c 1 7; start; rm changes.log
head -c 900000 /dev/zero > changes.log
(ulimit -f 500; start)
stat -c %s changes.log"#;
    let table = bed.table("table.toml", &[("kernel/made_up", "{ value = 1 }")])?;
    let script = bed.script(text)?.env("CONFIG", bed.config(&table)?);
    silent(script.run()?, "ran\nran\nran\nran\n900000")
}

/// A name that begins a line of its own, clears the terminal, and is taken for a message.
const NAME: &str = "b\n\u{1b}[2J\u{9b}level=error msg=x";

fn text_of_a_bundle_is_escaped(bed: &Bed) -> TestResult {
    Bundle::new(bed, NAME, "true")?.write()?;
    let text = r#"RUST_LOG=debug OPTIONS="--log $BED/log.json --log-format json" RUNTIME=/bin/true wrapped run --bundle "$BED/$NAME" "$NAME"
RUST_LOG=debug OPTIONS="--log $BED/log.text" RUNTIME=/bin/true wrapped run --bundle "$BED/$NAME" "$NAME"
RUST_LOG=debug RUNTIME=/bin/true wrapped run --bundle "$BED/$NAME" "$NAME"
jq -n --arg name "$NAME" --arg bundle "$BED/$NAME" '{id: $name, bundle: $bundle}' > state
! RUST_LOG=debug "$BRIDGE" hook < state"#;
    let table = bed.table("table.toml", &[("kernel/made_up", "{ value = 1 }")])?;
    let script = bed.script(text)?.env("CONFIG", bed.config(&table)?);
    let output = script.env("NAME", NAME).run()?;
    let stderr = output.stderr.clone();
    output.success()?;
    let read = |name: &str| fs::read_to_string(bed.path(name));
    for (what, text) in [
        ("log.json", read("log.json")?),
        ("log.text", read("log.text")?),
        ("standard error", stderr),
        ("changes.log", read("bridge-state/changes.log")?),
    ] {
        equal(format!("{what} has the name"), text.contains("[2J"), true)?;
        let raw = |c: char| c.is_control() && c != '\n';
        equal(format!("control characters in {what}"), text.find(raw), None)?;
        let begins = |line: &str| {
            let ways = ["time=\"", "{\"level\":\"", "runtime-bridge: "];
            ways.iter().any(|way| line.starts_with(way))
        };
        equal(format!("{what}: {text}"), text.lines().all(begins), true)?;
    }
    Ok(())
}

fn nsprep_on_standard_error(bed: &Bed) -> TestResult {
    let table = bed.table("table.toml", &[("kernel/made_up", "{ value = 1 }")])?;
    let run = |text: &str| bed.script(text)?.env("TABLE", &table).run();
    let plan = r#""$NSPREP" plan --table "$TABLE""#;
    let quiet = run(plan)?;
    equal("standard error", quiet.stderr.as_str(), "")?;
    let planned = quiet.success()?;
    let said = run(&format!("RUST_LOG=debug {plan}"))?;
    equal("standard output", said.stdout.trim_end(), planned.as_str())?;
    for part in [
        " level=debug msg=\"planned\" ms=",
        " emulated=\"kernel/made_up\" ",
    ] {
        equal(part, said.stderr.contains(part), true).or_else(|_| said.fail(part))?;
    }
    let json = run(&format!("RUST_LOG=debug {plan} --log-format json"))?;
    let first = json.stderr.lines().next().unwrap_or_default();
    let first: Value = serde_json::from_str(first)?;
    equal("message", first["msg"].as_str(), Some("planned"))?;
    let wrong = run(&format!("RUST_LOG=procemu=loud {plan}"))?;
    equal("standard output", wrong.stdout.trim_end(), planned.as_str())?;
    equal("lines of standard error", wrong.stderr.lines().count(), 1)?;
    let says = "nsprep: RUST_LOG: \"procemu=loud\" does not say which events to tell: ";
    equal("the line", wrong.stderr.starts_with(says), true)?;
    // What is CMD's stays CMD's.
    let exec = run(r#""$NSPREP" exec -- echo --log-format json"#)?;
    equal("standard output", exec.success()?, "--log-format json")
}
