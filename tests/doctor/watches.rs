//! `nsprep doctor -- CMD`: what a command is refused is seen, and nothing about the command is changed.

use serde_json::Value;

use crate::script;
use crate::support::{Bed, Bundle, CRUN, Output, RUNC_1_5, TestResult, equal, need};

/// In a container whose /proc lacks the key, the table that is proposed cures it.
pub fn watch_runc(bed: &Bed) -> TestResult {
    Bundle::new(bed, "b", "cat /proc/sys/kernel/cap_last_cap")?
        .bind_proc(&bed.path("inner"))
        .write()?;
    let text = r#"deprived_proc inner kernel/cap_last_cap
        "$NSPREP" doctor --output t.toml -- "$RUNTIME" --root "$BED/state" run --no-new-keyring --bundle "$BED/b" "$ID" && exit 9
        grep -q '^"kernel/cap_last_cap" = { computed = "cap_last_cap"' t.toml
        "$NSPREP" bundle --runtime "$RUNTIME" --table t.toml "$BED/b" > /dev/null
        run rt b"#;
    let said = bed.runtime_script(&RUNC_1_5, text)?.succeed()?;
    let last = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap")?;
    equal("key", said.as_str(), last.trim())
}

/// And around a program.
pub fn watch_crun(bed: &Bed) -> TestResult {
    Bundle::new(bed, "b", "echo started")?.write()?;
    let text = r#"deprive /proc kernel/cap_last_cap
        "$NSPREP" doctor --output t.toml -- "$RUNTIME" --root "$BED/state" run --no-new-keyring --bundle "$BED/b" "$ID" && exit 9
        grep -q 'profile crun' t.toml
        "$NSPREP" exec --table t.toml -- "$RUNTIME" --root "$BED/state" run --no-new-keyring --bundle "$BED/b" "$ID""#;
    equal("said", bed.runtime_script(&CRUN, text)?.succeed()?, "started")
}

/// Each way of looking for a file, by children and threads too, and relative to folders.
pub fn watch_calls(bed: &Bed) -> TestResult {
    need::command("python3")?;
    let program = r#"
import os, subprocess, sys, threading
def no(call, *args, **more):
    try: call(*args, **more)
    except OSError: pass
no(os.open, "/proc/sys/kernel/by_open", os.O_RDONLY)
no(os.stat, "/proc/./sys//kernel/by_stat")
no(os.lstat, "/proc/sys/kernel/../vm/by_lstat")
os.access("/proc/sys/fs/by_access", os.R_OK)
folder = os.open("/proc/sys/net", os.O_RDONLY | os.O_DIRECTORY)
no(os.open, "ipv4/by_folder", os.O_RDONLY, dir_fd=folder)
os.chdir("/proc/sys/user")
no(os.open, "by_cwd", os.O_RDONLY)
no(os.open, "/sys/module/by_sysfs/parameters/x", os.O_RDONLY)
threading.Thread(target=lambda: no(os.open, "/proc/sys/kernel/by_thread", os.O_RDONLY)).start()
subprocess.run(["sh", "-c", "(cat /proc/sys/kernel/by_grandchild) 2> /dev/null"])
no(os.open, "/sys/fs/cgroup/by_cgroup", os.O_RDONLY)
no(os.open, "/proc/self/no_key", os.O_RDONLY)
no(os.open, "/nonexistent/no_key", os.O_RDONLY)
"#;
    let text = r#"nsprep doctor --json --output t.json -- python3 "$PROGRAM"; cat t.json"#;
    let output = script(bed, text)?
        .env("PROGRAM", bed.file("program.py", program)?)
        .succeed()?;
    let found: Value = serde_json::from_str(&output)?;
    let refused = found["refused"].as_array().cloned().unwrap_or_default();
    let keys: Vec<_> = refused.iter().filter_map(|one| one["key"].as_str()).collect();
    for key in [
        "kernel/by_open",
        "kernel/by_stat",
        "vm/by_lstat",
        "fs/by_access",
        "net/ipv4/by_folder",
        "user/by_cwd",
        "/sys/module/by_sysfs/parameters/x",
        "kernel/by_thread",
        "kernel/by_grandchild",
    ] {
        equal(format!("{key} in {keys:?}"), keys.contains(&key), true)?;
    }
    let of_cgroup = refused
        .iter()
        .find(|one| one["key"] == "/sys/fs/cgroup/by_cgroup");
    let line = of_cgroup.and_then(|one| one["line"].as_str()).unwrap_or_default();
    equal("a cgroup's file is proposed", line.contains("{"), false)?;
    equal("and told", line.contains("no key of a table"), true)?;
    let text = "nsprep doctor -- cat /sys/fs/cgroup/by_cgroup 2>&1 | grep -c 'refused 0 keys'";
    equal("and counted", script(bed, text)?.succeed()?.as_str(), "1")?;
    let other = keys.iter().find(|key| key.contains("no_key"));
    equal("what is no key", other, None)
}

/// A read-only key is told from a missing one, and the table replaces it.
pub fn watch_stuck(bed: &Bed) -> TestResult {
    let text = "read_only_proc_sys
        nsprep doctor --output t.toml -- sh -c 'echo 0 > /proc/sys/vm/panic_on_oom' && exit 9
        grep -q 'read-only file system; profile kubelet' t.toml
        nsprep exec --table t.toml -- sh -c 'echo 1 > /proc/sys/vm/panic_on_oom; cat /proc/sys/vm/panic_on_oom'";
    equal("value", script(bed, text)?.succeed()?, "1")
}

/// A key that no profile replaces, and that the program was to write: it has the kernel's value, and takes what is written. One that was only
/// looked at is left alone.
pub fn watch_written(bed: &Bed) -> TestResult {
    let text = r#"key=/proc/sys/kernel/printk_delay; had=$(cat $key)
        read_only_proc_sys
        nsprep doctor --output t.toml -- bash -c "cat $key; test -w /proc/sys/vm/swappiness; echo 7 > $key" > out && exit 9
        grep -c printk_delay t.toml
        nsprep doctor --output none.toml -- bash -c "cat $key; test -r $key" > out; grep -c printk_delay none.toml || true
        nsprep exec --table t.toml -- bash -c "test \$(cat $key) = $had; echo 7 > $key; cat $key"
        test "$(cat $key)" = "$had""#;
    equal(
        "said",
        script(bed, text)?.succeed()?,
        "1
0
7",
    )
}

/// Exit codes, signals, standard input and output are the command's own.
pub fn watch_ends(bed: &Bed) -> TestResult {
    let text = r#"doctor() { nsprep doctor -- "$@" 2> /dev/null; }
        ended() { local code=0; "$@" || code=$?; echo "$code"; }
        echo typed | doctor cat
        ended doctor sh -c 'exit 42'
        ended doctor nosuchcommand
        ended doctor /etc/passwd
        ended doctor sh -c 'kill -TERM $$'
        ended doctor sh -c 'kill -KILL $$'
        ended doctor bash -c 'kill -40 $$'
        ended doctor bash -c 'trap "echo told; exit 7" TERM; kill -TERM $PPID; while :; do sleep 0.01; done'
        doctor bash -c 'trap - USR1; grep SigBlk /proc/self/status' > blocked; grep SigBlk /proc/self/status | diff - blocked
        perl -e '$SIG{CHLD} = "IGNORE"; exec @ARGV' "$NSPREP" doctor -- sh -c 'exit 4' 2> said || echo $?
        perl -e '$SIG{CHLD} = "IGNORE"; exec @ARGV' "$NSPREP" doctor -- grep SigIgn /proc/self/status > ignored 2> said
        perl -e '$SIG{CHLD} = "IGNORE"; exec @ARGV' grep SigIgn /proc/self/status | diff - ignored
        (sleep 0.1; nsprep doctor -- sh -c 'sleep 0.2 & echo left') 2> /dev/null"#;
    let said = script(bed, text)?.succeed()?;
    equal(
        "said",
        said.as_str(),
        "typed\n42\n127\n126\n143\n137\n168\ntold\n7\n4\nleft",
    )
}

/// A command that stops stays so until it is to go on.
pub fn watch_stopped(bed: &Bed) -> TestResult {
    let text = r#"nsprep doctor -- sh -c 'echo $$ > pid.new; mv pid.new pid; kill -STOP $$; echo goes on; exit 3' > out 2> /dev/null &
        wait_for pid; pid=$(cat pid)
        until_true stopped grep -q '^State:.*stop' /proc/$pid/status
        sleep 0.2; grep -c 'goes on' out || true
        kill -CONT "$pid"; code=0; wait $! || code=$?; cat out; echo "$code""#;
    equal("said", script(bed, text)?.succeed()?, "0\ngoes on\n3")
}

/// A program that may not be read may not be traced by somebody without rights: it runs all the same.
pub fn watch_refused(bed: &Bed) -> TestResult {
    need::command("jq")?;
    let text = r#"deprive /proc kernel/panic
        cp "$NSPREP" locked; chmod 711 locked
        nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all "$@"; }
        nobody ./locked doctor -- sh -c 'exit 6' 2> said || echo $?
        : > t.json; chmod 666 t.json; nobody ./locked doctor --json --output t.json -- true 2> said
        jq -r '[.refused, .table, (.unwatched | contains("ptrace")), (.findings | type)] | tostring' t.json
        nobody perl -e '$SIG{CHLD} = "IGNORE"; exec @ARGV' ./locked doctor -- sh -c 'echo ran; exit 5'"#;
    let output: Output = script(bed, text)?.run()?;
    equal("exit code", output.status.code(), Some(5))?;
    equal(
        "said",
        output.stdout.as_str(),
        "6\n[null,null,true,\"array\"]\nran\n",
    )?;
    for part in [
        "sh was not watched: ptrace(PTRACE_SEIZE): operation not permitted",
        "the place itself tells",
    ] {
        if !output.stderr.contains(part) {
            return output.fail(format!("should have said {part:?}"));
        }
    }
    // A program that may not be read has no user namespace with ids of its own either.
    equal(
        "what cannot be done",
        output.stderr.contains("nothing can be attached here"),
        true,
    )
}
