//! The wrapper says and does what the bare runtime does, command by command.

mod support;

use std::process::ExitCode;

use support::{Bed, Bundle, Form, Runtime, Suite, TestResult, equal, fail, same};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.for_runtimes("questions", questions);
    suite.for_runtimes("container", container);
    suite.for_runtimes("exec", exec);
    suite.for_runtimes("bundles", bundles);
    suite.for_runtimes("no_bundle", no_bundle);
    suite.run()
}

/// What needs no container, known to the runtime or not.
fn questions(bed: &Bed, runtime: Runtime) -> TestResult {
    Bundle::new(bed, "b", "true")?.write()?;
    let text = r#"
        cd b; mkdir -p ../state
        called || true
        for question in --version -v --help -h '-?' --usage features list help 'help create' 'create --help' 'run -h' \
            'exec --help' 'state --help' -- nosuch 'nosuch --flag value' --nosuch '--nosuch=1 state x' '-nosuch list' \
            'state --nosuch x' 'create --nosuch x' 'run --nosuch x' 'exec --nosuch x' 'list --nosuch' state 'state a b' \
            create run exec delete kill start pause update events ps restore checkpoint '--root' '--log-format=nosuch list' \
            'list --format nosuch' '--version create' '--root=x list' '-root x list' '--debug=true list'; do
          called $question || true
        done
        ok list
        no state "$ID"
        no start "$ID"
        no kill "$ID" KILL
        no delete "$ID"
        called "${ROOT[@]}" delete --force "$ID" || true
        no exec "$ID" true
        no pause "$ID"
        no resume "$ID"
        no update --memory 100000000 "$ID"
        no events --stats "$ID"
        no ps "$ID"
        no checkpoint "$ID"
        mkdir -p new; cd new; rm -f config.json; ok spec; cat config.json; no spec"#;
    same(bed, runtime, text).map(drop)
}

/// From `create` to `delete`, with all that can be asked and done in between.
fn container(bed: &Bed, runtime: Runtime) -> TestResult {
    Bundle::new(bed, "restored", "sleep 1000")?.write()?;
    Bundle::new(bed, "b", "sleep 1000")?.write()?;
    let text = r#"
        resources='{"memory": {"limit": 90000000}, "pids": {"limit": 77}}'
        limits() { for file in memory/*/memory.limit_in_bytes pids/*/pids.max; do cat "/sys/fs/cgroup/${file/\*/$ID-b}"; done; }
        ok create --no-new-keyring --bundle "$BED/b" --pid-file "$BED/pid" "$ID"
        ok state "$ID"
        no create --no-new-keyring --bundle "$BED/b" "$ID"
        ok start "$ID"
        no start "$ID"
        ok state "$ID"
        NUMBERS=1 ok list
        ok list --quiet
        ok list --format json
        NUMBERS=1 ok ps "$ID"
        ok ps --format json "$ID"
        (NUMBERS=1 called "${ROOT[@]}" events --stats "$ID" || true) | cut -c 1-60
        called "${ROOT[@]}" kill "$ID" 0 || true
        ok update --memory 80000000 "$ID"; limits
        echo "$resources" > resources.json
        ok update --resources resources.json "$ID"; limits
        IN=resources.json called "${ROOT[@]}" update -r - "$ID" || true; limits
        ok pause "$ID"
        ok state "$ID"
        ok resume "$ID"
        called "${ROOT[@]}" checkpoint --image-path "$BED/image" --leave-running "$ID" || true
        called "${ROOT[@]}" restore --image-path "$BED/image" --bundle "$BED/restored" "$ID-2" || true
        ok kill "$ID"; ok kill "$ID" TERM; ok kill "$ID" SIGHUP; ok kill "$ID" 15
        called "${ROOT[@]}" kill "$ID" NOSUCH || true
        no delete "$ID"
        ok kill "$ID" KILL; ended
        ok state "$ID"
        called "${ROOT[@]}" kill "$ID" KILL || true
        called "${ROOT[@]}" kill --all "$ID" 9 || true
        called "${ROOT[@]}" ps "$ID" || true
        no exec "$ID" true
        called "${ROOT[@]}" update --memory 80000000 "$ID" || true
        called "${ROOT[@]}" pause "$ID" || true
        ok delete "$ID"
        no state "$ID"
        rm "$BED/pid"
        up b; called "${ROOT[@]}" kill --all "$ID" KILL || true; ended; gone
        up b; gone
        ls state"#;
    same(bed, runtime, text).map(drop)
}

/// One more process, in all ways to say which.
fn exec(bed: &Bed, runtime: Runtime) -> TestResult {
    Bundle::new(bed, "b", "sleep 1000")?.write()?;
    let text = r#"
        process() {
          cat << END
{"args": ["sh", "-c", "$1"], "cwd": "/tmp", "env": ["PATH=/bin", "A=b"], "user": {"uid": 5, "gid": 6}}
END
        }
        up b
        ok exec "$ID" echo 'a  b' '' '$A'
        no exec "$ID" sh -c 'echo out; echo err >&2; exit 42'
        no exec "$ID" sh -c 'kill -9 $$'
        no exec "$ID" nosuch
        no exec "$ID"
        echo in > input
        IN=input ok exec "$ID" cat
        ok exec --env A=b --env C= "$ID" /bin/env
        ok exec -e D=e "$ID" /bin/env
        ok exec --cwd /tmp "$ID" sh -c pwd
        ok exec --user 7:8 "$ID" id
        ok exec --cap CAP_SYS_ADMIN "$ID" grep Cap /proc/self/status
        ok exec --no-new-privs "$ID" grep NoNewPrivs /proc/self/status
        ok exec -- "$ID" echo --help
        process 'id; pwd; env; exit 3' > process.json
        no exec --process process.json "$ID"
        no exec -p "$BED/process.json" "$ID"
        no exec --process nosuch.json "$ID"
        process 'sleep 1000' > process.json
        ok exec --detach --pid-file "$BED/exec.pid" --process process.json "$ID"
        tr '\0' ' ' < "/proc/$(cat exec.pid)/cmdline"; echo
        rm exec.pid
        # As the shims of containerd and dockerd say it; the last counts.
        process 'exit 4' > process.json
        no --log "$BED/log.json" --log-format json exec --process "$BED/process.json" --pid-file "$BED/exec.pid" "$ID"
        gone
        # What exec'd stays in the container is gone with it.
        no exec "$ID" true"#;
    same(bed, runtime, text).map(drop)
}

/// Where the bundle is, in all spellings, and global flags before it.
fn bundles(bed: &Bed, runtime: Runtime) -> TestResult {
    Bundle::new(bed, "b", "echo started")?.write()?;
    Bundle::new(bed, "other", "echo other")?.write()?;
    let mut text = r#"
        go() { ok "$@" "$ID"; }
        go run --no-new-keyring -b "$BED/b"
        go run --no-new-keyring -b b
        go run --no-new-keyring --bundle=b
        go run --no-new-keyring --bundle ./b/
        go run --no-new-keyring --bundle other --bundle b
        go --log "$BED/log" --log-format=json run --no-new-keyring --bundle "$BED/../${BED#/tmp/}/b"
        ok run --no-new-keyring "$ID" --bundle b || true
        cd b; go run --no-new-keyring; cd ..
        ROOT=()
        go --root=state run --no-new-keyring -b b
        go --debug --log /dev/null --root state run --no-new-keyring -b b
        go --log log --root "$BED/state" run --no-new-keyring -b b
    "#
    .to_owned();
    text += if runtime == support::CRUN {
        "go --ro state --log-f json --log=log run --no-n --bun b
go --root state run --no-new-keyring -bb
"
    } else {
        "go -root state -log-format json -log log run -no-new-keyring -bundle b
go -root=state run -b=b -no-new-keyring
"
    };
    same(bed, runtime, &text).map(drop)
}

/// Without a bundle the wrapper says so itself; the engine gets the same exit code, and the reason in the same log.
fn no_bundle(bed: &Bed, runtime: Runtime) -> TestResult {
    for form in Form::ALL {
        let text = r#"
            mkdir -p none; rm -f log; cd none
            no --log "$BED/log" --log-format json create "$ID"
            cat "$BED/log""#;
        let output = form.script(bed, runtime, text)?.succeed()?;
        let log = output.lines().last().unwrap_or_default();
        let line: serde_json::Value = serde_json::from_str(log)?;
        let says = line["msg"].as_str().unwrap_or_default();
        equal("level", line["level"].as_str(), Some("error"))?;
        if !says.contains("config.json") || !output.contains("\n= 1\n") {
            return fail(format!("{form:?}: {output}"));
        }
    }
    Ok(())
}
