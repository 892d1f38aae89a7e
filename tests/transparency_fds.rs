//! Descriptors, sockets and logs pass through the wrapper: what the engine gives reaches the runtime and its container.

mod support;

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::ExitCode;

use serde_json::json;
use support::{
    Bed, Bundle, END, Form, Runtime, Suite, TestResult, equal, fail, need, notices, same, same_by, terminal,
};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.for_runtimes("console", console);
    suite.for_runtimes("exec_console", exec_console);
    suite.for_runtimes("preserved", preserved);
    suite.for_runtimes("notify", notify);
    suite.for_runtimes("logs", logs);
    suite.run()
}

/// A program that shows that it has a terminal, and what is typed there.
const TYPED: &str =
    "test -t 0 && test -t 1 && test -t 2 && echo terminal; read line; echo \"read $line\"; touch /tmp/done";

/// `create --console-socket`: the terminal that comes over the socket is the container's.
fn console(bed: &Bed, runtime: Runtime) -> TestResult {
    let mut bundle = Bundle::new(bed, "b", TYPED)?;
    bundle.config["process"]["terminal"] = json!(true);
    bundle.write()?;
    let text = r#"up b --console-socket "$BED/console"; ended; gone"#;
    typed(bed, runtime, text)
}

/// The same of `exec --tty`.
fn exec_console(bed: &Bed, runtime: Runtime) -> TestResult {
    Bundle::new(bed, "b", "sleep 1000")?.write()?;
    let process = json!({"terminal": true, "args": ["sh", "-c", TYPED], "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}});
    bed.file("process.json", process.to_string())?;
    let text = r#"
        up b
        rm -f b/rootfs/tmp/done
        ok exec --detach --tty --console-socket "$BED/console" --process process.json "$ID"
        wait_for b/rootfs/tmp/done
        gone"#;
    typed(bed, runtime, text)
}

/// Runs `text` in each form, with somebody at the console socket.
fn typed(bed: &Bed, runtime: Runtime, text: &str) -> TestResult {
    let each = |form: Form| -> TestResult<String> {
        let script = form.script(bed, runtime, text)?;
        let said = terminal(&bed.path("console"), "some words\n")?;
        let transcript = script.succeed()?;
        let expected = "terminal\nsome words\nread some words\n";
        equal(
            format!("the terminal, {form:?}"),
            joined(said)?.as_str(),
            expected,
        )?;
        Ok(transcript)
    };
    same_by(each).map(drop)
}

fn joined(thread: std::thread::JoinHandle<std::io::Result<String>>) -> TestResult<String> {
    match thread.join() {
        Ok(said) => Ok(said?),
        Err(_) => fail("the thread at the socket panicked"),
    }
}

/// `--preserve-fds`, and descriptors of socket activation.
fn preserved(bed: &Bed, runtime: Runtime) -> TestResult {
    // One stream: runc copies stdout and stderr each on its own, in any order.
    let program = "exec 2>&1; cat <&3; cat <&4; env | grep LISTEN; for n in 0 1 2 3 4 5 6 7 8; do test -e /proc/self/fd/$n && echo $n; done; true";
    Bundle::new(bed, "b", program)?.write()?;
    Bundle::new(bed, "sleeping", "sleep 1000")?.write()?;
    let text = format!(
        r#"
        echo three > three; echo four > four; echo five > five
        exec 3< three 4< four 5< five
        ok run --no-new-keyring --preserve-fds 2 --bundle b "$ID"
        exec 3< three 4< four
        ok run --no-new-keyring --preserve-fds=2 --bundle b "$ID"
        exec 3< three 4< four
        called "${{ROOT[@]}}" run --no-new-keyring --preserve-fds 40 --bundle b "$ID" || true
        "$RUNTIME" "${{ROOT[@]}}" delete --force "$ID" || true
        exec 3< three 4< four
        (export LISTEN_PID=$BASHPID LISTEN_FDS=1; exec "${{CALL[@]}}" "${{ROOT[@]}}" run --no-new-keyring --preserve-fds 1 -b b "$ID" 2>&1)
        exec 3< three 4< four
        (export LISTEN_PID=1 LISTEN_FDS=1; exec "${{CALL[@]}}" "${{ROOT[@]}}" run --no-new-keyring -b b "$ID" 2>&1) || true
        exec 3< three 4< four
        up sleeping --preserve-fds 1
        ok exec --preserve-fds 2 "$ID" sh -c '{program}'
        readlink "/proc/$(cat pid)/fd/3"
        gone"#
    );
    let bare = same(bed, runtime, &text)?;
    equal(
        "descriptors that arrive",
        bare.contains("three\nfour\n0\n1\n2\n3\n4\n= 0"),
        true,
    )
}

/// sd_notify(3) from the container reaches the engine's socket.
fn notify(bed: &Bed, runtime: Runtime) -> TestResult {
    need::command("perl")?;
    let tell = r#"socket S, AF_UNIX, SOCK_DGRAM, 0; send S, q(READY=1), 0, sockaddr_un $ENV{NOTIFY_SOCKET} or die $!"#;
    let mut bundle = Bundle::new(
        bed,
        "b",
        &format!("/usr/bin/perl -MSocket -e '{tell}' && sleep 1000"),
    )?;
    for folder in ["/usr", "/lib", "/lib64"].map(Path::new) {
        if folder.exists() {
            bundle = bundle.bind(folder, &folder.display().to_string(), &["rbind", "ro"]);
        }
    }
    bundle.write()?;
    let text = r#"
        export NOTIFY_SOCKET=$BED/notify
        up b
        gone"#;
    same_by(|form| {
        let script = form.script(bed, runtime, text)?;
        let said = notices(&bed.path("notify"))?;
        let output = script.run();
        UnixDatagram::unbound()?.send_to(END.as_bytes(), bed.path("notify"))?;
        let said = joined(said)?;
        let transcript = output?.success()?;
        let parts = said.split(|digit: char| digit.is_ascii_digit());
        let said = parts
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("N");
        Ok(format!("{transcript}\nnotices: {said}"))
    })
    .map(drop)
}

/// The runtime's own errors are where and as the engine wants them.
fn logs(bed: &Bed, runtime: Runtime) -> TestResult {
    let mut bundle = Bundle::new(bed, "b", "")?;
    bundle.config["process"]["args"] = json!(["nosuch"]);
    bundle.write()?;
    Bundle::new(bed, "odd", "true")?
        .bind(Path::new("/nosuch"), "/mnt", &["rbind"])
        .write()?;
    let text = r#"
        logged() {
          rm -rf log; echo before > log
          no --log "$@" create --no-new-keyring --bundle "$BUNDLE" "$ID"
          masked < log
          no --log "$@" state "$ID"
          masked < log
        }
        for BUNDLE in b odd; do
          logged log
          logged "$BED/log" --log-format text
          logged "$BED/log" --log-format json
          logged "$BED/log" --log-format=json --systemd-cgroup=false || true
        done
        called --log="$BED/none/log" "${ROOT[@]}" create --bundle b "$ID" || true
        called --log-format nosuch "${ROOT[@]}" create --bundle b "$ID" || true"#;
    same(bed, runtime, text).map(drop)
}
