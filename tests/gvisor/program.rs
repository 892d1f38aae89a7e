//! Inside a real gVisor, whose kernel has some 70 of Linux's keys, keeps no mount sources and lacks mount_setattr(2).

#[path = "../support/mod.rs"]
mod support;

use std::process::ExitCode;

use procemu::Profile;
use support::{
    Bed, GVISOR, GVISOR_LACKING, Suite, TestResult, equal, kubelet_keys, made_up_table, made_up_values,
    print_made_up,
};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.test("bare::kubelet", |bed| {
        let script = bed
            .sandbox(GVISOR, r#"sh "$KUBELET""#)?
            .env("KUBELET", kubelet_keys(bed)?);
        script.run()?.fails_with("I/O error")
    });
    suite.test("cured::kubelet", |bed| {
        let script = bed.sandbox(GVISOR, r#""$NSPREP" exec --profile kubelet -- sh "$KUBELET""#)?;
        equal(
            "standard output",
            script.env("KUBELET", kubelet_keys(bed)?).succeed()?,
            "ready",
        )
    });
    suite.test("bare::cap_last_cap", |bed| {
        let script = bed.sandbox(GVISOR_LACKING, "cat /proc/sys/kernel/cap_last_cap")?;
        script.run()?.fails_with("No such file or directory")
    });
    suite.test("cured::cap_last_cap", |bed| {
        let has = bed.sandbox(GVISOR, "cat /proc/sys/kernel/cap_last_cap")?;
        let text = r#""$NSPREP" exec --profile runc -- cat /proc/sys/kernel/cap_last_cap"#;
        let lacks = bed.sandbox(GVISOR_LACKING, text)?;
        equal("value", lacks.succeed()?, has.succeed()?)
    });
    suite.test("program::made_up", made_up);
    suite.test("program::full", full);
    suite.test("program::no_cap_sys_admin", no_cap_sys_admin);
    suite.test("program::user_namespace_inside", user_namespace_inside);
    suite.test("program::originals_intact", originals_intact);
    suite.test("program::nothing_writable", nothing_writable);
    suite.test("layers::here", layers_here);
    suite.test("layers::pid", layers_of_a_process);
    suite.test("layers::wrong_order", layers_in_the_wrong_order);
    suite.test("nothing_left_by_a_failure", nothing_left_by_a_failure);
    suite.test("sysfs::values", sysfs);
    suite.test("sysfs::no_cap_sys_admin", sysfs_without_cap_sys_admin);
    suite.test("sysfs::nested", sysfs_nested);
    suite.test("sysfs::root", sysfs_root);
    suite.run()
}

/// Every key of a usual Linux that can be shown is there, beside those that the sandbox has.
fn full(bed: &Bed) -> TestResult {
    let keys: Vec<_> = Profile::get("full")?
        .keys()
        .map(|key| format!("/proc/{}", key.path()))
        .collect();
    bed.file("keys", keys.join("\n") + "\n")?;
    let text = r#"find /proc/sys -type f | sort > before
        missing=$(sort "$KEYS" | comm -23 - before | wc -l); [ "$missing" -gt 100 ] || echo "only $missing keys are missing"
        "$NSPREP" exec --profile full -- sh -ec 'xargs cat < "$KEYS" > /dev/null; xargs stat -L < before > /dev/null
            "$NSPREP" verify --profile full | grep -v "^ok" || echo verified'"#;
    let script = bed.sandbox(GVISOR, text)?.env("KEYS", bed.path("keys"));
    equal("full", script.succeed()?, "verified")
}

/// The keys are there for the program and all that it starts, and nowhere else.
fn made_up(bed: &Bed) -> TestResult {
    let text = format!(
        "cp /proc/self/mountinfo before
        \"$NSPREP\" exec --table \"$TABLE\" -- sh -c 'set -e\n{}sh -c \"cat /proc/sys/fs/made_up\"'
        diff before /proc/self/mountinfo; ! ls /proc/sys/kernel | grep made",
        print_made_up()
    );
    let output = bed
        .sandbox(GVISOR, &text)?
        .env("TABLE", made_up_table(bed)?)
        .succeed()?;
    equal("values", output, format!("{}\n1", made_up_values()))
}

/// Root without CAP_SYS_ADMIN, and a user without any capability: in a user namespace of nsprep's own; root with that alone.
fn no_cap_sys_admin(bed: &Bed) -> TestResult {
    let text = format!(
        "cat > program <<'END'\n{}echo $(id -u)\nEND
        setpriv --bounding-set=-sys_admin --inh-caps=-all \"$NSPREP\" exec --table \"$TABLE\" -- sh program
        setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all \
            \"$NSPREP\" exec --table \"$TABLE\" -- sh program
        setpriv --inh-caps=-all --bounding-set=-all,+sys_admin \"$NSPREP\" exec --table \"$TABLE\" -- sh program",
        print_made_up()
    );
    let output = bed
        .sandbox(GVISOR, &text)?
        .env("TABLE", made_up_table(bed)?)
        .succeed()?;
    let values = made_up_values();
    equal(
        "values and ids",
        output,
        format!("{values}\n0\n{values}\n65534\n{values}\n0"),
    )
}

fn user_namespace_inside(bed: &Bed) -> TestResult {
    let text = r#""$NSPREP" exec --table "$TABLE" -- unshare --user --map-root-user --mount --pid --fork sh -c '
        mount -t proc proc /proc && cat /proc/sys/kernel/ostype'"#;
    let script = bed.sandbox(GVISOR, text)?.env("TABLE", made_up_table(bed)?);
    equal("ostype", script.succeed()?, "Linux")
}

/// Every key that was there reads what it read, under its own name.
fn originals_intact(bed: &Bed) -> TestResult {
    let values = "find -L /proc/sys -name procemu -prune -o -type f -perm /444 ! -name uuid ! -path '*/made*' \
        -exec grep -H '' {} + | sort";
    let values = bed.file("values.sh", values)?;
    let text = r#"sh "$VALUES" > before; "$NSPREP" exec --table "$TABLE" -- sh "$VALUES" > after
        test $(wc -l < before) -gt 30; diff before after"#;
    let script = bed
        .sandbox(GVISOR, text)?
        .env("TABLE", made_up_table(bed)?)
        .env("VALUES", values);
    equal("differences", script.succeed()?, "")
}

/// Root in the program writes the keys that take writes, and nothing else of what we put there.
fn nothing_writable(bed: &Bed) -> TestResult {
    let table = bed.table(
        "table.toml",
        &[
            ("kernel/made/fixed", "{ value = 1 }"),
            ("kernel/made/free", r#"{ value = 2, mode = "0644" }"#),
        ],
    )?;
    let program = r#"cd /proc/sys/kernel
        echo 3 > made/free; cat made/free made/fixed
        for try in 'echo 3 > made/fixed' 'echo 3 > new' 'touch made/new' 'mkdir new' 'rm made/fixed' 'rm made/free' \
            'mv made/fixed made/x' 'ln -s x new' 'ln made/fixed made/x' \
            'chmod 666 made/fixed' 'chmod 777 made' 'chown 1 made/fixed' 'touch made/fixed' \
            'perl -e "exit !truncate q(made/fixed), 0"' 'perl -e "exit !truncate q(made/fixed), 99"'; do
            ! sh -c "$try" 2> /dev/null || echo "could: $try"
        done
        cat made/free made/fixed"#;
    let program = bed.file("program.sh", program)?;
    let script = bed
        .sandbox(GVISOR, r#""$NSPREP" exec --table "$TABLE" -- sh "$PROGRAM""#)?
        .env("TABLE", table)
        .env("PROGRAM", program);
    equal("standard output", script.succeed()?, "3\n1\n3\n1")
}

/// Two layers are told apart, verified and taken off, the latest first.
fn layers_here(bed: &Bed) -> TestResult {
    let text = r#"cp /proc/self/mountinfo before
        "$NSPREP" attach --table "$TABLE"; "$NSPREP" attach --profile container > second
        "$NSPREP" verify --table "$TABLE" --profile container > verified
        "$NSPREP" detach; cat /proc/sys/kernel/made_up_key; "$NSPREP" detach; "$NSPREP" detach
        diff before /proc/self/mountinfo"#;
    let output = bed
        .sandbox(GVISOR, text)?
        .env("TABLE", made_up_table(bed)?)
        .succeed()?;
    let lines: Vec<_> = output.lines().collect();
    equal(
        "said",
        &lines[1..],
        &[
            "procemu:2: detached",
            "7",
            "procemu:1: detached",
            "nothing to detach",
        ][..],
    )?;
    equal("first layer", lines[0].starts_with("procemu:1: "), true)
}

fn layers_of_a_process(bed: &Bed) -> TestResult {
    let text = r#"unshare --mount sh -c 'touch ready; sleep 100' & pid=$!; wait_for ready
        nsenter -t $pid -m cat /proc/self/mountinfo > before
        "$NSPREP" attach --pid $pid --table "$TABLE" > /dev/null; "$NSPREP" verify --pid $pid --table "$TABLE" > /dev/null
        nsenter -t $pid -m cat /proc/sys/kernel/made_up_key; ! cat /proc/sys/kernel/made_up_key 2> /dev/null
        "$NSPREP" detach --pid $pid; nsenter -t $pid -m cat /proc/self/mountinfo | diff before -"#;
    let script = bed.sandbox(GVISOR, text)?.env("TABLE", made_up_table(bed)?);
    equal("said", script.succeed()?, "7\nprocemu:1: detached")
}

fn layers_in_the_wrong_order(bed: &Bed) -> TestResult {
    let later = bed.table("later.toml", &[("kernel/later", "{ value = 1 }")])?;
    let text = r#""$NSPREP" attach --table "$TABLE" > /dev/null; "$NSPREP" attach --table "$LATER" > /dev/null
        exec "$NSPREP" detach procemu:1"#;
    let script = bed
        .sandbox(GVISOR, text)?
        .env("TABLE", made_up_table(bed)?)
        .env("LATER", later);
    script
        .run()?
        .refuses(3, &["procemu:1", "procemu:2", "take that off first"])
}

/// The kernel allows no further mount half-way through; what had been mounted goes again.
fn nothing_left_by_a_failure(bed: &Bed) -> TestResult {
    let text = r#"cp /proc/self/mountinfo before; limit=$(cat /proc/sys/fs/mount-max); count=$(wc -l < before)
        for more in 1 2 3 5 8 13 20; do
            echo $((count + more)) > /proc/sys/fs/mount-max
            status=0; "$NSPREP" attach --table "$TABLE" 2> said || status=$?
            [ $status = 4 ] || echo "$more: exit $status, $(cat said)"
            diff before /proc/self/mountinfo
        done
        echo "$limit" > /proc/sys/fs/mount-max; "$NSPREP" attach --table "$TABLE" | cut -d: -f1"#;
    let script = bed.sandbox(GVISOR, text)?.env("TABLE", made_up_table(bed)?);
    equal("said", script.succeed()?, "procemu")
}

/// A key of kube-proxy's and one of the kubelet's, in sysfs and in a cgroup that is mounted there.
const SYS_KEYS: [(&str, &str); 2] = [
    (
        "/sys/module/nf_conntrack/parameters/hashsize",
        r#"{ value = 65536, mode = "0644" }"#,
    ),
    (
        "/sys/fs/cgroup/cpuacct/cpuacct.usage_percpu",
        r#"{ value = "0 0" }"#,
    ),
];

const PRINT_SYS: &str =
    "cat /sys/module/nf_conntrack/parameters/hashsize /sys/fs/cgroup/cpuacct/cpuacct.usage_percpu";

/// Both are there for the program, the first takes its write, and detaching leaves nothing; nothing of sysfs is lost.
fn sysfs(bed: &Bed) -> TestResult {
    let text = format!(
        "cgroup_v1; mkdir /sys/fs/cgroup/cpuacct/pods; cp /proc/self/mountinfo before
        ls -R /sys/class /sys/devices /sys/fs > names
        \"$NSPREP\" exec --table \"$TABLE\" -- sh -c '{PRINT_SYS}; cd /sys/module/nf_conntrack/parameters
            echo 7 > hashsize; cat hashsize; mkdir /sys/fs/cgroup/cpuacct/pods/one; ls /sys/fs/cgroup/cpuacct/pods | grep one
            for try in \"echo 1 > new\" \"mkdir /sys/module/new\" \"chmod 666 /sys/fs/cgroup/cpuacct/cpuacct.usage_percpu\" \
                \"echo 1 > /sys/fs/cgroup/cpuacct/cpuacct.usage_percpu\"; do
                ! sh -c \"$try\" 2> /dev/null || echo could $try; done
            ls -R /sys/class /sys/devices /sys/fs > $BED/names.after'
        diff names names.after | grep '^<' || true
        \"$NSPREP\" attach --table \"$TABLE\" | cut -d: -f2; \"$NSPREP\" verify --table \"$TABLE\" | cut -d' ' -f1
        \"$NSPREP\" detach | cut -d: -f2; diff before /proc/self/mountinfo"
    );
    let script = bed.sandbox(GVISOR_LACKING, &text)?;
    let output = script.env("TABLE", bed.table("sys.toml", &SYS_KEYS)?).succeed()?;
    equal("said", output, "65536\n0 0\n7\none\n1\nok\nok\n1")
}

fn sysfs_without_cap_sys_admin(bed: &Bed) -> TestResult {
    let text = format!(
        "cgroup_v1; setpriv --bounding-set=-sys_admin --inh-caps=-all \"$NSPREP\" exec --table \"$TABLE\" -- sh -c '{PRINT_SYS}'"
    );
    let script = bed.sandbox(GVISOR_LACKING, &text)?;
    let output = script.env("TABLE", bed.table("sys.toml", &SYS_KEYS)?).succeed()?;
    equal("values", output, "65536\n0 0")
}

/// The kubelet alone sees its key; its mounts reach containerd, which is in the same prepared namespace otherwise.
fn sysfs_nested(bed: &Bed) -> TestResult {
    let table = bed.table("node.toml", &SYS_KEYS[..1])?;
    let percpu = bed.table("percpu.toml", &SYS_KEYS[1..])?;
    let text = format!(
        "cgroup_v1; mount --make-rshared /; mkdir volume
        in_node() {{ \"$NSPREP\" exec --ns node --profile kubelet --table \"$TABLE\" -- \"$@\"; }}
        in_node \"$NSPREP\" exec --table \"$PERCPU\" -- sh -c '{PRINT_SYS}; mount -t tmpfs v volume; echo in > volume/file'
        in_node sh -c 'cat volume/file; ! {PRINT_SYS} 2> /dev/null'"
    );
    let script = bed.sandbox(GVISOR_LACKING, &text)?;
    let output = script.env("TABLE", table).env("PERCPU", percpu).succeed()?;
    equal("said", output, "65536\n0 0\nin\n65536")
}

fn sysfs_root(bed: &Bed) -> TestResult {
    let table = bed.table(
        "t.toml",
        &[
            ("kernel/made_up", "{ value = 1 }"),
            ("/sys/made_up", "{ value = 1 }"),
        ],
    )?;
    let text = r#"cp /proc/self/mountinfo before; status=0; "$NSPREP" attach --table "$TABLE" || status=$?
        diff before /proc/self/mountinfo; exit $status"#;
    let script = bed.sandbox(GVISOR, text)?.env("TABLE", table);
    script.run()?.refuses(2, &["/sys/made_up", "root of sysfs"])
}
