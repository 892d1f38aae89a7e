//! Keys below /sys around a program: in sysfs itself, and in a file system that is mounted below it.

mod support;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use support::{Bed, Propagation, Suite, TestResult, equal, need};

/// A missing key that takes writes, a missing one that does not, and two that exist; the last one's folder is reached
/// through a link.
const KEYS: [(&str, &str); 4] = [
    (
        "/sys/module/made_up/parameters/size",
        r#"{ value = 65536, mode = "0644" }"#,
    ),
    ("/sys/kernel/made_up", "{ value = [1, 2] }"),
    (
        "/sys/kernel/mm/transparent_hugepage/enabled",
        r#"{ value = "never", when = "always" }"#,
    ),
    ("/sys/class/net/lo/made_up", "{ value = 3 }"),
];

/// Prints what they read as.
const PRINT: &str = "cat /sys/module/made_up/parameters/size /sys/kernel/made_up \
    /sys/kernel/mm/transparent_hugepage/enabled /sys/class/net/lo/made_up";

const VALUES: &str = "65536\n1\t2\nnever\n3";

/// Where a hierarchy of cgroup v1 is mounted.
const HIERARCHY: &str = "/sys/fs/cgroup/cpuacct";

const STRACE_NEW: &str = "fsopen,fsmount,open_tree,move_mount,mount_setattr";

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.test("bare", |bed| {
        need::root()?;
        bed.script(PRINT)?.run()?.fails_with("No such file or directory")
    });
    suite.test("program::values", values);
    suite.test("program::both_file_systems", both_file_systems);
    suite.test("program::originals_intact", originals_intact);
    suite.test("program::nothing_writable", nothing_writable);
    suite.test("program::unwritable", unwritable);
    suite.test("program::user_namespace_inside", user_namespace_inside);
    suite.test("program::unprivileged", unprivileged);
    suite.test("program::cgroup", cgroup);
    suite.test("program::nested", nested);
    for interface in ["new", "classic"] {
        suite.test(format!("propagation::program::{interface}"), move |bed| {
            propagation(bed, interface)
        });
        suite.test(format!("propagation::passed_through::{interface}"), move |bed| {
            passed_through(bed, interface)
        });
        suite.test(format!("program::cgroups_come_and_go::{interface}"), move |bed| {
            cgroups_come_and_go(bed, interface)
        });
        suite.test(format!("layers::here::{interface}"), move |bed| {
            layers(bed, interface)
        });
    }
    suite.test("propagation::spare", spare_propagation);
    suite.test("propagation::detach", detach_propagation);
    suite.test("layers::pid", layers_of_a_process);
    suite.test("refused::root_entry", |bed| {
        refused(bed, "/sys/made_up", "", 2, &["/sys/made_up", "root of sysfs"])
    });
    suite.test("refused::no_sysfs", |bed| {
        refused(
            bed,
            "/sys/kernel/made_up",
            "mount -t tmpfs t /sys",
            3,
            &["/sys/kernel/made_up", "/sys is not sysfs"],
        )
    });
    suite.test("refused::rootfs", hostile_rootfs);
    suite.test("all_or_nothing", all_or_nothing);
    suite.run()
}

fn table(bed: &Bed) -> TestResult<PathBuf> {
    Ok(bed.table("sysfs.toml", &KEYS)?)
}

/// nsprep, by the old interface alone where that is asked for.
fn nsprep(interface: &str) -> TestResult<String> {
    let strace = need::command("strace")?;
    Ok(match interface {
        "classic" => format!(
            "{} -f -qq -o \"$BED/trace\" -e trace={STRACE_NEW} -e inject={STRACE_NEW}:error=ENOSYS \"$NSPREP\"",
            strace.display()
        ),
        _ => "\"$NSPREP\"".to_owned(),
    })
}

fn values(bed: &Bed) -> TestResult {
    need::root()?;
    let text = format!(
        "cp /proc/self/mountinfo before
        \"$NSPREP\" exec --table \"$TABLE\" -- sh -c '{PRINT}; echo 7 > /sys/module/made_up/parameters/size
            cat /sys/module/made_up/parameters/size'
        diff before /proc/self/mountinfo; ! ls /sys/module/made_up 2> /dev/null"
    );
    let script = bed.script(&text)?.env("TABLE", table(bed)?);
    equal("values", script.succeed()?, format!("{VALUES}\n7"))
}

/// One layer, by one name, in both.
fn both_file_systems(bed: &Bed) -> TestResult {
    need::root()?;
    let mut keys = KEYS.to_vec();
    keys.push(("kernel/made_up_key", "{ value = 5 }"));
    let table = bed.table("both.toml", &keys)?;
    let text = format!(
        "\"$NSPREP\" exec --table \"$TABLE\" -- sh -c '{PRINT}; cat /proc/sys/kernel/made_up_key
            \"$NSPREP\" ns list > /dev/null; cut -d\" \" -f4 /proc/self/mountinfo | grep -o \"^/procemu:[0-9]*\" | sort -u'"
    );
    let script = bed.script(&text)?.env("TABLE", table);
    equal("values", script.succeed()?, format!("{VALUES}\n5\n/procemu:1"))
}

/// What was there reads what it read, below the overmounted folders.
fn originals_intact(bed: &Bed) -> TestResult {
    need::root()?;
    let list = "grep -rs . /sys/module/*/parameters /sys/kernel/mm/hugepages /sys/kernel/boot_params \
        /sys/kernel/address_bits /sys/devices/virtual/net/lo/flags /sys/class/net/lo/mtu | grep -v made_up | sort";
    let list = bed.file("list.sh", list)?;
    let text = r#"sh "$LIST" > before; test $(wc -l < before) -gt 200
        "$NSPREP" exec --table "$TABLE" -- sh "$LIST" > after; diff before after"#;
    let script = bed.script(text)?.env("TABLE", table(bed)?).env("LIST", list);
    equal("differences", script.env("LC_ALL", "C").succeed()?, "")
}

/// Root in the program writes the key that takes writes, and nothing else of ours.
fn nothing_writable(bed: &Bed) -> TestResult {
    need::root()?;
    let program = r#"cd /sys/module
        for try in 'echo 1 > /sys/kernel/made_up' 'echo 1 > new' 'mkdir new' 'rm made_up/parameters/size' \
            'chmod 666 /sys/kernel/made_up' 'touch made_up/new' 'mv made_up x' \
            'echo always > /sys/kernel/mm/transparent_hugepage/enabled'; do
            ! sh -c "$try" 2> /dev/null || echo "could: $try"
        done
        echo 9 > made_up/parameters/size; cat made_up/parameters/size"#;
    let program = bed.file("program.sh", program)?;
    let script = bed
        .script(r#""$NSPREP" exec --table "$TABLE" -- sh "$PROGRAM""#)?
        .env("TABLE", table(bed)?)
        .env("PROGRAM", program);
    equal("written", script.succeed()?, "9")
}

/// A key that opens for no writing is replaced; one that does is the kernel's, and is not written to find that out.
fn unwritable(bed: &Bed) -> TestResult {
    need::root()?;
    let entry = r#"{ value = 9, mode = "0644", when = "unwritable" }"#;
    let table = bed.table(
        "t.toml",
        &[
            ("/sys/kernel/fscaps", entry),
            ("/sys/kernel/mm/transparent_hugepage/enabled", entry),
        ],
    )?;
    let strace = need::command("strace")?;
    let text = r#""$STRACE" -f -y -o trace -e trace=write "$NSPREP" exec --table "$TABLE" -- cat /sys/kernel/fscaps
        ! grep '/sys/' trace; grep -c never /sys/kernel/mm/transparent_hugepage/enabled"#;
    let script = bed.script(text)?.env("TABLE", table).env("STRACE", strace);
    equal("fscaps", script.succeed()?, "9\n1")
}

/// The kernel gives a user namespace a sysfs only where one is not covered.
fn user_namespace_inside(bed: &Bed) -> TestResult {
    need::root()?;
    let text = r#"mkdir m; inside() { unshare --user --map-root-user --mount --net mount -t sysfs sysfs m; }
        inside && echo bare
        unshare --mount sh -c 'mount -t tmpfs t /sys/module; unshare --user --map-root-user --mount --net mount -t sysfs s m' \
            2> /dev/null || echo covered
        "$NSPREP" exec --table "$TABLE" -- unshare --user --map-root-user --mount --net mount -t sysfs s m && echo cured"#;
    let script = bed.script(text)?.env("TABLE", table(bed)?);
    equal("sysfs", script.succeed()?, "bare\ncovered\ncured")
}

fn unprivileged(bed: &Bed) -> TestResult {
    need::unprivileged_user_namespaces()?;
    std::fs::copy(support::nsprep()?, bed.path("nsprep"))?;
    let text = format!(
        "setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all \
         \"$BED/nsprep\" exec --table \"$TABLE\" -- sh -c '{PRINT}; id -u'"
    );
    let script = bed.script(&text)?.env("TABLE", table(bed)?);
    equal("values", script.succeed()?, format!("{VALUES}\n65534"))
}

/// Cgroups that are there stay usable below an overmounted one, which takes no new ones.
fn cgroup(bed: &Bed) -> TestResult {
    let table = percpu(bed)?;
    let text = r#"mkdir "$HIERARCHY/$ID"; trap 'rmdir "$HIERARCHY/$ID"' EXIT
        "$NSPREP" exec --table "$TABLE" -- sh -c 'cat "$HIERARCHY/made_up"
            mkdir "$HIERARCHY/$ID/child" && rmdir "$HIERARCHY/$ID/child" && echo inside
            mkdir "$HIERARCHY/$ID-new" 2> /dev/null || echo refused
            echo $$ > "$HIERARCHY/$ID/cgroup.procs" && grep -c "cpuacct.*$ID" /proc/self/cgroup
            echo $$ > "$HIERARCHY/cgroup.procs"
            unshare --user --map-root-user --mount --net mount -t sysfs s "$BED" && echo sysfs
            grep -c " - sysfs " /proc/self/mountinfo'"#;
    let script = bed.script(text)?.env("TABLE", table).env("HIERARCHY", HIERARCHY);
    // And no spare sysfs, since sysfs itself is not covered.
    equal("said", script.succeed()?, "0 0\ninside\nrefused\n1\nsysfs\n1")
}

/// One that is gone when it would be passed through, or comes after the look, is no reason to fail.
fn cgroups_come_and_go(bed: &Bed, interface: &str) -> TestResult {
    let text = r#"
        sh -c 'while [ ! -e stop ]; do mkdir "$HIERARCHY/$ID-1" "$HIERARCHY/$ID-2"; rmdir "$HIERARCHY/$ID-1" "$HIERARCHY/$ID-2"; done' &
        trap 'touch stop; wait' EXIT
        for turn in $(seq 30); do NSPREP_CALL exec --table "$TABLE" -- cat "$HIERARCHY/made_up"; done | sort | uniq -c"#
        .replace("NSPREP_CALL", &nsprep(interface)?);
    let script = bed
        .script(&text)?
        .env("TABLE", percpu(bed)?)
        .env("HIERARCHY", HIERARCHY);
    equal("values", script.succeed()?.trim(), "30 0 0")
}

fn percpu(bed: &Bed) -> TestResult<PathBuf> {
    need::root()?;
    if !Path::new(HIERARCHY).join("cpuacct.usage").exists() {
        return need::skip(format!("needs cgroup v1 at {HIERARCHY}"));
    }
    let key = format!("{HIERARCHY}/made_up");
    Ok(bed.table("percpu.toml", &[(&key, r#"{ value = "0 0" }"#)])?)
}

/// A kubelet's way: one namespace for all, and within it one of its own for a key that nobody else may see. Mounts that it
/// makes reach the others.
fn nested(bed: &Bed) -> TestResult {
    let text = r#"
        in_node() { "$NSPREP" exec --ns "$ID" --state-dir "$BED/ns" --table "$TABLE" -- "$@"; }
        trap '"$NSPREP" ns remove --state-dir "$BED/ns" "$ID" > /dev/null; umount -l "$BED/ns" 2> /dev/null || true' EXIT
        mkdir volume
        in_node "$NSPREP" exec --table "$PERCPU" -- sh -c '
            cat "$HIERARCHY/made_up" /sys/module/made_up/parameters/size; mount -t tmpfs v "$BED/volume"; echo in > volume/file'
        in_node sh -c '! ls "$HIERARCHY/made_up" 2> /dev/null; cat volume/file /sys/kernel/made_up'"#;
    let script = bed
        .script(text)?
        .env("PERCPU", percpu(bed)?)
        .env("TABLE", table(bed)?)
        .env("HIERARCHY", HIERARCHY)
        .propagation(Propagation::Shared);
    equal("values", script.succeed()?, "0 0\n65536\nin\n1\t2")
}

/// Nothing reaches the outside, what is mounted outside later arrives, and mounts below /sys stay common.
fn propagation(bed: &Bed, interface: &str) -> TestResult {
    need::root()?;
    let text = r#"
        mount -t tmpfs common /sys/fs/bpf; mkdir /sys/fs/bpf/inner
        cat /proc/self/mountinfo > before
        NSPREP_CALL exec --table "$TABLE" -- sh -c 'cat /sys/kernel/made_up; touch ready; exec sleep 100 > /dev/null 2>&1' &
        trap 'kill $!; pkill -P $! || true' EXIT
        wait_for ready; pid=$(pgrep -f "^sleep 100" -P $! || echo $!)
        diff before /proc/self/mountinfo && echo same
        mount -t tmpfs later /sys/fs/pstore; echo arrived > /sys/fs/pstore/file
        nsenter --target "$pid" --mount cat /sys/fs/pstore/file
        nsenter --target "$pid" --mount sh -c 'mount -t tmpfs i /sys/fs/bpf/inner; echo common > /sys/fs/bpf/inner/file'
        cat /sys/fs/bpf/inner/file"#
        .replace("NSPREP_CALL", &nsprep(interface)?);
    let script = bed
        .script(&text)?
        .env("TABLE", table(bed)?)
        .propagation(Propagation::Shared);
    equal("said", script.succeed()?, "1\t2\nsame\narrived\ncommon")
}

/// Where an overmount passes through mounts that others have too, detaching it leaves theirs alone.
fn passed_through(bed: &Bed, interface: &str) -> TestResult {
    need::root()?;
    let key = [("/sys/fs/made_up", "{ value = 4 }")];
    let text = r#"
        mount -t tmpfs common /sys/fs/bpf; mkdir /sys/fs/bpf/inner; mount -t tmpfs inner /sys/fs/bpf/inner
        echo here > /sys/fs/bpf/inner/file
        cat /proc/self/mountinfo > before
        unshare --mount --propagation unchanged sh -c 'NSPREP_CALL attach --table "$TABLE" > /dev/null; cat /sys/fs/made_up
            cat /sys/fs/bpf/inner/file; mount -t tmpfs mine /sys/fs/pstore
            NSPREP_CALL detach > /dev/null; cat /sys/fs/bpf/inner/file'
        diff before /proc/self/mountinfo"#
        .replace("NSPREP_CALL", &nsprep(interface)?);
    let script = bed
        .script(&text)?
        .env("TABLE", bed.table("fs.toml", &key)?)
        .propagation(Propagation::Shared);
    equal("said", script.succeed()?, "4\nhere\nhere")
}

/// A second layer on one of cgroups: its spare lies on sysfs, of which nothing was cut off yet. The same after a layer that
/// has no spare, and whose mounts were shared again.
fn spare_propagation(bed: &Bed) -> TestResult {
    let again = bed.table("again.toml", &[(&format!("{HIERARCHY}/again"), "{ value = 5 }")])?;
    let text = r#"cat /proc/self/mountinfo > before
        "$NSPREP" exec --table "$PERCPU" -- "$NSPREP" exec --table "$AGAIN" -- cat "$HIERARCHY/again"
        diff before /proc/self/mountinfo
        "$NSPREP" exec --table "$PERCPU" -- sh -c 'mount --make-rshared /; cat /proc/self/mountinfo > inner
            "$NSPREP" exec --table "$AGAIN" --table "$TABLE" -- cat "$HIERARCHY/again"; diff inner /proc/self/mountinfo'
        diff before /proc/self/mountinfo"#;
    let script = bed
        .script(text)?
        .env("PERCPU", percpu(bed)?)
        .env("AGAIN", again)
        .env("TABLE", table(bed)?)
        .env("HIERARCHY", HIERARCHY)
        .propagation(Propagation::Shared);
    equal("values", script.succeed()?, "5\n5")
}

/// What is detached in one mount namespace stays in others, also where all mounts were shared since the attach.
fn detach_propagation(bed: &Bed) -> TestResult {
    need::root()?;
    let mut keys = KEYS.to_vec();
    keys.push(("kernel/made_up_key", "{ value = 5 }"));
    keys.push(("kernel/ostype", r#"{ value = 6, when = "always" }"#));
    let text = r#"cat /proc/self/mountinfo > before
        "$NSPREP" exec --table "$TABLE" -- sh -c 'mount --make-rshared /; cat /proc/self/mountinfo > inner
            unshare --mount --propagation unchanged sh -c "\"$NSPREP\" detach; grep -c procemu: /proc/self/mountinfo"
            diff inner /proc/self/mountinfo'
        diff before /proc/self/mountinfo"#;
    let script = bed
        .script(text)?
        .env("TABLE", bed.table("both.toml", &keys)?)
        .propagation(Propagation::Shared);
    let output = script.run()?;
    equal("said", output.success()?.as_str(), "procemu:1: detached\n0")
}

/// The two parts of a layer are verified and taken off together.
fn layers(bed: &Bed, interface: &str) -> TestResult {
    need::root()?;
    let first = bed.table("first.toml", &[("kernel/made_up_key", "{ value = 5 }")])?;
    let mut keys = KEYS.to_vec();
    keys.push(("kernel/made_up_too", "{ value = 6 }"));
    let second = bed.table("second.toml", &keys)?;
    let text = r#"cp /proc/self/mountinfo before
        NSPREP_CALL attach --table "$FIRST" > /dev/null; NSPREP_CALL attach --table "$SECOND" | cut -d' ' -f1
        NSPREP_CALL verify --table "$FIRST" --table "$SECOND" | cut -d' ' -f1 | sort | uniq -c
        NSPREP_CALL detach procemu:1 2> said || grep -o 'take that off first' said
        NSPREP_CALL detach; ! ls /sys/module/made_up 2> /dev/null; cat /proc/sys/kernel/made_up_key; NSPREP_CALL detach
        diff before /proc/self/mountinfo"#
        .replace("NSPREP_CALL", &nsprep(interface)?);
    let script = bed.script(&text)?.env("FIRST", first).env("SECOND", second);
    equal(
        "said",
        script.succeed()?,
        "procemu:2:\n      6 ok\ntake that off first\nprocemu:2: detached\n5\nprocemu:1: detached",
    )
}

fn layers_of_a_process(bed: &Bed) -> TestResult {
    need::root()?;
    let text = format!(
        "unshare --mount sh -c 'touch ready; exec sleep 100' & pid=$!; trap 'kill $pid' EXIT; wait_for ready
        nsenter -t $pid -m cat /proc/self/mountinfo > before
        \"$NSPREP\" attach --pid $pid --table \"$TABLE\" > /dev/null
        \"$NSPREP\" verify --pid $pid --table \"$TABLE\" > /dev/null
        nsenter -t $pid -m sh -c '{PRINT}'; ! ls /sys/module/made_up 2> /dev/null
        \"$NSPREP\" detach --pid $pid; nsenter -t $pid -m cat /proc/self/mountinfo | diff before -"
    );
    let script = bed.script(&text)?.env("TABLE", table(bed)?);
    equal(
        "said",
        script.succeed()?,
        format!("{VALUES}\nprocemu:1: detached"),
    )
}

fn refused(bed: &Bed, key: &str, before: &str, code: i32, words: &[&str]) -> TestResult {
    need::root()?;
    let table = bed.table(
        "t.toml",
        &[("kernel/made_up_key", "{ value = 5 }"), (key, "{ value = 5 }")],
    )?;
    let text = format!(
        "{before}\ncp /proc/self/mountinfo before; status=0
        \"$NSPREP\" attach --table \"$TABLE\" || status=$?; diff before /proc/self/mountinfo; exit $status"
    );
    bed.script(&text)?.env("TABLE", table).run()?.refuses(code, words)
}

/// `sys` below a rootfs as a link, a folder, a part of a sysfs; then one.
fn hostile_rootfs(bed: &Bed) -> TestResult {
    need::root()?;
    let text = r#"mkdir -p r/proc; mount -t proc proc r/proc; ln -s /sys r/sys
        try() {
            cp /proc/self/mountinfo before; status=0
            "$NSPREP" attach --rootfs "$BED/r" --table "$TABLE" 2> said || status=$?
            diff before /proc/self/mountinfo; echo "$status $(grep -o 'a symlink\|not sysfs\|inside sysfs' said)"
        }
        try; rm r/sys; mkdir r/sys; try; mount --bind /sys/kernel r/sys; try; umount r/sys; mount --bind /sys r/sys
        "$NSPREP" attach --rootfs "$BED/r" --table "$TABLE" | cut -d' ' -f1; cat r/sys/kernel/made_up"#;
    let script = bed.script(text)?.env("TABLE", table(bed)?);
    let expected = "3 a symlink\n3 not sysfs\n3 inside sysfs\nprocemu:1:\n1\t2";
    equal("said", script.succeed()?, expected)
}

/// A mount of either part fails, those of sysfs after all of procfs is in place. The mount table is what it was, and what was
/// shared is shared.
fn all_or_nothing(bed: &Bed) -> TestResult {
    need::root()?;
    let mut keys = KEYS.to_vec();
    keys.push(("fs/made_up", "{ value = 5 }"));
    let table = bed.table("both.toml", &keys)?;
    let strace = need::command("strace")?;
    let text = r#"
        attach() { "$STRACE" -f -qq -o trace -e trace=move_mount "$@" "$NSPREP" attach --table "$TABLE"; }
        state() { sed -E 's/shared:[0-9]+/shared/; s/master:[0-9]+ //' /proc/self/mountinfo; }
        attach > /dev/null; "$NSPREP" detach > /dev/null; calls=$(grep -c move_mount trace)
        mount --make-rshared /proc; mount --make-shared /sys; state > before
        for call in 5 $((calls - 9)) $((calls - 3)) $((calls - 2)) $((calls - 1)) $calls; do
            status=0; attach -e inject=move_mount:error=ENOSPC:when=$call > /dev/null 2>&1 || status=$?
            [ $status = 4 ] || echo "call $call of $calls: exit $status"
            state | diff before - > /dev/null || echo "left after call $call of $calls"
        done
        attach > /dev/null && cat /proc/sys/fs/made_up"#;
    let script = bed.script(text)?.env("STRACE", strace).env("TABLE", table);
    equal("said", script.propagation(Propagation::Shared).succeed()?, "5")
}
