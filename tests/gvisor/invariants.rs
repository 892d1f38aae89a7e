//! What is meant to hold anywhere, held inside a real gVisor: the tests of plain Linux themselves, run in there, and what its
//! kernel does differently.

#[path = "../support/mod.rs"]
mod support;

use std::path::PathBuf;
use std::process::ExitCode;

use support::{
    Bed, Bundle, GVISOR, RUNC_1_1, RUNC_1_5, Runtime, Suite, TestResult, equal, fail, made_up_table, need,
    print_made_up,
};

/// The files of tests, and what of them cannot be in gVisor, however it is brought about.
const FILES: &[(&str, &[&str])] = &[
    ("attach", &[]),
    // It has no user/max_user_namespaces to use up. crun cannot set up a network namespace there (SIOCSIFFLAGS). What is
    // refused before the kernel is asked for anything is the same everywhere.
    (
        "bad_input",
        &[
            "no_right",
            "hook_fails::crun",
            "cured::state",
            "cured::config",
            "cured::bundle",
        ],
    ),
    ("bundle", &[]),
    // Values without a newline run together in `sysctl -a`: `container_union` here. crun's exec needs the freezer, and its user
    // namespaces a network namespace. gVisor gives any user namespace a procfs, whatever covers the one outside.
    (
        "cured_container",
        &[
            "union",
            "exec::crun",
            "bare::user_namespace",
            "user_namespace::crun",
        ],
    ),
    // gVisor lacks mount_setattr, so that of the new interface nothing more is forced than it does by itself.
    (
        "forced_fallback",
        &[
            "hook",
            "exec",
            "strace::",
            "attach::fs",
            "attach::move",
            "attach::mount",
        ],
    ),
    ("named_namespaces", &["in_gvisor"]),
    // createRuntime hooks are started where prestart hooks are. The spare lies elsewhere there.
    ("nothing_writable", &["createRuntime", "spare_in_given_proc"]),
    // The spare lies elsewhere there. sysctl(8) is asked for keys that it lacks.
    ("program", &["masks_of_any_sort", "sysctl"]),
    // Its net keys are those of the sandbox's first network namespace: `namespaces` here.
    ("stacking", &["exec_in_exec::namespaces"]),
    // Other words where the kernel lacks a key (tests/gvisor/runtimes.rs), as it does net/ipv4/ip_default_ttl. kernel/shmmni takes
    // no writes there.
    (
        "sysctls",
        &[
            "bare::lacking",
            "across_an_overmount",
            "lacking::crun",
            "cured::replaced",
            // With a network namespace of its own, which crun cannot set up there.
            "cured::job_without_proc_sys::crun",
        ],
    ),
];

fn main() -> ExitCode {
    let mut suite = Suite::new();
    for (file, skips) in FILES {
        suite.test(format!("as_on_linux::{file}"), move |bed| {
            as_on_linux(bed, file, skips)
        });
    }
    suite.test("namespaces", namespaces);
    suite.test("writes_reach_the_kernel", writes_reach_the_kernel);
    suite.test("faults::attach", faults_of_an_attach);
    suite.test("faults::descriptors", out_of_descriptors);
    suite.test("faults::container", faults_of_a_container);
    for runtime in [RUNC_1_1, RUNC_1_5] {
        suite.test(format!("container_union::{}", runtime.name), move |bed| {
            container_union(bed, runtime)
        });
    }
    suite.test("hostile::program", hostile_program);
    suite.test("hostile::container", hostile_container);
    suite.run()
}

/// The tests of `file` inside the sandbox, as they run on Linux.
fn as_on_linux(bed: &Bed, file: &str, skips: &[&str]) -> TestResult {
    let skips: Vec<_> = skips.iter().map(|name| format!("--skip {name}")).collect();
    let text = format!(
        r#"cgroup_v1; cd "$TESTS"; "$TEST" --test-threads 2 {} > "$BED/said" 2>&1 || {{ grep -v ' ok$' "$BED/said"; exit 1; }}
        grep '^test result' "$BED/said""#,
        skips.join(" ")
    );
    let script = bed
        .sandbox(GVISOR, &text)?
        .env("TEST", tests(file)?)
        .env("TESTS", env!("CARGO_MANIFEST_DIR"));
    let said = script.succeed()?;
    println!(
        "as_on_linux::{file}: {}",
        said.trim_start_matches("test result: ")
    );
    let none = said.contains(" 0 passed") || !said.contains("; 0 ignored;");
    equal(
        format!("something passed, nothing was skipped: {said}"),
        none,
        false,
    )
}

/// The latest build of a file of tests, which cargo names after the file and a hash. Running this file alone builds none.
fn tests(file: &str) -> TestResult<PathBuf> {
    let own = std::env::current_exe()?;
    let deps = own.parent().unwrap_or(&own);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(deps)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let hash = name.strip_prefix(file).and_then(|rest| rest.strip_prefix('-'));
        if hash.is_some_and(|hash| hash.chars().all(|c| c.is_ascii_hexdigit())) {
            found.push((path.metadata()?.modified()?, path));
        }
    }
    match found.into_iter().max() {
        Some((_, path)) => Ok(path),
        None => fail(format!(
            "tests/{file}.rs is not built: `cargo test --no-run` builds it"
        )),
    }
}

/// Keys that gVisor has, in overmounted folders and beside them.
const ORIGINALS: &str = "/proc/sys/kernel/pid_max /proc/sys/kernel/ostype /proc/sys/kernel/keys/maxkeys \
    /proc/sys/kernel/random/boot_id /proc/sys/kernel/yama/ptrace_scope /proc/sys/net/ipv4/tcp_sack \
    /proc/sys/net/ipv4/ip_local_port_range /proc/sys/net/core/somaxconn /proc/sys/fs/nr_open /proc/sys/vm/overcommit_memory";
const OURS: &str = "/proc/sys/kernel/made/fixed /proc/sys/kernel/made/free /proc/sys/kernel/fixed /proc/sys/net/ipv4/fixed \
    /proc/sys/fs/fixed /proc/sys/vm/max_map_count";
const TABLE: [(&str, &str); 6] = [
    ("kernel/made/fixed", "{ value = 1 }"),
    ("kernel/made/free", r#"{ value = 2, mode = "0644" }"#),
    ("kernel/fixed", "{ value = 3 }"),
    ("net/ipv4/fixed", "{ value = 4 }"),
    ("fs/fixed", "{ value = 5 }"),
    ("vm/max_map_count", r#"{ value = 6, when = "always" }"#),
];

const TRIES: &str = include_str!("../support/tries.pl");

/// Root in the program can do with the kernel's keys what it could without us, and with ours what their mode says.
fn hostile_program(bed: &Bed) -> TestResult {
    let text = format!(
        r#": > /tmp/empty; perl "$TRIES" {ORIGINALS} | sort > bare
        "$NSPREP" exec --table "$TABLE" -- perl "$TRIES" {ORIGINALS} | sort | diff bare - >&2; test -s bare
        ours='perl "$TRIES" {OURS} | sort; cat {OURS}'
        "$NSPREP" exec --table "$TABLE" -- sh -c "$ours""#
    );
    let script = bed.sandbox(GVISOR, &text)?;
    let script = script
        .env("TABLE", bed.table("table.toml", &TABLE)?)
        .env("TRIES", bed.file("tries.pl", TRIES)?);
    let said = script.succeed()?;
    // What `truncate` left of the one that takes writes does not matter. Its attributes are root's to change.
    let (could, rest): (Vec<_>, Vec<_>) = said.lines().partition(|line| line.starts_with("could "));
    let free = "/proc/sys/kernel/made/free";
    let other: Vec<_> = could.iter().filter(|line| !line.ends_with(free)).collect();
    equal("could", other, Vec::<&&str>::new())?;
    for call in ["write", "append", "cut", "truncate"] {
        let line = format!("could {call} {free}");
        equal(&line, could.contains(&line.as_str()), true)?;
    }
    let rest: Vec<_> = rest.iter().map(|line| line.trim_matches('\0')).collect();
    equal("values", rest, vec!["1", "3", "4", "5", "6"])
}

/// Root in a container, with the usual capabilities and with CAP_SYS_ADMIN, which may take all mounts off: as without us.
fn hostile_container(bed: &Bed) -> TestResult {
    let read_only = format!("/usr/bin/perl /tmp/tries.pl {ORIGINALS} {OURS}; cat {OURS} 2> /dev/null");
    let undo = format!(
        "for point in $(cut -d' ' -f5 /proc/self/mountinfo | grep ^/proc/ | sort -r); do umount $point; done
        for point in /proc/sys /proc; do mount -o remount,bind,rw $point; done
        /usr/bin/perl /tmp/tries.pl {ORIGINALS}"
    );
    for (name, program, admin) in [
        ("bare", &read_only, false),
        ("ours", &read_only, false),
        ("bare-admin", &undo, true),
        ("ours-admin", &undo, true),
    ] {
        let program = format!(": > /tmp/empty; {{ {program}; }} 2> /dev/null | sort");
        let mut bundle = Bundle::new(bed, name, &program)?.bind("/usr".as_ref(), "/usr", &["rbind", "ro"]);
        if admin {
            bundle = bundle.capability("CAP_SYS_ADMIN");
        }
        let rootfs = bundle.write()?.join("rootfs");
        std::fs::create_dir(rootfs.join("usr"))?;
        for folder in ["lib", "lib64"] {
            std::os::unix::fs::symlink(format!("usr/{folder}"), rootfs.join(folder))?;
        }
        std::fs::write(rootfs.join("tmp/tries.pl"), TRIES)?;
    }
    let text = "for name in bare ours bare-admin ours-admin; do
            case $name in bare*) run rt $name ;; *) run wrapped $name ;; esac > $name.out
        done
        cat bare.out; echo; cat ours.out; comm -13 bare-admin.out ours-admin.out; grep -c could bare-admin.out";
    let script = bed
        .runtime_sandbox(GVISOR, &RUNC_1_5, text)?
        .env("CONFIG", bed.config(&bed.table("table.toml", &TABLE)?)?);
    let said = script.succeed()?;
    let (kept, count) = said.rsplit_once('\n').unwrap_or_default();
    let (bare, ours) = kept.split_once("\n\n").unwrap_or_default();
    equal("could, bare", bare.contains("could"), false)?;
    equal("read, with us", ours, "1\n2\n3\n4\n5\n6")?;
    equal("could, with all taken off", count == "0", false)
}

/// gVisor shows everybody the net keys of one network namespace, and has no IPC key that takes writes: as without us.
fn namespaces(bed: &Bed) -> TestResult {
    let program = bed.file(
        "program.sh",
        "cd /proc/sys; range=net/ipv4/ip_local_port_range
        echo 1000 2000 > $range; cat $range
        unshare --net --ipc sh -c \"cat $range; echo 3000 4000 > $range; cat $range kernel/shmmni; echo 9 > kernel/shmmni\" 2>&1
        cat $range; echo 5 > net/ipv4/tcp_recovery; cat net/ipv4/tcp_recovery kernel/shmmni; hostname other; cat kernel/hostname\n",
    )?;
    for name in ["bare", "ours"] {
        let program = "cd /proc/sys/net/ipv4; cat ip_local_port_range; echo 5000 6000 > ip_local_port_range
            cat ip_local_port_range ../../kernel/shmmni";
        Bundle::new(bed, name, program)?
            .own_namespace("network")
            .own_namespace("ipc")
            .unprotected()
            .write()?;
    }
    let text = r#"unshare --uts sh "$PROGRAM" > bare.out; unshare --uts "$NSPREP" exec --table "$TABLE" -- sh "$PROGRAM" > ours.out
        diff bare.out ours.out >&2; range=/proc/sys/net/ipv4/ip_local_port_range
        for name in bare ours; do
            echo 1000 2000 > $range
            case $name in bare) run rt $name ;; *) run wrapped $name ;; esac > $name.out
            cat $range >> $name.out
        done
        diff bare.out ours.out >&2; cat ours.out"#;
    let table = made_up_table(bed)?;
    let script = bed
        .runtime_sandbox(GVISOR, &RUNC_1_5, text)?
        .env("PROGRAM", program)
        .env("CONFIG", bed.config(&table)?)
        .env("TABLE", table);
    let said = script.succeed()?;
    equal("the sandbox's own", said.contains("5000 6000"), true)
}

/// A write to a key that is passed through is the kernel's, and a change of the kernel's is seen, by program and container.
fn writes_reach_the_kernel(bed: &Bed) -> TestResult {
    let writes =
        "echo 2000 3000 > /proc/sys/net/ipv4/ip_local_port_range; echo 1000000 > /proc/sys/fs/nr_open
        echo 150 > /proc/sys/kernel/keys/maxkeys";
    let reads = "/proc/sys/net/ipv4/ip_local_port_range /proc/sys/fs/nr_open /proc/sys/kernel/keys/maxkeys";
    let program = format!(
        "cat {reads}; touch /tmp/ready; while [ ! -e /tmp/go ]; do sleep 0.05; done; cat {reads}; {writes}"
    );
    // gVisor wants CAP_SYS_ADMIN of who writes some of its keys.
    let bundle = Bundle::new(bed, "b", &program)?.unprotected();
    bundle.capability("CAP_SYS_ADMIN").write()?;
    let text = format!(
        r#"wrote='2000 3000 1000000 150'
        "$NSPREP" exec --table "$TABLE" -- sh -c '{writes}'; [ "$(echo $(cat {reads}))" = "$wrote" ]
        change() {{ echo 7000 8000 > /proc/sys/net/ipv4/ip_local_port_range; echo 160 > /proc/sys/kernel/keys/maxkeys; }}
        "$NSPREP" exec --table "$TABLE" -- sh -c '{program}' > out & wait_for /tmp/ready; change; touch /tmp/go; wait $!
        echo $(cat out); [ "$(echo $(cat {reads}))" = "$wrote" ]
        run wrapped b > out & wait_for b/rootfs/tmp/ready; change; touch b/rootfs/tmp/go; wait $!
        echo $(cat out); [ "$(echo $(cat {reads}))" = "$wrote" ]"#
    );
    let table = bed.table("table.toml", &TABLE)?;
    let script = bed
        .runtime_sandbox(GVISOR, &RUNC_1_5, &text)?
        .env("CONFIG", bed.config(&table)?)
        .env("TABLE", table);
    let read = "2000 3000 1000000 150 7000 8000 1000000 160";
    equal("read", script.succeed()?, format!("{read}\n{read}"))
}

/// Each call of an attach that the kernel can refuse is refused once: then nothing is there, or all of it.
fn faults_of_an_attach(bed: &Bed) -> TestResult {
    let strace = need::command("strace")?;
    let text = r#"cp /proc/self/mountinfo before; failed=0
        attach() { "$STRACE" -f -qq -o trace "$@" "$NSPREP" attach --table "$TABLE" > /dev/null 2>&1; }
        for call in mount umount2 openat mkdirat mknodat fchmodat fchmod write fsopen fsconfig open_tree move_mount readlink statx; do
            attach -e trace=$call; "$NSPREP" detach > /dev/null
            count=$(wc -l < trace)
            for turn in $(seq 1 $((count / 7 + 1)) "$count"); do
                if attach -e trace=$call -e inject=$call:error=ENOMEM:when=$turn; then
                    "$NSPREP" verify --table "$TABLE" > /dev/null || echo "not whole after $call $turn"
                    "$NSPREP" detach > /dev/null
                else
                    failed=$((failed + 1))
                fi
                diff before /proc/self/mountinfo > said || { echo "left after $call $turn"; cat said; exit; }
            done
        done
        for turn in 1 5 9 13 17; do
            ! "$STRACE" -f -qq -o trace -e trace=mount -e inject=mount:error=ENOMEM:when=$turn \
                "$NSPREP" exec --table "$TABLE" -- touch ran 2> /dev/null || echo "exec went on after mount $turn"
        done
        [ ! -e ran ] || echo "ran"
        [ $failed -gt 30 ] || echo "only $failed failed""#;
    let script = bed
        .sandbox(GVISOR, text)?
        .env("STRACE", strace)
        .env("TABLE", bed.table("table.toml", &TABLE)?);
    equal("said", script.succeed()?, "")
}

fn out_of_descriptors(bed: &Bed) -> TestResult {
    let text = r#"cp /proc/self/mountinfo before; failed=0
        for limit in $(seq 4 24); do
            if prlimit --nofile=$limit "$NSPREP" attach --table "$TABLE" > /dev/null 2>&1; then
                "$NSPREP" verify --table "$TABLE" > /dev/null && "$NSPREP" detach > /dev/null || echo "not whole with $limit"
            else failed=$((failed + 1)); fi
            diff before /proc/self/mountinfo > said || { echo "left with $limit"; cat said; exit; }
        done
        [ $failed -gt 2 ] || echo "only $failed failed"; [ $failed -lt 21 ] || echo "all failed""#;
    let script = bed.sandbox(GVISOR, text)?;
    equal(
        "said",
        script.env("TABLE", bed.table("table.toml", &TABLE)?).succeed()?,
        "",
    )
}

/// Mounts run out at some time of a container's start: it starts with every key, or not at all.
fn faults_of_a_container(bed: &Bed) -> TestResult {
    Bundle::new(bed, "b", "echo started; cat /proc/sys/kernel/fixed")?.write()?;
    let text = r#"cp /proc/self/mountinfo before; cp b/config.json config.json; limit=$(cat /proc/sys/fs/mount-max)
        whole=0 hooks=0
        for more in 4 12 20 30 40 60 80 100 150 200 400; do
            cp config.json b/config.json
            echo $(($(wc -l < before) + more)) > /proc/sys/fs/mount-max
            if run wrapped b > out 2> err; then
                [ "$(echo $(cat out))" = "started 3" ] && whole=$((whole + 1)) || echo "$more: half: $(cat out)"
            else
                [ ! -s out ] || echo "$more: started: $(cat out err)"
                ! grep -q 'runtime-bridge' err || hooks=$((hooks + 1))
            fi
            diff before /proc/self/mountinfo > said || { echo "left with $more"; cat said; }
            [ -z "$(rt list --quiet)" ] || echo "$more: a container is left"
        done
        echo "$limit" > /proc/sys/fs/mount-max
        [ $whole -gt 0 ] || echo "none ran"; [ $hooks -gt 0 ] || { echo "no hook failed"; cat err; }"#;
    let script = bed
        .runtime_sandbox(GVISOR, &RUNC_1_5, text)?
        .env("CONFIG", bed.config(&bed.table("table.toml", &TABLE)?)?);
    equal("said", script.succeed()?, "")
}

/// The container has the kernel's keys and ours, with the values, modes and owners that they have without us.
fn container_union(bed: &Bed, runtime: Runtime) -> TestResult {
    let list = "cd /proc/sys; find . -exec stat -c '%F %a %u %g %n' '{}' + | sort
        find . -type f ! -name uuid ! -name boot_id | sort | while read -r key; do echo \"$key: $(cat $key 2>&1)\"; done";
    Bundle::new(bed, "bare", list)?.write()?;
    Bundle::new(
        bed,
        "ours",
        &format!("({list}) | grep -v made; {}", print_made_up()),
    )?
    .write()?;
    let text =
        "run rt bare > bare.out; run wrapped ours > ours.out; count=$(wc -l < bare.out); [ $count -gt 120 ]
        head -n $count ours.out | diff bare.out - >&2; tail -n +$((count + 1)) ours.out";
    let script = bed
        .runtime_sandbox(GVISOR, &runtime, text)?
        .env("CONFIG", bed.config(&made_up_table(bed)?)?);
    equal("made up", script.succeed()?, support::made_up_values())
}
