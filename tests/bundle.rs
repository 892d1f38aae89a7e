//! `nsprep bundle`: a bundle that a plain runtime runs as it is.

mod support;

use std::fs;
use std::process::ExitCode;

use serde_json::Value;
use support::{
    Bed, Bundle, RUNTIMES, Runtime, Suite, TestResult, equal, fail, made_up_table, made_up_values,
    print_made_up,
};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    for runtime in RUNTIMES {
        suite.test(format!("cured::runs::{}", runtime.name), move |bed| {
            runs(bed, runtime)
        });
        suite.test(format!("cured::dry_run::{}", runtime.name), move |bed| {
            dry_run(bed, runtime)
        });
        suite.test(format!("cured::leaves_nothing::{}", runtime.name), move |bed| {
            leaves_nothing(bed, runtime)
        });
    }
    suite.run()
}

const BUNDLE: &str = r#""$NSPREP" bundle "$BED/b" --runtime "$RUNTIME" --table "$TABLE""#;

/// Made once or twice, it is the same, and all that was in config.json still is.
fn runs(bed: &Bed, runtime: Runtime) -> TestResult {
    let mut bundle = Bundle::new(bed, "b", &print_made_up())?;
    bundle.config["annotations"] = serde_json::json!({"org.example/unknown": "kept"});
    bundle.config["unknownMember"] =
        serde_json::json!({"number": 12_345_678_901_234_567_890_u64, "list": [1, null]});
    let path = bundle.write()?.join("config.json");
    let before: Value = serde_json::from_slice(&fs::read(&path)?)?;
    let table = made_up_table(bed)?;
    bed.runtime_script(&runtime, BUNDLE)?
        .env("TABLE", &table)
        .succeed()?;
    let once = fs::read(&path)?;
    let mut after: Value = serde_json::from_slice(&once)?;
    let members = after
        .as_object_mut()
        .ok_or(support::Stop::Fail("config.json is no object".into()))?;
    if members.remove("hooks").is_none() {
        return fail("no hook");
    }
    members.remove("procemu");
    equal("the rest of config.json", after.to_string(), before.to_string())?;
    bed.runtime_script(&runtime, BUNDLE)?
        .env("TABLE", &table)
        .succeed()?;
    equal("changed by the second time", fs::read(&path)? == once, true)?;
    equal(
        "values",
        bed.runtime_script(&runtime, "run rt b")?.succeed()?,
        made_up_values(),
    )
}

fn dry_run(bed: &Bed, runtime: Runtime) -> TestResult {
    let path = Bundle::new(bed, "b", "true")?.write()?.join("config.json");
    let before = fs::read(&path)?;
    let script = bed.runtime_script(&runtime, &format!("{BUNDLE} --dry-run; ls -A \"$BED/b\""))?;
    let output = script.env("TABLE", made_up_table(bed)?).succeed()?;
    equal("config.json is untouched", fs::read(&path)? == before, true)?;
    equal("names the hook", output.contains("hook"), true)?;
    equal(
        "left in the bundle",
        output.ends_with("\nconfig.json\nrootfs"),
        true,
    )
}

/// What the wrapper remembers from one container to the next is no matter of a bundle that is made once, and a dry run writes nothing.
fn leaves_nothing(bed: &Bed, runtime: Runtime) -> TestResult {
    Bundle::new(bed, "b", "true")?.own_namespace("network").write()?;
    let table = made_up_table(bed)?;
    let config = bed.config(&table)?;
    let text = format!(
        "mount -t tmpfs run /run
        {BUNDLE} --dry-run > said; {BUNDLE} > said
        # crun makes its own folder whenever it is asked anything.
        ls -A /run | grep -v '^crun$' || true
        \"$BRIDGE\" rewrite \"$BED/b\" --runtime \"$RUNTIME\" --config \"$BRIDGE_TOML\" --dry-run > said; ls \"$BED/bridge-state\" 2>&1 | grep -c 'No such'"
    );
    let script = bed.runtime_script(&runtime, &text)?.env("TABLE", &table);
    equal("left", script.env("BRIDGE_TOML", config).succeed()?.as_str(), "1")
}
