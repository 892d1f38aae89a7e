//! Volumes with what is no file where a key is: a device may do something as soon as it is opened, and the hook is not held back by
//! the container's cgroup everywhere.

use super::forms::{bundle, script};
use super::support::{Bed, RUNTIMES, Runtime, Suite, TestResult, equal};

/// The only path of procfs where all runtimes let something be mounted, and which they do not read themselves.
const KEY: &str = "/proc/slabinfo";

/// Adds the tests.
pub fn add(suite: &mut Suite) {
    for runtime in RUNTIMES {
        for when in ["unwritable", "zero"] {
            suite.test(format!("volumes::fifo::{when}::{}", runtime.name), move |bed| {
                fifo(bed, runtime, when)
            });
        }
    }
}

/// A FIFO stands for the device: who waits at its other end is told that somebody opened it.
fn fifo(bed: &Bed, runtime: Runtime, when: &str) -> TestResult {
    bundle(bed)?.bind(&bed.path("fifo"), KEY, &["bind"]).write()?;
    let entry = format!(r#"{{ value = "7", when = "{when}" }}"#);
    let table = bed.table(
        "no_file.toml",
        &[(KEY, &entry), ("kernel/made_up_key", "{ value = 7 }")],
    )?;
    let end = match when {
        "zero" => "echo > fifo",
        _ => "read -r line < fifo || true",
    };
    let text = format!(
        r#"mkfifo fifo
        for form in createContainer prestart; do
            ({end}; touch opened) & echo $! >> roles
            try $form > tried; grep -E '^(7|touched)' tried || true
            grep -q '^status 0' tried || echo refused
            # The other end is told a moment later.
            sleep 0.3
            ! rm opened 2> /dev/null || echo opened
        done"#
    );
    let said = script(bed, runtime, &text)?
        .env("CONFIG", bed.config(&table)?)
        .succeed()?;
    // What counts nothing is replaced, and this does not say that it does.
    let each = if when == "zero" { "7" } else { "refused" };
    equal("said", said, [each; 2].join("\n"))
}
