//! `--explain`: what real runtimes say is known.

use serde_json::Value;

use crate::script;
use crate::support::{Bed, Bundle, CRUN, RUNC_1_5, Runtime, TestResult, equal};

/// The id of what is known of `text`.
pub fn id_of(bed: &Bed, text: &str) -> TestResult<String> {
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

/// The errors of docs/faq.md are known.
pub fn faq(bed: &Bed) -> TestResult {
    let page = include_str!("../../docs/faq.md");
    let errors = page
        .split("**`")
        .skip(1)
        .filter_map(|rest| rest.split_once("`**"));
    let errors: Vec<String> = errors.map(|(error, _)| error.replace('\n', " ")).collect();
    equal("are there any", errors.len() > 8, true)?;
    errors.iter().try_for_each(|error| id_of(bed, error).map(drop))
}

/// What real runtimes say is known.
pub fn explain_cap_last_cap(bed: &Bed, runtime: Runtime) -> TestResult {
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

pub fn explain_sysctl(bed: &Bed, runtime: Runtime) -> TestResult {
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

pub fn explain_spec_version(bed: &Bed) -> TestResult {
    let mut bundle = Bundle::new(bed, "b", "true")?;
    bundle.config["ociVersion"] = "1.3.0".into();
    bundle.write()?;
    let said = bed.runtime_script(&CRUN, "run rt b")?.run()?.stderr;
    equal("id", id_of(bed, &said)?.as_str(), "spec_version")
}

pub fn explain_unknown(bed: &Bed) -> TestResult {
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
pub fn colour(bed: &Bed) -> TestResult {
    let text = "explain() { nsprep doctor --explain 'unknown version specified'; }
        explain | grep -c $'\\e' || true
        CLICOLOR_FORCE=1 explain | grep -c $'\\e\\[' > coloured; test $(cat coloured) -gt 0
        NO_COLOR=1 script -qec 'nsprep doctor --explain \"unknown version specified\"' /dev/null | grep -c $'\\e\\[' || true
        script -qec 'nsprep doctor --explain \"unknown version specified\"' /dev/null | grep -c $'\\e\\[' > terminal
        test $(cat terminal) -gt 0";
    let script = script(bed, text)?.env("TERM", "xterm");
    equal("lines in colour", script.succeed()?, "0\n0")
}
