//! Where a missing key kills a runtime, and what cures it: the table of docs/ for runc 1.1.5, runc 1.5.2 and crun 1.8.1.

mod support;

use std::process::ExitCode;

use support::{Bed, Bundle, CRUN, RUNC_1_5, RUNTIMES, Runtime, Suite, TestResult, equal};

const RUNC_1_5_SAYS: &str = "unable to start container process: error during container init: open /proc/sys/kernel/cap_last_cap: no such file or directory";
const CRUN_SAYS: &str = "open /proc/sys/kernel/cap_last_cap: No such file or directory";

/// How the runtime is started in the deprived place.
#[derive(Clone, Copy, PartialEq)]
enum Cure {
    Nothing,
    /// Keys in the private mount namespace around the runtime alone.
    Outer,
    /// Keys in the container alone.
    Hook,
    /// What the wrapper does.
    Both,
}

fn main() -> ExitCode {
    let mut suite = Suite::new();
    for runtime in RUNTIMES {
        for (cure, name) in [
            (Cure::Nothing, "bare::nothing"),
            (Cure::Outer, "cured::outer_only"),
            (Cure::Hook, "cured::hook_only"),
            (Cure::Both, "cured::both"),
        ] {
            suite.test(format!("{name}::{}", runtime.name), move |bed| {
                missing_cap_last_cap(bed, runtime, cure)
            });
        }
    }
    suite.run()
}

/// The outer /proc and the one the container gets lack the key, each on its own, so that a cure of one is no cure of the other.
fn missing_cap_last_cap(bed: &Bed, runtime: Runtime, cure: Cure) -> TestResult {
    let program = "echo started; cat /proc/sys/kernel/cap_last_cap; cat /proc/sys/kernel/ostype";
    Bundle::new(bed, "b", program)?
        .bind_proc(&bed.path("inner"))
        .write()?;
    let start = match cure {
        Cure::Nothing => r#"rt run --no-new-keyring --bundle "$BED/b" "$ID""#,
        Cure::Outer => {
            r#""$NSPREP" exec --profile runc --profile crun -- "$RUNTIME" --root "$BED/state" run --no-new-keyring --bundle "$BED/b" "$ID""#
        }
        Cure::Hook => {
            r#""$BRIDGE" rewrite --runtime "$RUNTIME" --config "$CONFIG" "$BED/b" >&2; rt run --no-new-keyring --bundle "$BED/b" "$ID""#
        }
        Cure::Both => r#"wrapped run --no-new-keyring --bundle "$BED/b" "$ID""#,
    };
    let place = "deprived_proc inner kernel/cap_last_cap; deprive /proc kernel/cap_last_cap";
    let output = bed
        .runtime_script(&runtime, &format!("{place}\n{start}"))?
        .run()?;
    let inner = cure == Cure::Hook || cure == Cure::Both;
    let outer = cure == Cure::Outer || cure == Cure::Both;
    if runtime == RUNC_1_5 && !inner {
        return output.fails_with(RUNC_1_5_SAYS);
    }
    if runtime == CRUN && !outer {
        return output.fails_with(CRUN_SAYS);
    }
    let last_cap = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap")?;
    if inner {
        equal(
            "standard output",
            output.success()?,
            format!("started\n{last_cap}Linux"),
        )
    } else {
        // The program runs, and its own /proc still lacks the key: `cat` says so and `sh` goes on.
        equal("standard output", output.stdout.as_str(), "started\nLinux\n")?;
        equal(
            "standard error has the key",
            output.stderr.contains("/proc/sys/kernel/cap_last_cap"),
            true,
        )
    }
}
