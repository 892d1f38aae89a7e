//! What the runtime is started with: all that a process has is as the engine gave it, whatever is asked for.

mod support;

use std::os::unix::fs::PermissionsExt;
use std::process::ExitCode;

use support::{
    Bed, Bundle, Form, RUNC_1_1, Runtime, Suite, TestResult, equal, need, same, same_by, same_transcript,
};

/// What engines say: containerd's and dockerd's shims, conmon for podman and CRI-O; and what they may say one day.
const CALLS: [&str; 22] = [
    "features",
    "--version",
    "state ID",
    "--root /run/containerd/runc/k8s.io --log BED/log.json --log-format json create --bundle BED/b --pid-file BED/b/init.pid ID",
    "--root /run/containerd/runc/k8s.io --log BED/log.json --log-format json start ID",
    "--root /run/containerd/runc/k8s.io --log BED/log.json --log-format json exec --process BED/p.json --detach --pid-file BED/p.pid ID",
    "--root /run/containerd/runc/k8s.io --log BED/log.json --log-format json kill --all ID 9",
    "--root /run/containerd/runc/k8s.io --log BED/log.json --log-format json delete --force ID",
    "--root /run/containerd/runc/k8s.io --log BED/log.json --log-format json update --resources - ID",
    "--root /run/containerd/runc/k8s.io --log BED/log.json --log-format json checkpoint --image-path BED/i --work-path BED/w ID",
    "--root /var/run/docker/runtime-runc/moby --log BED/log.json --log-format json --systemd-cgroup create --bundle BED/b --pid-file BED/p --console-socket BED/s ID",
    "--cgroup-manager cgroupfs --log-format=json --log=BED/oci-log create --bundle BED/b --pid-file BED/pidfile ID",
    "--root=/run/runc --systemd-cgroup create --bundle BED/b --no-pivot --pid-file BED/p ID",
    "--root=/run/runc --log-format=json --log=BED/oci-log restore --bundle BED/b --image-path BED/i --detach ID",
    "--rootless=true run --preserve-fds 2 -d -bBED/b ID",
    "--future --systemd-cgroup create --future --bundle BED/b --preserve-fds=2 ID --more",
    "--future=1 run --bundle BED/b --future=x ID",
    "exec --tty --preserve-fds 1 ID sh -c exit",
    "exec --future ID",
    "future --bundle BED/b --flag ID",
    "future create --bundle BED/nosuch",
    "--",
];

/// What makes a container has the keys around it: a mount namespace of its own, where any is lacking.
fn is_prepared(name: &str, call: &str) -> bool {
    let has = |command: &str| call.split(' ').any(|word| word == command);
    !call.starts_with("future ")
        && (has("create") || has("run") || has("restore") || has("exec") && name == "crun")
}

/// One of each kind.
const SOME: [&str; 4] = [
    "state ID",
    "run --bundle BED/b ID",
    "exec ID true",
    "future --bundle BED/b ID",
];

fn main() -> ExitCode {
    let mut suite = Suite::new();
    for name in ["runc", "crun", "future"] {
        suite.test(format!("surroundings::{name}"), move |bed| {
            let launch = r#"(cd sub; export SELF=$BASHPID; exec "${ODD[@]}" "$@" 3< "$BED/input" 4<&0 7> "$BED/seven" 9<> "$BED/fifo")"#;
            recorded(bed, name, launch, if name == "runc" { &CALLS } else { &SOME })
        });
        suite.test(format!("closed::{name}"), move |bed| {
            let launch = r#"
                local closed code
                for closed in '<&-' '>&-' '2>&-' '<&- >&- 2>&-'; do
                  code=0; eval "RECORD=\$BED/record \"\$@\" $closed" || code=$?
                  cat "$BED/record"; echo "closed $closed: $code"
                done"#;
            recorded(bed, name, launch, &SOME)
        });
        suite.test(format!("terminal::{name}"), move |bed| {
            let launch = r#"
                local line; printf -v line '%q ' "$@"
                script --quiet --return --echo never --command "exec $line" /dev/null < /dev/null | tr -d '\r'
                return "${PIPESTATUS[0]}""#;
            recorded(bed, name, launch, &SOME)
        });
    }
    suite.for_runtimes("ignored_children", ignored_children);
    suite.run()
}

/// Starts a program that records what it is given in the place of the runtime `name`, by the shell function `launch`.
fn recorded(bed: &Bed, name: &str, launch: &str, calls: &[&str]) -> TestResult {
    need::command("perl")?;
    Bundle::new(bed, "b", "true")?.write()?;
    std::fs::create_dir(bed.path("sub"))?;
    bed.file("input", "one\ntwo\n")?;
    let program = bed.file(name, include_str!("support/record.pl"))?;
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
    let mut bare = String::new();
    for form in Form::ALL {
        let mut transcript = String::new();
        for call in calls {
            let call = call.replace("BED", &bed.path("").display().to_string());
            transcript += &format!("called {call} || true\n");
        }
        let text = format!(
            r#"mkfifo -m 600 fifo 2> /dev/null || true
            export LAUNCHER=$$ ODDLY=$'a  b\n\xff' EMPTY= IN=$BED/input
            umask 027; ulimit -S -n 777; ulimit -S -c 0; ulimit -S -s 4096
            ODD=(env --default-signal --block-signal=USR1,WINCH,34 --ignore-signal=PIPE,QUIT,USR2 nice -n 3 choom -n 500 --)
            launch() {{ {launch}; }}
            CALL=(launch "${{CALL[@]}}")
            {transcript}"#
        );
        let script = form.script(bed, RUNC_1_1, &text)?.env("RUNTIME", &program);
        let ours = script.succeed()?;
        match form {
            Form::Bare => bare = ours,
            Form::Named => same_transcript(form, &bare, &ours)?,
            Form::Lacking => same_transcript(form, &with_namespaces(name, &bare), &ours)?,
        }
    }
    let ended =
        |line: &str| matches!(line, "= 77" | "closed <&-: 77") || line.starts_with("argument --version");
    equal(
        "calls that reached the program",
        bare.lines().filter(|line| ended(line)).count(),
        calls.len(),
    )
}

/// The bare transcript, with what is prepared in another mount namespace.
fn with_namespaces(name: &str, bare: &str) -> String {
    let mut prepared = false;
    let mut text = Vec::new();
    for line in bare.lines() {
        if let Some(call) = line.strip_prefix("$ ") {
            prepared = is_prepared(name, call);
        }
        text.push(match line {
            "namespace mnt kept" if prepared => "namespace mnt another",
            other => other,
        });
    }
    text.join("\n")
}

/// An engine that ignores its children's ends hands that on, and yet gets a container, whose hooks have to be waited for.
fn ignored_children(bed: &Bed, runtime: Runtime) -> TestResult {
    Bundle::new(bed, "b", "sleep 1000")?.write()?;
    let text = r#"
        CALL=(env --ignore-signal=CHLD "${CALL[@]}")
        up b
        gone
        called "${ROOT[@]}" start "$ID" || true"#;
    same(bed, runtime, text)?;
    // What the runtime itself was given: grep stands in for one, since shells and perl put this signal right.
    let text = r#"
        CALL=(env --ignore-signal=CHLD "${CALL[@]}")
        called --regexp SigIgn /proc/self/status | grep -v '^\$'"#;
    let bare = same_by(|form| {
        form.script(bed, runtime, text)?
            .env("RUNTIME", need::command("grep")?)
            .succeed()
    })?;
    let ignored = bare
        .split_whitespace()
        .nth(1)
        .map(|mask| u64::from_str_radix(mask, 16));
    equal(
        "SIGCHLD is ignored",
        ignored.transpose()?.map(|mask| mask & 1 << 16),
        Some(1 << 16),
    )
}
