//! Many pods at once, and engines that crash in the middle.

#[path = "../support/mod.rs"]
mod support;

use std::process::ExitCode;
use std::time::Duration;

use support::{Bed, CONTAINERDS, Containerd, Suite, TestResult, equal};

const CROWD: &str = include_str!("crowd.sh");
const RESTARTS: &str = include_str!("restarts.sh");

fn main() -> ExitCode {
    let mut suite = Suite::new();
    for containerd in CONTAINERDS {
        // Twenty of the one in all. More of both are a matter of time.
        for (name, script, rounds) in [("crowd", CROWD, "10"), ("crashes", RESTARTS, "2")] {
            let rounds = std::env::var("ROUNDS").unwrap_or_else(|_| rounds.to_owned());
            suite.test(format!("{name}::containerd_{}", containerd.version), move |bed| {
                repeat(bed, containerd, script, &rounds)
            });
        }
    }
    suite.run()
}

/// Runs `script`, which has something to say only where something is wrong.
fn repeat(bed: &Bed, containerd: Containerd, script: &str, rounds: &str) -> TestResult {
    let keys = [
        ("net/ipv4/made_up", r#"{ value = 0, mode = "0644" }"#),
        ("kernel/made_up_key", "{ value = 7 }"),
    ];
    let script = bed.linux_node(containerd, script)?;
    let script = script
        .env("TABLE", bed.table("made_up.toml", &keys)?)
        .env("ROUNDS", rounds)
        .limit(Duration::from_secs(1200));
    equal("said", script.succeed()?, format!("{rounds} rounds"))
}
