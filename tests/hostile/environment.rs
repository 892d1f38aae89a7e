//! An image's variables: runc 1.1 gives them to a hook that has none of its own, and the dynamic linker of that one obeys them, where the
//! host's folders are still to be seen.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::support::{Bed, Bundle, Runtime, Suite, TestResult, edit_config, equal};

pub fn add(suite: &mut Suite) {
    suite.for_runtimes("environment::rewritten", rewritten);
    suite.for_runtimes("environment::by_hand", by_hand);
}

/// A bundle whose image asks the linker to write down what it loads, and us what we do; and a configuration by which it lacks a key.
fn image(bed: &Bed) -> TestResult<PathBuf> {
    let mut bundle = Bundle::new(bed, "b", "echo ran")?;
    let linker = bed.path("linked");
    bundle.config["process"]["env"] = json!([
        "PATH=/bin",
        "LD_DEBUG=libs",
        format!("LD_DEBUG_OUTPUT={}", linker.display()),
        "RUST_LOG=trace"
    ]);
    bundle.write()?;
    let table = bed.table("table.toml", &[("kernel/made_up", "{ value = 1 }")])?;
    Ok(bed.config(&table)?)
}

fn runs(bed: &Bed, runtime: Runtime, config: &Path, text: &str) -> TestResult {
    let script = bed.runtime_script(&runtime, text)?.env("CONFIG", config);
    equal("standard output", script.run()?.success()?, "ran")
}

fn no_events(bed: &Bed) -> TestResult {
    let log = fs::read_to_string(bed.path("log.json")).unwrap_or_default();
    equal(format!("events in {log}"), log.contains("\"target\""), false)
}

fn rewritten(bed: &Bed, runtime: Runtime) -> TestResult {
    let config = image(bed)?;
    let text = r#"OPTIONS="--log $BED/log.json --log-format json" run wrapped b"#;
    runs(bed, runtime, &config, text)?;
    for entry in fs::read_dir(bed.path("."))? {
        let name = entry?.file_name();
        equal(
            format!("{name:?} is the linker's"),
            name.to_string_lossy().starts_with("linked."),
            false,
        )?;
    }
    no_events(bed)
}

/// As somebody writes it who does not know of that: at least it is not the image that asks for events.
fn by_hand(bed: &Bed, runtime: Runtime) -> TestResult {
    let config = image(bed)?;
    let rewrite = r#"OPTIONS="--log $BED/log.json --log-format json" RUNTIME=/bin/true run wrapped b"#;
    bed.script(rewrite)?.env("CONFIG", &config).succeed()?;
    edit_config(&bed.path("b"), |config| {
        if let Some(hook) = config["hooks"]["createContainer"][0].as_object_mut() {
            hook.remove("env");
        }
    })?;
    runs(bed, runtime, &config, "run rt b")?;
    no_events(bed)
}
