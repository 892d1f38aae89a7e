//! What is wrong is refused whole: one line that names it, an exit code, nothing mounted, nothing written.

mod support;

use std::process::ExitCode;

use support::{
    Bed, Bundle, RUNC_1_1, RUNC_1_5, RUNTIMES, Runtime, Suite, TestResult, equal, fail, made_up_table, need,
    refused,
};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.test("cured::no_right", no_right);
    suite.test("cured::no_runtime", no_runtime);
    suite.test("cured::rootfs::symlink", |bed| {
        rootfs(bed, "mkdir r; ln -s /proc r/proc", "proc")
    });
    suite.test("cured::rootfs::dangling", |bed| {
        rootfs(bed, "mkdir r; ln -s nowhere r/proc", "proc")
    });
    suite.test("cured::rootfs::not_procfs", |bed| {
        rootfs(bed, "mkdir -p r/proc/sys/kernel", "proc")
    });
    suite.test("cured::rootfs::tmpfs", |bed| {
        rootfs(
            bed,
            "mkdir -p r/proc; mount -t tmpfs t r/proc; mkdir r/proc/sys",
            "proc",
        )
    });
    suite.test("cured::rootfs::not_its_root", |bed| {
        rootfs(bed, "mkdir -p r/proc; mount --bind /proc/sys r/proc", "proc")
    });
    suite.test("cured::rootfs::no_proc", |bed| rootfs(bed, "mkdir r", "proc"));
    suite.test("cured::rootfs::none", |bed| rootfs(bed, "true", "/r"));
    for (name, state, words) in STATES {
        suite.test(format!("cured::state::{name}"), move |bed| {
            hook_state(bed, state, words)
        });
    }
    for (name, prepare, words) in BUNDLES {
        suite.test(format!("cured::bundle::{name}"), move |bed| {
            bundle(bed, prepare, words)
        });
    }
    for (name, text, words) in CONFIGS {
        suite.test(format!("cured::config::{name}"), move |bed| {
            config(bed, text, words)
        });
        suite.test(format!("cured::install::{name}"), move |bed| {
            install(bed, text, words)
        });
    }
    for runtime in RUNTIMES {
        suite.test(format!("cured::log::{}", runtime.name), move |bed| {
            log(bed, runtime)
        });
        suite.test(format!("cured::hook_fails::{}", runtime.name), move |bed| {
            hook_fails(bed, runtime)
        });
    }
    suite.run()
}

/// No CAP_SYS_ADMIN, and user namespaces used up: nothing can be done, and that is what it says.
fn no_right(bed: &Bed) -> TestResult {
    need::unprivileged_user_namespaces()?;
    let table = made_up_table(bed)?;
    let inside = r#"echo 0 > /proc/sys/user/max_user_namespaces
        exec setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin"#;
    for (call, code) in [
        ("exec --table $TABLE -- touch ran", 125),
        ("attach --table $TABLE", 3),
    ] {
        let text = format!("exec unshare --user --map-root-user bash -c '{inside} \"$NSPREP\" {call}'");
        let output = bed.script(&text)?.env("TABLE", &table).run()?;
        output.refuses(code, &["CAP_SYS_ADMIN"])?;
    }
    equal("the program ran", bed.path("ran").exists(), false)
}

fn rootfs(bed: &Bed, prepare: &str, word: &str) -> TestResult {
    made_up_table(bed)?;
    for call in ["attach", "verify", "plan"] {
        // A place that is not what it should be: bad input, or a place that does not allow it.
        let text = format!(
            "{prepare}\nstatus=0\n(\"$NSPREP\" {call} --table made_up.toml --rootfs \"$BED/r\") || status=$?"
        );
        let text = format!("{text}\ncase $status in 2|3) exit 2 ;; *) exit 1 ;; esac");
        need::root()?;
        let after = "grep procemu: /proc/self/mountinfo && exit 9";
        let output = bed
            .script(&text.replace("\ncase", &format!("\n{after}\ncase")))?
            .run()?;
        output.refuses(2, &[word])?;
        bed.script("rm -rf r")?.succeed()?;
    }
    Ok(())
}

/// What a runtime may send, or another program.
const STATES: &[(&str, &str, &[&str])] = &[
    ("empty", "", &["state"]),
    ("not_json", "hello", &["state"]),
    (
        "no_bundle",
        r#"{"ociVersion": "1.0.2", "id": "x", "status": "creating", "pid": 1}"#,
        &["bundle"],
    ),
    (
        "relative_bundle",
        r#"{"ociVersion": "1.0.2", "id": "x", "status": "creating", "pid": 1, "bundle": "b"}"#,
        &["bundle"],
    ),
    (
        "missing_bundle",
        r#"{"ociVersion": "1.0.2", "id": "x", "status": "creating", "pid": 1, "bundle": "/nowhere/b"}"#,
        &["/nowhere/b"],
    ),
    (
        "bundle_number",
        r#"{"ociVersion": "1.0.2", "id": "x", "status": "creating", "pid": 1, "bundle": 7}"#,
        &["bundle"],
    ),
    (
        "bundle_nul",
        r#"{"ociVersion": "1.0.2", "id": "x", "status": "creating", "pid": 1, "bundle": "/a\u0000b"}"#,
        &["bundle"],
    ),
];

fn hook_state(bed: &Bed, state: &str, words: &[&str]) -> TestResult {
    bed.file("state.json", state)?;
    refused(bed, r#"exec "$BRIDGE" hook < state.json"#, 1, words)
}

/// How the bundle `b` is spoilt.
const BUNDLES: &[(&str, &str, &[&str])] = &[
    ("no_config", "rm b/config.json", &["config.json"]),
    ("empty_config", ": > b/config.json", &["config.json"]),
    ("config_is_a_list", "echo '[]' > b/config.json", &["config.json"]),
    (
        "config_is_a_folder",
        "rm b/config.json; mkdir b/config.json",
        &["config.json"],
    ),
    (
        "hooks_is_text",
        r#"echo '{"ociVersion": "1.0.2", "hooks": "x"}' > b/config.json"#,
        &["hooks"],
    ),
    (
        "sysctl_is_a_list",
        r#"echo '{"ociVersion": "1.0.2", "linux": {"sysctl": []}}' > b/config.json"#,
        &["sysctl"],
    ),
    ("no_bundle", "rm -r b", &["b"]),
];

fn bundle(bed: &Bed, prepare: &str, words: &[&str]) -> TestResult {
    Bundle::new(bed, "b", "true")?.write()?;
    let table = made_up_table(bed)?;
    bed.config(&table)?;
    bed.script(prepare)?.succeed()?;
    let runtime = RUNC_1_1.path().or_else(|_| RUNC_1_5.path())?;
    let runtime = runtime.display();
    refused(
        bed,
        &format!("exec \"$BRIDGE\" rewrite --runtime {runtime} --config bridge.toml \"$BED/b\""),
        1,
        words,
    )?;
    refused(
        bed,
        &format!("exec \"$NSPREP\" bundle --table made_up.toml --runtime {runtime} \"$BED/b\""),
        2,
        words,
    )
}

/// A bundle is made for the runtime that is named; one that is not there would be taken for any.
fn no_runtime(bed: &Bed) -> TestResult {
    Bundle::new(bed, "b", "true")?.write()?;
    made_up_table(bed)?;
    for runtime in ["/nosuch/runc", "nosuch"] {
        let line = format!("exec \"$NSPREP\" bundle --table made_up.toml --runtime {runtime} \"$BED/b\"");
        refused(bed, &line, 2, &["--runtime", runtime])?;
    }
    Ok(())
}

/// What may be wrong in bridge.toml.
const CONFIGS: &[(&str, &str, &[&str])] = &[
    ("broken", "profiles = [\n", &["bridge.toml"]),
    ("unknown_key", "profils = []\n", &["bridge.toml", "profils"]),
    (
        "unknown_profile",
        "profiles = [\"kublet\"]\n",
        &["kublet", "kubelet"],
    ),
    (
        "wrong_type_in_a_list",
        "profiles = [\n  \"runc\",\n  3,\n]\n",
        &["bridge.toml:4: profiles[1]: ", "expected a string"],
    ),
    (
        "unknown_profile_in_a_list",
        "profiles = [\n  \"runc\",\n  \"kublet\",\n]\n",
        &["bridge.toml:4: profiles: ", "kublet"],
    ),
    (
        "no_word",
        "[policy]\nno_new_keyring = true\n",
        &[
            "bridge.toml:3: policy.no_new_keyring: ",
            "`auto`, `always`, `never`",
        ],
    ),
    (
        "no_path",
        "[runtimes]\nrunc = 3\n",
        &["bridge.toml:3: runtimes.runc: ", "a path in quotes"],
    ),
    (
        "no_table",
        "policy = 3\n",
        &["bridge.toml:2: policy: ", "expected a table"],
    ),
    (
        "twice",
        "[log]\nchanges = true\nchanges = false\n",
        &["bridge.toml:4: changes: ", "given twice"],
    ),
    (
        "missing_table",
        "tables = [\"/nowhere.toml\"]\n",
        &["/nowhere.toml"],
    ),
];

/// With a wrong configuration the wrapper starts no container, but commands that need none of it work.
fn config(bed: &Bed, text: &str, words: &[&str]) -> TestResult {
    let runtime = RUNC_1_1.path().or_else(|_| RUNC_1_5.path())?;
    Bundle::new(bed, "b", "echo started")?.write()?;
    bed.config_with(text)?;
    let call = format!(
        "exec \"$BRIDGE\" runtime --exec {} --config bridge.toml -- --root \"$BED/state\"",
        runtime.display()
    );
    refused(bed, &format!("{call} run --bundle \"$BED/b\" \"$ID\""), 1, words)?;
    let output = bed
        .script(&format!(
            "exec \"$BRIDGE\" runtime --exec {} -- --version",
            runtime.display()
        ))?
        .succeed()?;
    if output.starts_with("runc version") {
        Ok(())
    } else {
        fail(output)
    }
}

/// Nor is an engine told of a bridge that would start none.
fn install(bed: &Bed, text: &str, words: &[&str]) -> TestResult {
    need::root()?;
    bed.config_with(text)?;
    let call = r#"exec unshare --mount sh -c 'mount -t tmpfs tmpfs /etc; mkdir /etc/procemu; cp bridge.toml /etc/procemu/
        exec "$BRIDGE" install hooks-dir --config "$BED/hook.json" --restart true'"#;
    refused(bed, call, 1, words)?;
    equal("the engine was told", bed.path("hook.json").exists(), false)
}

/// The engine reads the `--log` file, not standard error.
fn log(bed: &Bed, runtime: Runtime) -> TestResult {
    Bundle::new(bed, "b", "echo started")?.write()?;
    bed.config_with("tables = [\"/nowhere.toml\"]\n")?;
    let text = r#"status=0
        "$BRIDGE" runtime --exec "$RUNTIME" --config bridge.toml -- --root "$BED/state" --log "$BED/log.json" \
            --log-format json create --bundle "$BED/b" --pid-file "$BED/b.pid" "$ID" < /dev/null || status=$?
        tail -n 1 log.json; exit $status"#;
    let output = bed.runtime_script(&runtime, text)?.run()?;
    output.fails_with("/nowhere.toml")?;
    let line: serde_json::Value = serde_json::from_str(output.stdout.trim())?;
    equal("level", line["level"].as_str(), Some("error"))?;
    equal(
        "message names the table",
        line["msg"].as_str().map(|text| text.contains("/nowhere.toml")),
        Some(true),
    )?;
    equal("time", line["time"].is_string(), true)
}

/// A hook that cannot do its work fails the container, and its reason is readable through the runtime.
fn hook_fails(bed: &Bed, runtime: Runtime) -> TestResult {
    let bundle = Bundle::new(bed, "b", "echo started")?;
    // The key lies below a folder that gets another one, so it is the hook's to set, and takes no such value.
    bundle
        .own_namespace("network")
        .sysctl("net.ipv4.ip_forward", "none")
        .write()?;
    let config = bed.config(&made_up_table(bed)?)?;
    // Through a pipe, as engines have it.
    let run = "set -o pipefail; { run wrapped b 2>&1 >&3 | cat >&2; } 3>&1";
    let output = bed.runtime_script(&runtime, run)?.env("CONFIG", config).run()?;
    equal("standard output", output.stdout.as_str(), "")?;
    output.fails_with("sysctl net.ipv4.ip_forward=none")
}
