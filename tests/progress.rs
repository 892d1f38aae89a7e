//! What is being waited for is said on a terminal and nowhere else, and nothing is left of it.

mod support;

use std::fs;
use std::process::ExitCode;

use support::{Bed, Suite, TestResult, equal, fail, need};

/// `on_terminal COMMAND...`: runs it with a terminal as its standard error, of which $BED/row has what was written there; its standard
/// output is $BED/out. `in_pipe COMMAND...` the same with a pipe. `seen TEXT`: waits until the row has it.
const TERMINAL: &str = r#"
    on_terminal() {
        : > "$BED/row"
        CALL=$(printf '%q ' "$@") script -qfec 'eval "$CALL" > "$BED/out"' "$BED/row" < /dev/null > "$BED/script" || echo "exit $?"
    }
    in_pipe() { "$@" 2>&1 > "$BED/out" | cat > "$BED/piped" || true; }
    cat > "$BED/seen" <<'END'
#!/bin/bash
turns=0
until grep -qF "$1" "$BED/row"; do turns=$((turns + 1)); [ $turns -lt 300 ] || exit 1; sleep 0.1; done
END
    chmod +x "$BED/seen"; export SHELL=/bin/bash
"#;

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.test("a_runtime_that_takes_its_time", runtime);
    suite.test("an_engines_restart", restart);
    suite.test("a_lock", lock);
    suite.test("not_for_what_is_done_soon", soon);
    suite.run()
}

/// Runs `text`; gives what was on the terminal, and what in the pipe.
fn run(bed: &Bed, text: &str) -> TestResult<(String, String)> {
    need::command("script")?;
    let output = bed.script(&format!("{TERMINAL}\n{text}"))?.run()?;
    output.success()?;
    let read = |name: &str| fs::read_to_string(bed.path(name)).unwrap_or_default();
    // What util-linux writes around it.
    let row = read("row");
    let row = row.lines().filter(|line| !line.starts_with("Script "));
    Ok((row.collect::<Vec<_>>().join("\n"), read("piped")))
}

/// Whether the row said `what`, and was cleared.
fn shown(row: &str, what: &str) -> TestResult {
    match row.contains(&format!("\r\u{1b}[K{what}")) && row.trim_end().ends_with("\r\u{1b}[K") {
        true => Ok(()),
        false => fail(format!("no {what:?}, or something left: {row:?}")),
    }
}

fn runtime(bed: &Bed) -> TestResult {
    // It answers when it is seen that it is asked; where nobody looks, after a second and a half.
    let text = r#"mkdir slow; export PATH=${BED%/}/slow:$PATH
        printf '#!/bin/bash\n"$BED/seen" asking; echo runc version 1.5.2\n' > slow/runc; chmod +x slow/runc
        on_terminal "$NSPREP" doctor --json
        jq -r '.programs[] | select(.path | contains("slow")).version' "$BED/out"
        printf '#!/bin/bash\nsleep 1.5; echo runc version 1.5.2\n' > slow/runc
        in_pipe "$NSPREP" doctor --json"#;
    let (row, piped) = run(bed, text)?;
    shown(&row, &format!("asking {}/runc", bed.path("slow").display()))?;
    equal("in a pipe", piped.as_str(), "")
}

fn restart(bed: &Bed) -> TestResult {
    need::root()?;
    let text = r#"mount -t tmpfs none /run; mount -t tmpfs none /etc; mkdir -p /etc/procemu /run/bin
        cp "$BRIDGE" /run/bin/runtime-bridge; echo 'runtimes.runc = "/bin/true"' > /etc/procemu/bridge.toml
        echo 'version = 3' > one.toml; echo 'version = 3' > two.toml; mkdir /run/script
        on_terminal /run/bin/runtime-bridge install containerd --config one.toml --restart "$BED/seen 'waiting for'"
        in_pipe /run/bin/runtime-bridge install containerd --config two.toml --restart 'sleep 1.5'
        grep -c procemu- one.toml two.toml"#;
    let (row, piped) = run(bed, text)?;
    shown(&row, "waiting for `")?;
    equal("in a pipe", piped.as_str(), "")
}

fn lock(bed: &Bed) -> TestResult {
    need::root()?;
    let text = r#"mkdir -p -m 0755 state/ns; exec 9< state/ns; flock 9
        (./seen 'another nsprep'; echo done > released; exec 9<&-) & exec 9<&-
        on_terminal "$NSPREP" exec --state-dir "$BED/state" --ns one -- cat released; wait
        exec 9< state/ns; flock 9
        (sleep 1.5) & exec 9<&-
        in_pipe "$NSPREP" exec --state-dir "$BED/state" --ns one -- true; wait
        "$NSPREP" ns remove --state-dir "$BED/state" one"#;
    let (row, piped) = run(bed, text)?;
    shown(&row, "waiting for another nsprep to have its namespace ready")?;
    equal("in a pipe", piped.as_str(), "")
}

/// On a busy machine one of them may take a second, but hardly all.
fn soon(bed: &Bed) -> TestResult {
    let text =
        r#"for turn in 1 2 3 4 5; do on_terminal "$NSPREP" doctor; grep -aq '(. s)' row || break; done"#;
    let (row, _) = run(bed, text)?;
    equal("on the terminal", row.contains('\u{1b}'), false)
}
