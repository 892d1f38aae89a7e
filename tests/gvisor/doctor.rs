//! `nsprep doctor` in a real gVisor: it knows where it is, what is lacking there, and cures that are cures.

#[path = "../support/mod.rs"]
mod support;

use std::process::ExitCode;

use serde_json::Value;
use support::{Bed, GVISOR, GVISOR_LACKING, Gvisor, Suite, TestResult, equal, fail, kubelet_keys};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.test("place", place);
    suite.test("lacking::kubelet", kubelet);
    suite.test("lacking::crun", crun);
    suite.test("watch", watch);
    suite.run()
}

fn diagnosis(bed: &Bed, gvisor: Gvisor, options: &str) -> TestResult<Value> {
    let text = format!("\"$NSPREP\" doctor {options} --json || test $? = 1");
    let output = bed.sandbox(gvisor, &text)?.succeed()?;
    serde_json::from_str(&output).or_else(|error| fail(format!("no JSON: {error}: {output}")))
}

fn lacking(found: &Value) -> TestResult<(Vec<(&str, &str)>, &str)> {
    let findings = found["findings"].as_array().into_iter().flatten();
    let Some(finding) = findings
        .into_iter()
        .find(|finding| finding["id"] == "keys_lacking")
    else {
        return fail(format!("no keys lacking: {found:#}"));
    };
    let keys = finding["keys"].as_array().into_iter().flatten();
    let keys = keys.filter_map(|key| Some((key["key"].as_str()?, key["state"].as_str()?)));
    Ok((keys.collect(), finding["cure"][0].as_str().unwrap_or_default()))
}

fn place(bed: &Bed) -> TestResult {
    let found = diagnosis(bed, GVISOR, "--for runc")?;
    let place = &found["place"];
    let inside = place["inside"].as_array().cloned().unwrap_or_default();
    equal("gvisor", inside.contains(&Value::from("gvisor")), true)?;
    // The new interface takes no files there: docs/gvisor.md.
    equal("new refused", place["attaching"]["new_refused"].is_string(), true)?;
    equal(
        "classic refused",
        &place["attaching"]["classic_refused"],
        &Value::Null,
    )?;
    equal("cgroups", place["cgroups"]["version"].as_str(), Some("none"))?;
    let ids: Vec<_> = found["findings"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|finding| finding["id"].as_str())
        .collect();
    for id in ["no_cgroups", "cgroup_namespace"] {
        equal(format!("{id} in {ids:?}"), ids.contains(&id), true)?;
    }
    // Typed as it is said, it gives runc what it needs.
    let findings = found["findings"].as_array().into_iter().flatten();
    let mut cures = findings.filter(|finding| finding["id"] == "no_cgroups");
    let cure = cures.next().and_then(|finding| finding["cure"][0].as_str());
    let text = format!(
        "{}\n\"$NSPREP\" doctor --for runc --json > found || test $? = 1; grep -c no_cgroups found || true",
        cure.unwrap_or_default()
    );
    equal("still found", bed.sandbox(GVISOR, &text)?.succeed()?, "0")
}

/// Five keys are missing, one is stuck, and what is said to cure that does.
fn kubelet(bed: &Bed) -> TestResult {
    let found = diagnosis(bed, GVISOR, "--for kubelet")?;
    let (keys, cure) = lacking(&found)?;
    equal("stuck", keys.contains(&("vm/overcommit_memory", "stuck")), true)?;
    equal("missing", keys.contains(&("kernel/panic", "missing")), true)?;
    let Some(command) = cure
        .strip_prefix("nsprep ")
        .and_then(|cure| cure.strip_suffix("kubelet ..."))
    else {
        return fail(format!("not for the kubelet: {cure}"));
    };
    let script = bed.sandbox(GVISOR, &format!("\"$NSPREP\" {command} sh \"$KUBELET\""))?;
    let script = script.env("KUBELET", kubelet_keys(bed)?);
    equal("standard output", script.succeed()?, "ready")
}

fn crun(bed: &Bed) -> TestResult {
    let found = diagnosis(bed, GVISOR_LACKING, "--for crun")?;
    equal(
        "keys",
        lacking(&found)?.0,
        vec![("kernel/cap_last_cap", "missing")],
    )
}

/// ptrace(2) is there, and sees what it has to.
fn watch(bed: &Bed) -> TestResult {
    let text = r#"code=0; "$NSPREP" doctor -- sh -c 'cat /proc/sys/kernel/cap_last_cap; exit 3' 2> said || code=$?
        echo "$code"; cat said >&2
        grep -q '^"kernel/cap_last_cap" = ' said"#;
    equal("exit code", bed.sandbox(GVISOR_LACKING, text)?.succeed()?, "3")
}
