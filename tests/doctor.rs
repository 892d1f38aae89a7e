//! `nsprep doctor`: what it finds is what goes wrong, and each cure that it names is one.

mod support;

use std::process::ExitCode;

use serde_json::Value;
use support::{
    Bed, Bundle, CRUN, DETACHED, Output, RUNC_1_5, Runtime, Script, Suite, TestResult, equal, fail,
    kubelet_keys, need, page_prints, section, typed_page, with_denial,
};

const PAGE: &str = include_str!("../docs/doctor.md");
const PATH: &str = "PATH=\"$(dirname \"$NSPREP\"):$(dirname \"$BRIDGE\"):$PATH\"\n";

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.test("sound", sound);
    suite.for_runtimes("version", version);
    suite.test("lacking::crun", lacking_crun);
    suite.test("lacking::kubelet", lacking_kubelet);
    suite.test("lacking::read_only", read_only_proc_sys);
    suite.test("trap::hybrid", hybrid);
    suite.test("trap::session_keyring", session_keyring);
    suite.test("trap::detached_procfs", detached_procfs);
    suite.test("bridged", bridged);
    suite.for_runtimes("explain::cap_last_cap", explain_cap_last_cap);
    suite.for_runtimes("explain::sysctl", explain_sysctl);
    suite.test("explain::spec_version", explain_spec_version);
    suite.test("explain::unknown", explain_unknown);
    suite.test("explain::colour", colour);
    suite.test("wrong::names", wrong_names);
    suite.test("watch::runc", watch_runc);
    suite.test("watch::crun", watch_crun);
    suite.test("watch::calls", watch_calls);
    suite.test("watch::stuck", watch_stuck);
    suite.test("watch::ends", watch_ends);
    suite.test("watch::stopped", watch_stopped);
    suite.test("watch::refused", watch_refused);
    suite.test("page", page);
    suite.run()
}

/// A script that finds nsprep and runtime-bridge on PATH, as people have them.
fn script(bed: &Bed, text: &str) -> TestResult<Script> {
    need::root()?;
    bed.script(&format!("{PATH}{text}"))
}

/// What `nsprep doctor OPTIONS --json` prints after `place`, with its exit code.
fn diagnosis(bed: &Bed, place: &str, options: &str) -> TestResult<(Option<i32>, Value)> {
    let output = script(bed, &format!("{place}\nnsprep doctor {options} --json"))?.run()?;
    match serde_json::from_str(&output.stdout) {
        Ok(json) => Ok((output.status.code(), json)),
        Err(error) => output.fail(format!("no JSON: {error}")),
    }
}

/// The findings of that kind.
fn of_id<'a>(diagnosis: &'a Value, id: &str) -> TestResult<&'a Value> {
    let findings = diagnosis["findings"].as_array().into_iter().flatten();
    match findings.into_iter().find(|finding| finding["id"] == id) {
        Some(finding) => Ok(finding),
        None => fail(format!("no finding {id}: {diagnosis:#}")),
    }
}

/// Its first cure, to be typed.
fn cure(finding: &Value) -> TestResult<String> {
    match finding["cure"][0].as_str() {
        Some(cure) => Ok(cure.to_owned()),
        None => fail(format!("no cure: {finding}")),
    }
}

/// What is told of a place that lacks nothing is true, and nothing is found.
fn sound(bed: &Bed) -> TestResult {
    let (code, found) = diagnosis(bed, "", "--for kubelet")?;
    equal("version", &found["version"], &Value::from(1))?;
    equal(
        "lacking",
        &found["profiles"][0]["lacking"],
        &Value::Array(Vec::new()),
    )?;
    let findings = found["findings"].as_array().map_or(1, Vec::len);
    equal("exit code", code, Some(i32::from(findings > 0)))?;
    let kernel = script(bed, "uname -srm")?.succeed()?;
    equal("kernel", found["place"]["kernel"].as_str(), Some(kernel.as_str()))?;
    equal(
        "attaching",
        &found["place"]["attaching"]["classic_refused"],
        &Value::Null,
    )?;
    let ignoring = script(
        bed,
        "perl -e '$SIG{CHLD} = \"IGNORE\"; exec @ARGV' nsprep doctor --for kubelet --json || test $? = 1",
    )?;
    let ignoring: Value = serde_json::from_str(&ignoring.succeed()?)?;
    // Others on the machine use keys meanwhile.
    let steady = |found: &Value| {
        let mut place = found["place"].clone();
        place["keyring"]["quota"] = Value::Null;
        place
    };
    equal("asked by who ignores children", steady(&ignoring), steady(&found))?;
    let unified = script(
        bed,
        "awk '$9 == \"cgroup2\" || $8 == \"cgroup2\"' /proc/self/mountinfo | wc -l",
    )?
    .succeed()?;
    let says = found["place"]["cgroups"]["version"].as_str().unwrap_or_default();
    equal("has cgroup v2", ["v2", "hybrid"].contains(&says), unified != "0")
}

fn version(bed: &Bed, runtime: Runtime) -> TestResult {
    let path = runtime.path()?;
    let place = format!(
        "export PATH=\"{}:$PATH\"",
        path.parent().unwrap_or(&path).display()
    );
    let (_, found) = diagnosis(bed, &place, &format!("--for {}", runtime.command()))?;
    let told = found["programs"][0]["version"].as_str().unwrap_or_default();
    equal(
        "name",
        found["programs"][0]["name"].as_str(),
        Some(runtime.command()),
    )?;
    equal(
        told,
        runtime.name.ends_with(told.split('+').next().unwrap_or("?")),
        true,
    )
}

/// What goes wrong does, by crun's own account, and does not with the cure, typed as it is printed.
fn lacking_crun(bed: &Bed) -> TestResult {
    let place = "hide_unified; deprive /proc kernel/cap_last_cap";
    CRUN.path()?;
    let (code, found) = diagnosis(bed, place, "--for crun")?;
    equal("exit code", code, Some(1))?;
    let finding = of_id(&found, "keys_lacking")?;
    equal(
        "key",
        finding["keys"][0]["key"].as_str(),
        Some("kernel/cap_last_cap"),
    )?;
    equal("level", finding["level"].as_str(), Some("fails"))?;
    Bundle::new(bed, "b", "echo started")?.write()?;
    let cure = cure(finding)?
        .replace("BUNDLE", "\"$BED/b\"")
        .replace("--exec", "--config \"$CONFIG\" --exec")
        .replace(" run ", " --root \"$BED/state\" run --no-new-keyring ")
        .replace(" ID", " \"$ID\"");
    let bare = bed.runtime_script(&CRUN, &format!("{place}\nrun rt b"))?.run()?;
    bare.fails_with("open /proc/sys/kernel/cap_last_cap")?;
    equal(
        "said",
        script(bed, &format!("{place}\n{cure}"))?.succeed()?,
        "started",
    )
}

/// Likewise for a program. All six keys are taken away: what it writes with the cure, or would write where that is broken, is never
/// the machine's.
fn lacking_kubelet(bed: &Bed) -> TestResult {
    let place = "deprive /proc vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops \
        kernel/keys/root_maxkeys kernel/keys/root_maxbytes";
    cures_the_kubelet(bed, place, &["missing"; 6])
}

/// Likewise where all of them refuse writes.
fn read_only_proc_sys(bed: &Bed) -> TestResult {
    cures_the_kubelet(bed, "read_only_proc_sys", &["stuck"; 6])
}

fn cures_the_kubelet(bed: &Bed, place: &str, states: &[&str]) -> TestResult {
    let (code, found) = diagnosis(bed, place, "--for kubelet")?;
    equal("exit code", code, Some(1))?;
    let finding = of_id(&found, "keys_lacking")?;
    let keys = finding["keys"].as_array().cloned().unwrap_or_default();
    let found: Vec<_> = keys.iter().filter_map(|key| key["state"].as_str()).collect();
    equal("states", found, states)?;
    let cure = cure(finding)?;
    let Some(command) = cure.strip_suffix("kubelet ...") else {
        return fail(format!("not for the kubelet: {cure}"));
    };
    let keys = kubelet_keys(bed)?;
    let bare = script(bed, &format!("{place}\nsh \"$KEYS\""))?
        .env("KEYS", &keys)
        .run()?;
    equal("ends without us", bare.status.success(), false)?;
    let cured = script(bed, &format!("{place}\n{command} sh \"$KEYS\""))?.env("KEYS", &keys);
    equal("said", cured.succeed()?, "ready")
}

fn hybrid(bed: &Bed) -> TestResult {
    CRUN.path()?;
    let (_, found) = diagnosis(bed, "", "--for crun")?;
    if found["place"]["cgroups"]["mixed"] != true {
        return need::skip("needs cgroup v1 beside a v2 that has controllers");
    }
    Bundle::new(bed, "b", "echo started")?.write()?;
    let bare = script(bed, "crun --root \"$BED/state\" run --bundle \"$BED/b\" \"$ID\"")?.run()?;
    let said = bare.stderr.trim().to_owned();
    equal("id", id_of(bed, &said)?.as_str(), "crun_hybrid")?;
    let cure = cure(of_id(&found, "crun_hybrid")?)?
        .replace("BUNDLE", "$BED/b")
        .replace("run --bundle", "--root $BED/state run --bundle")
        .replace(" ID", " $ID");
    equal("said", script(bed, &cure)?.succeed()?, "started")
}

/// Where writing by a procfs that is mounted nowhere is denied, as AppArmor does it in LXC, runc fails and the cure helps.
fn detached_procfs(bed: &Bed) -> TestResult {
    let runc = RUNC_1_5.path()?;
    Bundle::new(bed, "b", "cat /proc/sys/net/ipv4/ip_unprivileged_port_start")?
        .own_namespace("network")
        .sysctl("net.ipv4.ip_unprivileged_port_start", "77")
        .write()?;
    let folder = runc.parent().unwrap_or(&runc).display().to_string();
    let denied = |command: &str| -> TestResult<Output> {
        let text = format!("export PATH=\"{folder}:$PATH\"\ndenied \"$DETACHED\" {command}");
        let script = with_denial(bed, script(bed, &text)?)?;
        script.env("DETACHED", DETACHED).env("RUNTIME", &runc).run()
    };
    denied("run rt b")?.fails_with("reopen fd")?;
    let output = denied("nsprep doctor --for runc --json")?;
    let Ok(found) = serde_json::from_str::<Value>(&output.stdout) else {
        return output.fail("no JSON");
    };
    let cure = cure(of_id(&found, "detached_procfs")?)?
        .replace("BUNDLE", "\"$BED/b\"")
        .replace("--exec", "--config \"$CONFIG\" --exec")
        .replace(" run ", " --root \"$BED/state\" run --no-new-keyring ")
        .replace(" ID", " \"$ID\"");
    equal("value", denied(&cure)?.success()?, "77")?;
    let (_, elsewhere) = diagnosis(bed, "", "--for runc")?;
    equal(
        "found elsewhere",
        of_id(&elsewhere, "detached_procfs").is_ok(),
        false,
    )
}

/// What stands for a runtime is seen through.
fn bridged(bed: &Bed) -> TestResult {
    let runc = RUNC_1_5.path()?;
    let place = format!(
        "mkdir bin; ln -s \"$BRIDGE\" bin/runc; export PATH=\"$BED/bin:{}:$PATH\"",
        runc.parent().unwrap_or(&runc).display()
    );
    let (_, found) = diagnosis(bed, &place, "--for runc")?;
    let program = &found["programs"][0];
    equal("bridged", &program["bridged"], &Value::Bool(true))?;
    equal("version", program["version"].as_str(), Some("1.5.2"))
}

/// A user whose quota of keys is used up: a user namespace has one of its own, and root in it may be nobody outside.
fn session_keyring(bed: &Bed) -> TestResult {
    need::command("perl")?;
    // add_key(2) until it is refused, in a session of its own, by a user who has no other key; what is asked runs below it.
    let fill = r#"cat > fill.pl <<'END'
my $n = 0;
my ($type, $value) = ("user", "x");
while (1) { my $name = "procemu-doctor-$n"; last if syscall(248, $type, $name, $value, 1, -3) < 0; $n++ }
exec @ARGV;
END
        run=$BED/run; mkdir -m 777 "$run"; cp "$NSPREP" "$run/nsprep"
        setpriv --reuid=61234 --regid=61234 --clear-groups perl -e 'syscall(250, 1, 0); exec @ARGV' \
            perl fill.pl "$run/nsprep" doctor --for runc --json"#;
    if !cfg!(target_arch = "x86_64") {
        return need::skip("needs x86_64, for whose system calls it is written");
    }
    let output = script(bed, fill)?.run()?;
    let Ok(found) = serde_json::from_str::<Value>(&output.stdout) else {
        return output.fail("no JSON");
    };
    equal(
        "refused",
        &found["place"]["keyring"]["refused"],
        &Value::Bool(true),
    )?;
    let finding = of_id(&found, "session_keyring")?;
    equal("flag", cure(finding)?.contains("--no-new-keyring"), true)
}

/// The id of what is known of `text`.
fn id_of(bed: &Bed, text: &str) -> TestResult<String> {
    let output = script(bed, "nsprep doctor --json --explain -")?
        .stdin(text.as_bytes())
        .run()?;
    let Ok(known) = serde_json::from_str::<Value>(&output.stdout) else {
        return output.fail("no JSON");
    };
    match known["explanation"]["id"].as_str() {
        Some(id) if output.status.success() => Ok(id.to_owned()),
        _ => output.fail(format!("not known: {text}")),
    }
}

/// What real runtimes say is known.
fn explain_cap_last_cap(bed: &Bed, runtime: Runtime) -> TestResult {
    Bundle::new(bed, "b", "echo started; cat /proc/sys/kernel/cap_last_cap")?
        .bind_proc(&bed.path("inner"))
        .write()?;
    let text = "deprived_proc inner kernel/cap_last_cap; deprive /proc kernel/cap_last_cap\nrun rt b";
    let said = bed.runtime_script(&runtime, text)?.run()?.stderr;
    let expected = match runtime {
        RUNC_1_5 => "init_cap_last_cap",
        _ => "key_missing",
    };
    equal("id", id_of(bed, &said)?.as_str(), expected)
}

fn explain_sysctl(bed: &Bed, runtime: Runtime) -> TestResult {
    Bundle::new(bed, "b", "true")?
        .own_namespace("network")
        .sysctl("net.ipv4.made_up", "5")
        .write()?;
    let said = bed.runtime_script(&runtime, "run rt b")?.run()?.stderr;
    let expected = match runtime {
        RUNC_1_5 => "sysctl_lacking",
        _ => "key_missing",
    };
    equal("id", id_of(bed, &said)?.as_str(), expected)
}

fn explain_spec_version(bed: &Bed) -> TestResult {
    let mut bundle = Bundle::new(bed, "b", "true")?;
    bundle.config["ociVersion"] = "1.3.0".into();
    bundle.write()?;
    let said = bed.runtime_script(&CRUN, "run rt b")?.run()?.stderr;
    equal("id", id_of(bed, &said)?.as_str(), "spec_version")
}

fn explain_unknown(bed: &Bed) -> TestResult {
    let output = script(bed, "nsprep doctor --explain 'segmentation fault'")?.run()?;
    equal("exit code", output.status.code(), Some(1))?;
    equal("says so", output.stdout.starts_with("not known"), true)?;
    let json = script(bed, "nsprep doctor --json --explain - || echo $?")?
        .stdin(b"\0\n")
        .succeed()?;
    equal(
        "JSON",
        json.as_str(),
        "{\n  \"version\": 1,\n  \"explanation\": null\n}\n1",
    )
}

/// Colour is for terminals, and for who asks for it.
fn colour(bed: &Bed) -> TestResult {
    let text = "explain() { nsprep doctor --explain 'unknown version specified'; }
        explain | grep -c $'\\e' || true
        CLICOLOR_FORCE=1 explain | grep -c $'\\e\\[' > coloured; test $(cat coloured) -gt 0
        NO_COLOR=1 script -qec 'nsprep doctor --explain \"unknown version specified\"' /dev/null | grep -c $'\\e\\[' || true
        script -qec 'nsprep doctor --explain \"unknown version specified\"' /dev/null | grep -c $'\\e\\[' > terminal
        test $(cat terminal) -gt 0";
    let script = script(bed, text)?.env("TERM", "xterm");
    equal("lines in colour", script.succeed()?, "0\n0")
}

fn wrong_names(bed: &Bed) -> TestResult {
    let refused = |options: &str, words: &[&str]| -> TestResult {
        script(bed, &format!("nsprep doctor {options}"))?
            .run()?
            .refuses(2, words)
    };
    refused("--for nonsense", &["nonsense", "no program on PATH", "kubelet"])?;
    let output = script(
        bed,
        "nsprep doctor --output /nonexistent/t.toml -- touch \"$BED/ran\"",
    )?
    .run()?;
    output.refuses(125, &["/nonexistent/t.toml", "no such file or directory"])?;
    equal("ran", bed.path("ran").exists(), false)
}

/// In a container whose /proc lacks the key, the table that is proposed cures it.
fn watch_runc(bed: &Bed) -> TestResult {
    Bundle::new(bed, "b", "cat /proc/sys/kernel/cap_last_cap")?
        .bind_proc(&bed.path("inner"))
        .write()?;
    let text = r#"deprived_proc inner kernel/cap_last_cap
        "$NSPREP" doctor --output t.toml -- "$RUNTIME" --root "$BED/state" run --no-new-keyring --bundle "$BED/b" "$ID" && exit 9
        grep -q '^"kernel/cap_last_cap" = { computed = "cap_last_cap"' t.toml
        "$NSPREP" bundle --runtime "$RUNTIME" --table t.toml "$BED/b" > /dev/null
        run rt b"#;
    let said = bed.runtime_script(&RUNC_1_5, text)?.succeed()?;
    let last = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap")?;
    equal("key", said.as_str(), last.trim())
}

/// And around a program.
fn watch_crun(bed: &Bed) -> TestResult {
    Bundle::new(bed, "b", "echo started")?.write()?;
    let text = r#"deprive /proc kernel/cap_last_cap
        "$NSPREP" doctor --output t.toml -- "$RUNTIME" --root "$BED/state" run --no-new-keyring --bundle "$BED/b" "$ID" && exit 9
        grep -q 'profile crun' t.toml
        "$NSPREP" exec --table t.toml -- "$RUNTIME" --root "$BED/state" run --no-new-keyring --bundle "$BED/b" "$ID""#;
    equal("said", bed.runtime_script(&CRUN, text)?.succeed()?, "started")
}

/// Each way of looking for a file, by children and threads too, and relative to folders.
fn watch_calls(bed: &Bed) -> TestResult {
    need::command("python3")?;
    let program = r#"
import os, subprocess, sys, threading
def no(call, *args, **more):
    try: call(*args, **more)
    except OSError: pass
no(os.open, "/proc/sys/kernel/by_open", os.O_RDONLY)
no(os.stat, "/proc/./sys//kernel/by_stat")
no(os.lstat, "/proc/sys/kernel/../vm/by_lstat")
os.access("/proc/sys/fs/by_access", os.R_OK)
folder = os.open("/proc/sys/net", os.O_RDONLY | os.O_DIRECTORY)
no(os.open, "ipv4/by_folder", os.O_RDONLY, dir_fd=folder)
os.chdir("/proc/sys/user")
no(os.open, "by_cwd", os.O_RDONLY)
no(os.open, "/sys/module/by_sysfs/parameters/x", os.O_RDONLY)
threading.Thread(target=lambda: no(os.open, "/proc/sys/kernel/by_thread", os.O_RDONLY)).start()
subprocess.run(["sh", "-c", "(cat /proc/sys/kernel/by_grandchild) 2> /dev/null"])
no(os.open, "/proc/self/no_key", os.O_RDONLY)
no(os.open, "/nonexistent/no_key", os.O_RDONLY)
"#;
    let text = r#"nsprep doctor --json --output t.json -- python3 "$PROGRAM"; cat t.json"#;
    let output = script(bed, text)?
        .env("PROGRAM", bed.file("program.py", program)?)
        .succeed()?;
    let found: Value = serde_json::from_str(&output)?;
    let refused = found["refused"].as_array().cloned().unwrap_or_default();
    let keys: Vec<_> = refused.iter().filter_map(|one| one["key"].as_str()).collect();
    for key in [
        "kernel/by_open",
        "kernel/by_stat",
        "vm/by_lstat",
        "fs/by_access",
        "net/ipv4/by_folder",
        "user/by_cwd",
        "/sys/module/by_sysfs/parameters/x",
        "kernel/by_thread",
        "kernel/by_grandchild",
    ] {
        equal(format!("{key} in {keys:?}"), keys.contains(&key), true)?;
    }
    let other = keys.iter().find(|key| key.contains("no_key"));
    equal("what is no key", other, None)
}

/// A read-only key is told from a missing one, and the table replaces it.
fn watch_stuck(bed: &Bed) -> TestResult {
    let text = "read_only_proc_sys
        nsprep doctor --output t.toml -- sh -c 'echo 0 > /proc/sys/vm/panic_on_oom' && exit 9
        grep -q 'read-only file system; profile kubelet' t.toml
        nsprep exec --table t.toml -- sh -c 'echo 1 > /proc/sys/vm/panic_on_oom; cat /proc/sys/vm/panic_on_oom'";
    equal("value", script(bed, text)?.succeed()?, "1")
}

/// Exit codes, signals, standard input and output are the command's own.
fn watch_ends(bed: &Bed) -> TestResult {
    let text = r#"doctor() { nsprep doctor -- "$@" 2> /dev/null; }
        ended() { local code=0; "$@" || code=$?; echo "$code"; }
        echo typed | doctor cat
        ended doctor sh -c 'exit 42'
        ended doctor nosuchcommand
        ended doctor /etc/passwd
        ended doctor sh -c 'kill -TERM $$'
        ended doctor sh -c 'kill -KILL $$'
        ended doctor bash -c 'kill -40 $$'
        ended doctor bash -c 'trap "echo told; exit 7" TERM; kill -TERM $PPID; while :; do sleep 0.01; done'
        doctor bash -c 'trap - USR1; grep SigBlk /proc/self/status' > blocked; grep SigBlk /proc/self/status | diff - blocked
        perl -e '$SIG{CHLD} = "IGNORE"; exec @ARGV' "$NSPREP" doctor -- sh -c 'exit 4' 2> said || echo $?
        perl -e '$SIG{CHLD} = "IGNORE"; exec @ARGV' "$NSPREP" doctor -- grep SigIgn /proc/self/status > ignored 2> said
        perl -e '$SIG{CHLD} = "IGNORE"; exec @ARGV' grep SigIgn /proc/self/status | diff - ignored
        (sleep 0.1; nsprep doctor -- sh -c 'sleep 0.2 & echo left') 2> /dev/null"#;
    let said = script(bed, text)?.succeed()?;
    equal(
        "said",
        said.as_str(),
        "typed\n42\n127\n126\n143\n137\n168\ntold\n7\n4\nleft",
    )
}

/// A command that stops stays so until it is to go on.
fn watch_stopped(bed: &Bed) -> TestResult {
    let text = r#"nsprep doctor -- sh -c 'echo $$ > pid.new; mv pid.new pid; kill -STOP $$; echo goes on; exit 3' > out 2> /dev/null &
        wait_for pid; pid=$(cat pid)
        until_true stopped grep -q '^State:.*stop' /proc/$pid/status
        sleep 0.2; grep -c 'goes on' out || true
        kill -CONT "$pid"; code=0; wait $! || code=$?; cat out; echo "$code""#;
    equal("said", script(bed, text)?.succeed()?, "0\ngoes on\n3")
}

/// A program that may not be read may not be traced by somebody without rights: it runs all the same.
fn watch_refused(bed: &Bed) -> TestResult {
    let text = r#"deprive /proc kernel/panic
        cp "$NSPREP" locked; chmod 711 locked
        nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all "$@"; }
        nobody ./locked doctor -- sh -c 'exit 6' 2> said || echo $?
        nobody perl -e '$SIG{CHLD} = "IGNORE"; exec @ARGV' ./locked doctor -- sh -c 'echo ran; exit 5'"#;
    let output: Output = script(bed, text)?.run()?;
    equal("exit code", output.status.code(), Some(5))?;
    equal("said", output.stdout.as_str(), "6\nran\n")?;
    for part in [
        "sh was not watched: ptrace(PTRACE_SEIZE): operation not permitted",
        "the place itself tells",
    ] {
        if !output.stderr.contains(part) {
            return output.fail(format!("should have said {part:?}"));
        }
    }
    // A program that may not be read has no user namespace with ids of its own either.
    equal(
        "what cannot be done",
        output.stderr.contains("nothing can be attached here"),
        true,
    )
}

/// The commands of the page.
fn page(bed: &Bed) -> TestResult {
    let text = format!(
        "cd \"$BED\"; deprive /proc kernel/cap_last_cap\n{}",
        typed_page(PAGE)?
    );
    let output = script(bed, &text)?.succeed()?;
    section(&output, "watch")?;
    page_prints(PAGE, &output)
}
