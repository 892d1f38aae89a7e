//! Docker as Debian has it, on this Linux: dockerd 20.10, its containerd, and each runtime.

mod support;

use std::process::ExitCode;

use support::{
    Bed, RUNTIMES, Runtime, Script, Suite, TestResult, equal, made_up_values, section,
};

const DOCKER: &str = include_str!("engines_docker.sh");

/// What `docker run` is given, once with the runtime and once with the wrapper. The last word of each machine's own: one that lacks
/// capabilities can run no privileged container, without us as with us.
const OPTIONS: [&str; 11] = [
    "--volume named:/named --volume /srv/tree:/tree:rshared --volume /srv/tree:/fixed:ro --workdir /tmp --env A=B",
    "--read-only --user 1000:1000 --tmpfs /scratch --hostname box",
    "--network none --cap-add SYS_ADMIN --security-opt seccomp=unconfined",
    "--network host --sysctl kernel.shmmni=99",
    "--pid container:one --ipc container:one --network container:one",
    "--pid host --ipc host --uts host",
    "--memory 64m --cpus 0.5 --pids-limit 50 --ulimit nofile=100 --shm-size 1m --oom-score-adj 500",
    "--sysctl net.ipv4.ip_unprivileged_port_start=7 --sysctl kernel.shmmni=99 --security-opt no-new-privileges",
    "--cgroupns private --cap-drop ALL",
    "--security-opt systempaths=unconfined --cap-add SYS_ADMIN --cap-add NET_ADMIN",
    "--privileged",
];

fn main() -> ExitCode {
    let mut suite = Suite::new();
    for runtime in RUNTIMES {
        let name = runtime.name;
        suite.test(format!("same_as_bare::{name}"), move |bed| same_as_bare(bed, runtime));
    }
    suite.run()
}

fn script(bed: &Bed, runtime: Runtime, text: &str) -> TestResult<Script> {
    bed.engine("docker", runtime, &format!("{DOCKER}\n{text}"))
}

/// With any option a container is what it is without us, and has the keys.
fn same_as_bare(bed: &Bed, runtime: Runtime) -> TestResult {
    let calls: String = OPTIONS.map(|options| format!("same_as_bare {options}\n")).concat();
    let text = format!(
        r#"machine_with_docker
        runtime-bridge install docker --runtime "$NAME" > /dev/null; systemctl reload docker
        mkdir -p /srv/tree; mount -t tmpfs tmpfs /srv/tree; mount --make-shared /srv/tree
        docker volume create named > /dev/null
        left > before
        docker run --detach --name one --ipc shareable busybox sleep 1000 > /dev/null
        {calls}
        docker rm --force one > /dev/null; echo '== left'; left | diff before - || true"#
    );
    let output = script(bed, runtime, &text)?.succeed()?;
    for options in OPTIONS {
        let printed = section(&output, options)?.join("\n");
        if options == "--privileged" && printed.contains("can't apply capabilities") {
            continue;
        }
        equal(options, printed, format!("exit code 7\n{}", made_up_values()))?;
    }
    equal("left", section(&output, "left")?, Vec::<&str>::new())
}
