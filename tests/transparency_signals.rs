//! The process that the engine started is the runtime: what is sent to it arrives, and how it ends is seen.

mod support;

use std::process::ExitCode;

use support::{Bed, Bundle, CRUN, Runtime, Suite, TestResult, equal, same};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.for_runtimes("run", run);
    suite.for_runtimes("exec", exec);
    suite.for_runtimes("killed", killed);
    suite.run()
}

/// Says which signal came, and ends with it.
const TRAPS: &str = "for signal in TERM INT HUP USR1; do trap \"echo got $signal; exit 9\" $signal; done; \
    touch /tmp/ready; while :; do sleep 0.02; done";

/// `signal NAME ARGS...`: calls the runtime, sends the signal once the files in $READY are there, and says how it ended.
const SIGNAL: &str = r#"
    CALL=(env --default-signal "${CALL[@]}")
    tell() { echo "$FORM: $(cat out err)" >&2; return 1; }
    signal() {
      local signal=$1 pid file code=0
      shift
      rm -f $READY
      "${CALL[@]}" "${ROOT[@]}" "$@" > out 2> err < /dev/null &
      pid=$!
      for file in $READY; do wait_for "$file" || tell; done
      [ "$(readlink "/proc/$pid/exe")" = "$(readlink -f "$RUNTIME")" ] || echo "another program"
      kill -"$signal" "$pid" || tell
      wait "$pid" 2> /dev/null || code=$?
      wrote "$code" "$signal"
    }
    READY=b/rootfs/tmp/ready
"#;

/// A container in the foreground: its signals and its exit code.
fn run(bed: &Bed, runtime: Runtime) -> TestResult {
    Bundle::new(bed, "b", TRAPS)?.write()?;
    Bundle::new(bed, "five", "exit 5")?.write()?;
    Bundle::new(bed, "sleeping", "touch /tmp/ready; exec sleep 1000")?.write()?;
    let text = format!(
        r#"{SIGNAL}
        for name in TERM INT HUP USR1; do signal "$name" run --no-new-keyring --bundle b "$ID"; done
        no run --no-new-keyring --bundle five "$ID"
        # Killed from outside: 128 and the signal.
        ended() {{
          code=0
          "${{CALL[@]}}" "${{ROOT[@]}}" run --no-new-keyring --bundle sleeping "$ID" > out 2> err || code=$?
          wrote "$code" sleeping
        }}
        ended &
        wait_for sleeping/rootfs/tmp/ready; rm sleeping/rootfs/tmp/ready
        "$RUNTIME" "${{ROOT[@]}}" kill "$ID" KILL
        wait || true
        no state "$ID""#
    );
    let bare = same(bed, runtime, &text)?;
    equal("signals that arrive", bare.matches("got ").count(), 4)?;
    equal("128 and the signal", bare.contains("$ sleeping\n= 137"), true)
}

/// The same of one more process.
fn exec(bed: &Bed, runtime: Runtime) -> TestResult {
    Bundle::new(bed, "b", "sleep 1000")?.write()?;
    let text = format!(
        r#"{SIGNAL}
        up b
        for name in TERM INT HUP USR1; do signal "$name" exec "$ID" sh -c '{TRAPS}'; done
        gone"#
    );
    let bare = same(bed, runtime, &text)?;
    equal("signals that arrive", bare.matches("got ").count(), 4)
}

/// A runtime that is killed in the middle leaves what it leaves without us.
fn killed(bed: &Bed, runtime: Runtime) -> TestResult {
    Bundle::new(bed, "b", TRAPS)?.write()?;
    // runc writes it after the start, and a half-written one is in the way of the next; crun writes none in the foreground.
    let written = if runtime == CRUN { "" } else { "pid" };
    let text = format!(
        r#"{SIGNAL}
        READY="$READY {written}"
        signal KILL run --no-new-keyring --bundle b --pid-file pid "$ID"
        called "${{ROOT[@]}}" state "$ID"
        called "${{ROOT[@]}}" exec "$ID" echo in
        ok list --quiet
        gone
        no state "$ID""#
    );
    same(bed, runtime, &text).map(drop)
}
