//! What `nsprep doctor` finds here is what goes wrong, and each cure that it names is one.

use serde_json::Value;

use crate::explains::id_of;
use crate::script;
use crate::support::{
    Bed, Bundle, CRUN, DETACHED, Output, RUNC_1_5, Runtime, TestResult, equal, fail, kubelet_keys, need,
    with_denial,
};

/// What is told of a place that lacks nothing is true, and nothing is found.
pub fn sound(bed: &Bed) -> TestResult {
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

/// Who may not try all is told what was not tried, and what of it works.
pub fn untried(bed: &Bed) -> TestResult {
    need::unprivileged_user_namespaces()?;
    let text = r#"cp "$NSPREP" "$BED/nsprep"; chmod 755 "$BED/nsprep"
        nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all "$@"; }
        nobody "$BED/nsprep" doctor --for sh > said || test $? = 1
        grep -c "attaching  *works around this user's programs, in a user namespace" said; grep -c '^  not tried  *attaching' said
        nsprep doctor --for sh | grep -c 'not tried' || true"#;
    equal(
        "said",
        script(bed, text)?.succeed()?.as_str(),
        "1
1
0",
    )
}

/// A program that is named and not there is looked at, and that it is not there is said.
pub fn absent(bed: &Bed) -> TestResult {
    let place = "nowhere=$BED/nowhere/kubelet";
    let text = format!("{place}\nnsprep doctor --for \"$nowhere\" || test $? = 1");
    let said = script(bed, &text)?.succeed()?;
    equal("said", said.contains("nowhere/kubelet not on PATH"), true)?;
    let (_, found) = diagnosis(bed, place, "--for \"$nowhere\",sh")?;
    let absent = found["absent"].as_array().map(Vec::len);
    equal("absent", absent, Some(1))?;
    let mut profiles = found["profiles"].as_array().into_iter().flatten();
    equal("looked at", profiles.any(|one| one["profile"] == "kubelet"), true)
}

pub fn version(bed: &Bed, runtime: Runtime) -> TestResult {
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

/// Engines tell their versions in words of their own.
pub fn engines(bed: &Bed) -> TestResult {
    for (name, version) in [("containerd", "2.2.9"), ("kubelet", "1.34.4"), ("crio", "1.34.0")] {
        let program = need::tool(name)?;
        let folder = program.parent().unwrap_or(&program).display();
        let (_, found) = diagnosis(
            bed,
            &format!("export PATH=\"{folder}:$PATH\""),
            &format!("--for {name}"),
        )?;
        let first = &found["programs"][0];
        equal("name", first["name"].as_str(), Some(name))?;
        equal(name, first["version"].as_str(), Some(version))?;
    }
    Ok(())
}

/// What goes wrong does, by crun's own account, and does not with the cure, typed as it is printed.
pub fn lacking_crun(bed: &Bed) -> TestResult {
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
    let cure = typed(&cure(finding)?);
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
pub fn lacking_kubelet(bed: &Bed) -> TestResult {
    let place = "deprive /proc vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops \
        kernel/keys/root_maxkeys kernel/keys/root_maxbytes";
    cures_the_kubelet(bed, place, &["missing"; 6])
}

/// Likewise where all of them refuse writes.
pub fn read_only_proc_sys(bed: &Bed) -> TestResult {
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

pub fn hybrid(bed: &Bed) -> TestResult {
    CRUN.path()?;
    let (_, found) = diagnosis(bed, "", "--for crun")?;
    needs_mixed(&found)?;
    Bundle::new(bed, "b", "echo started")?.write()?;
    let bare = script(bed, "crun --root \"$BED/state\" run --bundle \"$BED/b\" \"$ID\"")?.run()?;
    let said = bare.stderr.trim().to_owned();
    equal("id", id_of(bed, &said)?.as_str(), "crun_hybrid")?;
    let cure = typed(&cure(of_id(&found, "crun_hybrid")?)?);
    equal("said", script(bed, &cure)?.succeed()?, "started")
}

/// Where two things go wrong, the cure of each cures both.
pub fn hybrid_and_lacking(bed: &Bed) -> TestResult {
    CRUN.path()?;
    let place = "deprive /proc kernel/cap_last_cap";
    let (_, found) = diagnosis(bed, place, "--for crun")?;
    needs_mixed(&found)?;
    Bundle::new(bed, "b", "echo started")?.write()?;
    for id in ["crun_hybrid", "keys_lacking"] {
        let cure = typed(&cure(of_id(&found, id)?)?);
        let said = script(bed, &format!("{place}\n{cure}"))?.succeed()?;
        equal(id, said, "started")?;
    }
    Ok(())
}

/// And the table that is proposed for a command says what the command takes besides.
pub fn hybrid_watched(bed: &Bed) -> TestResult {
    let place = "deprive /proc kernel/cap_last_cap";
    let (_, found) = diagnosis(bed, place, "--for crun")?;
    needs_mixed(&found)?;
    Bundle::new(bed, "b", "echo started")?.write()?;
    let crun = format!(
        "{} --root \"$BED/state\" run --no-new-keyring --bundle \"$BED/b\" \"$ID\"",
        CRUN.command()
    );
    // By whom it is called makes no difference.
    let watch =
        format!("{place}\nnsprep doctor --output keys.toml -- sh -c '\"$@\"' sh {crun} || cat keys.toml");
    let watched = script(bed, &watch)?.run()?;
    let around = watched
        .stdout
        .lines()
        .find_map(|line| line.split_once("Around a program: "));
    let Some((_, around)) = around else {
        return watched.fail("no table");
    };
    if !watched
        .stderr
        .contains("cgroup v1 and a v2 with controllers are both mounted")
    {
        return watched.fail("does not say what is no matter of keys");
    }
    let around = around.replace("FILE", "keys.toml").replace("CMD", &crun);
    equal(
        "said",
        script(bed, &format!("{place}\n{around}"))?.succeed()?,
        "started",
    )
}

fn needs_mixed(found: &Value) -> TestResult {
    match found["place"]["cgroups"]["mixed"] == true {
        true => Ok(()),
        false => need::skip("needs cgroup v1 beside a v2 that has controllers"),
    }
}

/// The cure of a runtime for the bundle `b`, which leaves nothing behind.
fn typed(cure: &str) -> String {
    cure.replace("BUNDLE", "\"$BED/b\"")
        .replace("--exec", "--config \"$CONFIG\" --exec")
        .replace(" run ", " --root \"$BED/state\" run --no-new-keyring ")
        .replace(" ID", " \"$ID\"")
}

/// Where writing by a procfs that is mounted nowhere is denied, as AppArmor does it in LXC, runc fails and the cure helps.
pub fn detached_procfs(bed: &Bed) -> TestResult {
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
    let cure = typed(&cure(of_id(&found, "detached_procfs")?)?);
    equal("value", denied(&cure)?.success()?, "77")?;
    let (_, elsewhere) = diagnosis(bed, "", "--for runc")?;
    equal(
        "found elsewhere",
        of_id(&elsewhere, "detached_procfs").is_ok(),
        false,
    )
}

/// What stands for a runtime is seen through.
pub fn bridged(bed: &Bed) -> TestResult {
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
pub fn session_keyring(bed: &Bed) -> TestResult {
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
