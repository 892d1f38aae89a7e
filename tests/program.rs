//! `nsprep exec` around a program: the keys are there, and everything else is the program's own.

mod support;

use std::path::PathBuf;
use std::process::ExitCode;

use support::{
    Bed, Propagation, Suite, TestResult, equal, kubelet_keys, made_up_table, made_up_values, need,
    print_made_up, same_lines,
};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.test("bare::cap_last_cap", |bed| {
        need::root()?;
        let script = bed.script("deprive /proc kernel/cap_last_cap; cat /proc/sys/kernel/cap_last_cap")?;
        script.run()?.fails_with("No such file or directory")
    });
    suite.test("bare::kubelet", |bed| {
        need::root()?;
        let kubelet = kubelet_keys(bed)?;
        let script = bed
            .script(r#"read_only_proc_sys; sh "$KUBELET""#)?
            .env("KUBELET", kubelet);
        script.run()?.fails_with("Read-only file system")
    });
    suite.test("cured::cap_last_cap", cap_last_cap);
    suite.test("cured::made_up", made_up);
    suite.test("cured::union", union);
    suite.test("cured::sysctl", sysctl);
    suite.test("cured::kubelet::read_only", |bed| {
        kubelet(bed, "read_only_proc_sys")
    });
    suite.test("cured::kubelet::missing", |bed| {
        kubelet(
            bed,
            "deprive /proc vm/panic_on_oom kernel/panic; read_only_proc_sys",
        )
    });
    suite.test("cured::exit_status", exit_status);
    suite.test("cured::signals", signals);
    suite.test("cured::stdin", stdin);
    suite.test("cured::surroundings", surroundings);
    suite.test("cured::cannot_start", cannot_start);
    suite.test("cured::propagation", propagation);
    suite.test("cured::masks_of_any_sort", masks_of_any_sort);
    suite.test("cured::odd_mounts", odd_mounts);
    suite.test("cured::user_namespace_inside", user_namespace_inside);
    suite.test("cured::unprivileged::own_ids", |bed| {
        unprivileged(bed, "", "65534 65534")
    });
    suite.test("cured::unprivileged::map_root", |bed| {
        unprivileged(bed, "--map-root", "0 0")
    });
    suite.test("cured::sys_admin_alone", sys_admin_alone);
    suite.test("bare::neither_capability", neither_capability);
    suite.run()
}

fn cap_last_cap(bed: &Bed) -> TestResult {
    need::root()?;
    let expected = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap")?;
    let text = r#"deprive /proc kernel/cap_last_cap; "$NSPREP" exec --profile runc -- cat /proc/sys/kernel/cap_last_cap"#;
    equal("cap_last_cap", bed.script(text)?.succeed()?, expected.trim_end())
}

/// Anybody may mount on a path that is not UTF-8, by fusermount say. A mount that looks like the last layer there can be leaves
/// no number for another.
fn odd_mounts(bed: &Bed) -> TestResult {
    need::root()?;
    let text = r#"odd=$(printf 'odd\377'); mkdir "$odd" t; mount -t tmpfs t "$odd"
        "$NSPREP" exec --table "$TABLE" -- cat /proc/sys/kernel/made_up_key
        last=t/procemu:18446744073709551615; mount -t tmpfs t t; echo > $last; mount --bind $last /proc/uptime
        "$NSPREP" exec --table "$TABLE" -- true"#;
    let table = bed.table("t.toml", &[("kernel/made_up_key", "{ value = 5 }")])?;
    let output = bed.script(text)?.env("TABLE", table).run()?;
    equal("value", &*output.stdout, "5\n")?;
    output.fails_with("there is a procemu:18446744073709551615 already; take that off first")
}

/// In the program, in what it starts, and by sysctl(8).
fn made_up(bed: &Bed) -> TestResult {
    need::root()?;
    let text = format!(
        "\"$NSPREP\" exec --table \"$TABLE\" -- sh -c 'set -e\n{}sh -c \"cat /proc/sys/fs/made_up\"; sysctl -n kernel.made_up_key net.made.up'",
        print_made_up()
    );
    let output = bed.script(&text)?.env("TABLE", made_up_table(bed)?).succeed()?;
    equal("values", output, format!("{}\n1\n7\nsome text", made_up_values()))
}

/// A walk that follows links finds what was there and ours, with the same values.
fn union(bed: &Bed) -> TestResult {
    need::root()?;
    let list = "find -L /proc/sys -name procemu -prune -o -type f -print | sort";
    let values = "find -L /proc/sys/net /proc/sys/kernel /proc/sys/fs/mqueue /proc/sys/user \
        -name procemu -prune -o -type f -perm /444 \
        ! -name uuid ! -name entropy_avail ! -name nr ! -name ns_last_pid ! -name nf_conntrack_count ! -path '*/made*' \
        -exec grep -H '' {} + 2> /dev/null | sort";
    let text = format!(
        "{list} > before; \"$NSPREP\" exec --table \"$TABLE\" -- sh -c '{}' > after; diff before after | grep '^[<>]' || true",
        list.replace('\'', r"'\''")
    );
    let output = bed.script(&text)?.env("TABLE", made_up_table(bed)?).succeed()?;
    let ours = support::MADE_UP.map(|(key, _, _)| format!("> /proc/sys/{key}"));
    same_lines("find", output.lines(), ours.iter().map(String::as_str))?;
    let values = bed.file("values.sh", format!("{values} || true"))?;
    let text = r#"sh "$VALUES" > before; "$NSPREP" exec --table "$TABLE" -- sh "$VALUES" > after
        test -s before; diff before after"#;
    let script = bed
        .script(text)?
        .env("TABLE", made_up_table(bed)?)
        .env("VALUES", values);
    equal("values that differ", script.succeed()?, "")
}

/// procps' sysctl, which refuses a key whose resolved path lies outside /proc/sys, reads and writes what is linked, in
/// the namespaces of its own.
fn sysctl(bed: &Bed) -> TestResult {
    need::root()?;
    let text = r#"keys="kernel.shmmni net.ipv4.ip_default_ttl net.core.somaxconn fs.mqueue.queues_max user.max_user_namespaces"
        sysctl $keys > before
        "$NSPREP" exec --table "$TABLE" -- sh -c "sysctl $keys kernel.made_up_key > after; sysctl -a 2> /dev/null > all
            unshare --net --ipc sysctl --write net.ipv4.ip_default_ttl=77 kernel.shmmni=78"
        sysctl $keys | diff before -; diff before after || true
        sort before | comm -23 - <(sort all)"#;
    let output = bed.script(text)?.env("TABLE", made_up_table(bed)?).succeed()?;
    let lines = [
        "net.ipv4.ip_default_ttl = 77",
        "kernel.shmmni = 78",
        "5a6",
        "> kernel.made_up_key = 7",
    ];
    equal("sysctl", output, lines.join("\n"))
}

/// The six keys cannot be written, or are not there; the host's keep their values, which the suite looks at.
fn kubelet(bed: &Bed, place: &str) -> TestResult {
    need::root()?;
    let kubelet = kubelet_keys(bed)?;
    let text = format!("{place}; \"$NSPREP\" exec --profile kubelet -- sh \"$KUBELET\"");
    equal(
        "standard output",
        bed.script(&text)?.env("KUBELET", kubelet).succeed()?,
        "ready",
    )
}

fn exit_status(bed: &Bed) -> TestResult {
    need::root()?;
    let text = r#"for status in 0 1 2 3 7 42 64 99 124 125 126 127 128 129 130 137 143 192 254 255; do
            got=0; "$NSPREP" exec --table "$TABLE" -- sh -c "exit $status" || got=$?
            [ "$got" = "$status" ] || echo "$status became $got"
        done"#;
    equal(
        "exit statuses",
        bed.script(text)?.env("TABLE", made_up_table(bed)?).succeed()?,
        "",
    )
}

/// CMD is the process that was started: what is sent to it arrives, and what ends it is seen.
fn signals(bed: &Bed) -> TestResult {
    need::root()?;
    let text = r#"
        # A test run in the background has INT and HUP ignored, and shells hand that on.
        for signal in TERM KILL INT HUP SEGV USR1; do
            got=0; (env --default-signal "$NSPREP" exec --table "$TABLE" -- sh -c "ulimit -c 0; kill -$signal \$\$") 2> /dev/null || got=$?
            [ "$got" = $((128 + $(kill -l $signal))) ] || echo "$signal became $got"
        done
        "$NSPREP" exec --table "$TABLE" -- sh -c 'echo $$ > pid; trap "touch done; exit 9" USR1; touch ready; while :; do sleep 0.02; done' &
        pid=$!
        wait_for ready
        [ "$(cat pid)" = "$pid" ] || echo "another process: $(cat pid) for $pid"
        kill -USR1 "$pid"; got=0; wait "$pid" || got=$?; echo "ended with $got"; test -e done
        # Ignored and blocked signals are the caller's.
        trap '' QUIT
        grep -E '^Sig(Ign|Blk)' /proc/self/status > bare || true
        "$NSPREP" exec --table "$TABLE" -- grep -E '^Sig(Ign|Blk)' /proc/self/status > ours || true
        diff bare ours"#;
    equal(
        "signals",
        bed.script(text)?.env("TABLE", made_up_table(bed)?).succeed()?,
        "ended with 9",
    )
}

fn stdin(bed: &Bed) -> TestResult {
    need::root()?;
    // Every byte value, and more than a pipe or a page holds.
    let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let input = bed.file("input", &bytes)?;
    let text = r#"cat "$INPUT" | "$NSPREP" exec --table "$TABLE" -- cat | cmp - "$INPUT"
        "$NSPREP" exec --table "$TABLE" -- cat | cmp - "$INPUT""#;
    let script = bed
        .script(text)?
        .env("INPUT", input)
        .env("TABLE", made_up_table(bed)?)
        .stdin(&bytes);
    equal("difference", script.succeed()?, "")
}

/// Arguments, environment, folder, descriptors, limits and capabilities: the same with us and without.
fn surroundings(bed: &Bed) -> TestResult {
    need::root()?;
    let show = r#"printf '%s|' "$@"; echo; env | grep -v '^_=' | sort; pwd; umask; ulimit -a; ls /proc/self/fd | wc -l
        cat <&7; grep -E '^(Cap|NoNewPrivs|Seccomp|Groups|Uid|Gid)' /proc/self/status; id
        ls -l /proc/self/ns | sed 's/.* \([a-z_]* ->\)/\1/' | grep -v '^mnt'"#;
    let show = bed.file("show.sh", show)?;
    let text = r#"umask 027; export ODD='a  b'; cd /usr
        sh "$SHOW" -- 'one  two' '' '*' --table x 7< "$SHOW" > "$BED/bare"
        "$NSPREP" exec --table "$TABLE" -- sh "$SHOW" -- 'one  two' '' '*' --table x 7< "$SHOW" > "$BED/ours"
        diff "$BED/bare" "$BED/ours""#;
    let script = bed
        .script(text)?
        .env("SHOW", show)
        .env("TABLE", made_up_table(bed)?);
    equal("difference", script.succeed()?, "")
}

fn cannot_start(bed: &Bed) -> TestResult {
    need::root()?;
    let table = made_up_table(bed)?;
    bed.file("not-executable", "#!/bin/sh\n")?;
    for (command, code, word) in [
        ("./not-executable", 126, "not-executable"),
        ("/tmp", 126, "/tmp"),
        ("no-such-command-anywhere", 127, "no-such-command-anywhere"),
        ("./no-such-file", 127, "no-such-file"),
    ] {
        let script = bed.script(&format!("exec \"$NSPREP\" exec --table \"$TABLE\" -- {command}"))?;
        script.env("TABLE", &table).run()?.refuses(code, &[word])?;
    }
    // A mistyped option is no command, and what is wrong before the command never looks like its own exit code.
    for (arguments, word) in [
        ("--tabel \"$TABLE\" -- touch ran", "--tabel"),
        ("--table \"$TABLE\"", "<CMD>"),
    ] {
        let text = format!("\"$NSPREP\" exec {arguments} 2> error || echo $?; grep -qF -e '{word}' error");
        equal(
            arguments,
            bed.script(&text)?.env("TABLE", &table).succeed()?,
            "125",
        )?;
    }
    let broken = bed.file("broken.toml", "[keys]\n\"kernel/x\" = { valu = 1 }\n")?;
    let output = bed
        .script("exec \"$NSPREP\" exec --table \"$TABLE\" -- touch ran")?
        .env("TABLE", broken)
        .run()?;
    output.refuses(125, &["broken.toml", "kernel/x", "valu"])?;
    equal("the program ran", bed.path("ran").exists(), false)
}

/// Ours stays in its namespace; everything else goes on reaching the host, as Bidirectional volumes need it.
fn propagation(bed: &Bed) -> TestResult {
    need::root()?;
    let text = r#"
        mkdir volume; mount -t tmpfs volume volume; mkdir volume/inner
        cat /proc/self/mountinfo > before
        "$NSPREP" exec --table "$TABLE" -- sh -c 'cat /proc/sys/kernel/made_up_key; touch ready; sleep 100 > /dev/null 2>&1' &
        pid=$!; trap 'kill $pid; pkill -P $pid || true' EXIT
        wait_for ready
        diff before /proc/self/mountinfo
        "$NSPREP" exec --table "$TABLE" -- sh -c 'mount -t tmpfs inner volume/inner; echo hello > volume/inner/file'
        cat volume/inner/file
        mkdir volume/later; mount -t tmpfs later volume/later; echo in > volume/later/file
        nsenter --target "$pid" --mount cat "$BED/volume/later/file""#;
    let script = bed
        .script(text)?
        .env("TABLE", made_up_table(bed)?)
        .propagation(Propagation::Shared);
    equal("both ways", script.succeed()?, "7\nhello\nin")
}

/// The spare clone of procfs keeps it possible to mount one in a user namespace.
fn user_namespace_inside(bed: &Bed) -> TestResult {
    need::root()?;
    let text = r#""$NSPREP" exec --table "$TABLE" -- unshare --user --map-root-user --mount --pid --fork sh -c '
        mount -t proc proc /proc && cat /proc/sys/kernel/ostype'"#;
    equal(
        "ostype",
        bed.script(text)?.env("TABLE", made_up_table(bed)?).succeed()?,
        "Linux",
    )
}

/// Uid 65534 without a single capability: a user namespace of its own.
fn unprivileged(bed: &Bed, option: &str, ids: &str) -> TestResult {
    need::unprivileged_user_namespaces()?;
    // The build folder may be closed to that user.
    let nsprep = bed.path("nsprep");
    std::fs::copy(support::nsprep()?, &nsprep)?;
    let text = format!(
        "setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all \
         \"$BED/nsprep\" exec {option} --table \"$TABLE\" -- sh -c '{}echo $(id -u) $(id -g)'",
        print_made_up()
    );
    let table: PathBuf = made_up_table(bed)?;
    let output = bed.script(&text)?.env("TABLE", table).succeed()?;
    equal("values and ids", output, format!("{}\n{ids}", made_up_values()))
}

/// Root with one capability, which may not write to what it does not own or may not write.
fn sys_admin_alone(bed: &Bed) -> TestResult {
    need::root()?;
    let text = format!(
        "umask 0777; exec setpriv --inh-caps=-all --bounding-set=-all,+sys_admin \
         \"$NSPREP\" exec --table \"$TABLE\" -- sh -c '{}stat -c %a /proc/sys/kernel'",
        print_made_up()
    );
    let output = bed.script(&text)?.env("TABLE", made_up_table(bed)?).succeed()?;
    equal("values and mode", output, format!("{}\n555", made_up_values()))
}

/// A user namespace does not help root that may not give files capabilities.
fn neither_capability(bed: &Bed) -> TestResult {
    need::root()?;
    let text = r#"setpriv --inh-caps=-all --bounding-set=-sys_admin,-setfcap "$NSPREP" exec --table "$TABLE" -- true"#;
    let output = bed.script(text)?.env("TABLE", made_up_table(bed)?).run()?;
    output.fails_with("root needs CAP_SYS_ADMIN, or CAP_SETFCAP for a user namespace, and has neither")
}

/// What hides a part of /proc hides it in the spare too: an unreadable file of a tmpfs as systemd binds it, a writable empty
/// tmpfs, another file of procfs.
fn masks_of_any_sort(bed: &Bed) -> TestResult {
    need::root()?;
    let text = r#"mkdir t; mount -t tmpfs t t; : > t/file; mkdir t/folder
        try() { unshare --mount sh -c "$1"' && exec "$NSPREP" exec --table "$TABLE" -- sh -c "$0"' "$2"; }
        try 'mount --bind t/file /proc/version' 'cat /proc/tty/ldisc/version'
        try 'mount -t tmpfs t /proc/fs' 'ls -A /proc/tty/ldisc/fs'
        try 'mount --bind /proc/uptime /proc/version' 'grep Linux /proc/tty/ldisc/version || true'
        try true 'cut -d" " -f1 /proc/tty/ldisc/version'"#;
    let script = bed.script(text)?.env("TABLE", made_up_table(bed)?);
    equal("seen", script.succeed()?, "Linux")
}
