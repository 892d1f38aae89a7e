//! What runs out or is not as usual: space, descriptors, mounts, a state folder that takes no writes, clocks; and many at once.

mod support;

use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};
use support::{
    Bed, Bundle, CRUN, FAULTS_PRINTED, FAULTS_TABLE, RUNC_1_5, Runtime, Suite, TestResult, edit_config,
    equal, faults_bundle, made_up_table, need,
};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.for_runtimes("cured::full_disk", full_disk);
    suite.for_runtimes("cured::full_key", full_key);
    suite.for_runtimes("cured::state_folder", state_folder);
    suite.test("cured::descriptors::attach", descriptors_attach);
    suite.for_runtimes("cured::descriptors::container", descriptors_container);
    suite.test("cured::mounts::attach", mounts_attach);
    suite.test("cured::mounts::container", |bed| mounts_container(bed, RUNC_1_5));
    suite.for_runtimes("cured::clocks", clocks);
    suite.for_runtimes("cured::two_at_once", two_at_once);
    for runtime in [RUNC_1_5, CRUN] {
        suite.test(format!("bare::crowd::{}", runtime.name), move |bed| {
            crowd(bed, runtime, "rt")
        });
        suite.test(format!("cured::crowd::{}", runtime.name), move |bed| {
            crowd(bed, runtime, "wrapped")
        });
    }
    suite.run()
}

/// The bundle `b` of the bed, its rootfs where it is, and no cgroup of its own name, so that copies of it can run beside it.
fn movable(bed: &Bed) -> TestResult<std::path::PathBuf> {
    let config = faults_bundle(bed)?;
    let rootfs = bed.path("b/rootfs");
    edit_config(&bed.path("b"), |config| {
        config["root"]["path"] = json!(rootfs);
        config["linux"]["cgroupsPath"] = Value::Null;
    })?;
    Ok(config)
}

/// No room for another config.json: the old one stays, and with room again the container starts.
fn full_disk(bed: &Bed, runtime: Runtime) -> TestResult {
    let config = movable(bed)?;
    let text = r#"mkdir full; mount -t tmpfs -o size=64k full full; cp b/config.json full
        cat /dev/zero > full/rest 2> said || true; cp full/config.json old.json
        ! run wrapped full > out 2> said; cat said; [ ! -s out ]; cmp full/config.json old.json; ls -A full
        ! "$BRIDGE" rewrite --config "$CONFIG" full 2>> said; cmp full/config.json old.json; ls -A full
        rm full/rest; run wrapped full > out; echo $(cat out)"#;
    let said = bed
        .runtime_script(&runtime, text)?
        .env("CONFIG", config)
        .succeed()?;
    let line = format!(
        "runtime-bridge: cannot write {}/full/.config.json.procemu: no space left on device\n",
        bed.path("").display()
    );
    let names = "config.json\nrest\n";
    equal("said", said, format!("{line}{names}{names}{FAULTS_PRINTED}"))
}

/// A key that takes writes takes no more than the layer was given room for.
fn full_key(bed: &Bed, runtime: Runtime) -> TestResult {
    // Four keys of ours, a page each.
    let fill = "cd /proc/sys/fs/epoll; cat /dev/zero > made_up; [ $? != 0 ] && [ $(stat -c %s made_up) -le 16384 ] && echo full
        echo more > new; [ $? != 0 ] && echo no more files; cat /proc/sys/kernel/keys/made_up; echo 3 > made_up; cat made_up";
    Bundle::new(bed, "b", &format!("{{ {fill}; }} 2> /dev/null"))?
        .unprotected()
        .write()?;
    let config = bed.config(&bed.table("table.toml", &FAULTS_TABLE)?)?;
    let script = bed
        .runtime_script(&runtime, "run wrapped b")?
        .env("CONFIG", config);
    equal("said", script.succeed()?, "full\nno more files\n7\n3")
}

/// What is kept there only saves time.
fn state_folder(bed: &Bed, runtime: Runtime) -> TestResult {
    let config = faults_bundle(bed)?;
    let text = r#"mkdir bridge-state; mount -t tmpfs -o ro state bridge-state; run wrapped b > out; echo $(cat out)"#;
    let script = bed.runtime_script(&runtime, text)?.env("CONFIG", config);
    equal("said", script.succeed()?, FAULTS_PRINTED)
}

/// With few descriptors all is attached, or nothing.
fn descriptors_attach(bed: &Bed) -> TestResult {
    need::root()?;
    let text = r#"cp /proc/self/mountinfo before; failed=0
        for limit in $(seq 3 24); do
            if prlimit --nofile=$limit "$NSPREP" attach --table "$TABLE" > said 2>&1; then
                "$NSPREP" verify --table "$TABLE" > said && "$NSPREP" detach > said || echo "not whole with $limit"
            else failed=$((failed + 1)); fi
            diff before /proc/self/mountinfo > said || { echo "left with $limit"; cat said; exit; }
        done
        [ $failed -gt 2 ] || echo "only $failed failed"; [ $failed -lt 21 ] || echo "all failed"
        prlimit --nofile=16 "$NSPREP" attach --table "$TABLE" > said"#;
    let script = bed.script(text)?.env("TABLE", made_up_table(bed)?);
    equal("said", script.succeed()?, "")
}

/// A runtime needs some itself: it starts nothing, or the container with all keys.
fn descriptors_container(bed: &Bed, runtime: Runtime) -> TestResult {
    let config = faults_bundle(bed)?;
    let text = r#"cp b/config.json old.json; export -f run wrapped; started=0
        for limit in 3 4 5 6 8 10 12 16 20 24 32 64; do
            if prlimit --nofile=$limit: bash -c 'run wrapped b' > out 2> err; then started=$((started + 1))
            else [ ! -s out ] || echo "$limit: started: $(cat out err)"; fi
            [ ! -s out ] || [ "$(echo $(cat out))" = "$PRINTED" ] || echo "$limit: half: $(cat out)"
            [ "$(ls -A b | tr '\n' ' ')" = 'config.json rootfs ' ] || echo "$limit: left $(ls -A b)"
            cp old.json b/config.json; rt delete --force "$ID-b" 2> /dev/null || true
        done
        [ $started -gt 0 ] || { echo "none started"; cat err; }"#;
    let script = bed.runtime_script(&runtime, text)?.env("CONFIG", config);
    equal("said", script.env("PRINTED", FAULTS_PRINTED).succeed()?, "")
}

/// Defines `fill COUNT`: mounts in this namespace until COUNT more can be made (`fs.mount-max`, whose value stays as it is). Trees
/// of two to the power of n mounts are bound, the largest first.
const FILL: &str = r#"
    mkdir trees; mount -t tmpfs trees trees; mount --make-rprivate trees; mkdir trees/0; mount -t tmpfs tree trees/0
    power=0 next=0
    while [ $((1 << (power + 2))) -lt "$(cat /proc/sys/fs/mount-max)" ] && [ $power -lt 14 ]; do
        mkdir trees/0/$power trees/$((power + 1)); mount --rbind trees/$power trees/$((power + 1))
        mount --rbind trees/$power trees/$((power + 1))/$power; power=$((power + 1))
    done
    fill() {
        local room=$(($(cat /proc/sys/fs/mount-max) - $(wc -l < /proc/self/mountinfo) - $1)) at=$power
        while [ $room -gt 0 ]; do
            next=$((next + 1))
            # The kernel counts some that mountinfo does not show.
            if [ $room -ge $((1 << at)) ] && mkdir trees/more$next && mount --rbind trees/$at trees/more$next 2> said; then
                room=$((room - (1 << at)))
            else at=$((at - 1)); fi
            [ $at -ge 0 ] || break
        done
    }"#;

/// Mounts run out at some time of an attach.
fn mounts_attach(bed: &Bed) -> TestResult {
    need::root()?;
    let text = r#"failed=0 whole=0
        for room in 60 20 8 0; do
            fill $room; cat /proc/self/mountinfo | LC_ALL=C sort > before
            if "$NSPREP" attach --table "$TABLE" > said 2>&1; then
                "$NSPREP" verify --table "$TABLE" > said || echo "not whole with $room"
                "$NSPREP" detach > said; whole=$((whole + 1))
            else
                failed=$((failed + 1)); grep -q 'no space left on device' said || cat said
            fi
            cat /proc/self/mountinfo | LC_ALL=C sort > after; diff before after > said || { echo "left with $room"; cat said; exit; }
        done
        [ $failed -gt 1 ] || echo "only $failed failed"; [ $whole -gt 0 ] || echo "none whole""#;
    let script = bed
        .script(&format!("{FILL}\n{text}"))?
        .limit(Duration::from_secs(600));
    let table = bed.table("table.toml", &FAULTS_TABLE)?;
    equal("said", script.env("TABLE", table).succeed()?, "")
}

/// ... or of a container's start. A runtime copies all mounts first, so that the container has as much room as is left here.
fn mounts_container(bed: &Bed, runtime: Runtime) -> TestResult {
    let config = faults_bundle(bed)?;
    let text = r#"cp b/config.json old.json; whole=0 hooks=0
        for room in 300 60 50 40 35 20; do
            fill $room
            if run wrapped b > out 2> err; then
                [ "$(echo $(cat out))" = "$PRINTED" ] && whole=$((whole + 1)) || echo "$room: half: $(cat out)"
            else
                [ ! -s out ] || echo "$room: started: $(cat out err)"
                ! grep -q 'runtime-bridge' err || hooks=$((hooks + 1))
            fi
            [ -z "$(rt list --quiet)" ] || echo "$room: a container is left"
            cp old.json b/config.json
        done
        [ $whole -gt 0 ] || { echo "none ran"; cat err; }; [ $hooks -gt 0 ] || { echo "no hook failed"; cat err; }"#;
    let script = bed
        .runtime_script(&runtime, &format!("{FILL}\n{text}"))?
        .limit(Duration::from_secs(600))
        .env("PRINTED", FAULTS_PRINTED);
    equal("said", script.env("CONFIG", config).succeed()?, "")
}

/// Ten years after the boot, with files of another century.
fn clocks(bed: &Bed, runtime: Runtime) -> TestResult {
    let config = faults_bundle(bed)?;
    need::file("/proc/self/ns/time")?;
    let text = r#"cp b/config.json old.json; export -f run wrapped rt
        for year in 1970 2099; do
            touch -d "$year-01-02" b/config.json table.toml "$CONFIG" b
            unshare --time --monotonic 315360000 --boottime 315360000 --fork bash -euc 'run wrapped b' > out; echo $(cat out)
            cp old.json b/config.json; [ ! -e bridge-state ] || touch -d "$year-01-02" bridge-state/*
        done"#;
    let script = bed.runtime_script(&runtime, text)?.env("CONFIG", config);
    equal(
        "said",
        script.succeed()?,
        format!("{FAULTS_PRINTED}\n{FAULTS_PRINTED}"),
    )
}

/// Two containers of one bundle, and rewriting without one.
fn two_at_once(bed: &Bed, runtime: Runtime) -> TestResult {
    let config = movable(bed)?;
    let text = r#"cp b/config.json old.json; run wrapped b > out; cp b/config.json new.json
        for round in $(seq 20); do
            cp old.json b/config.json
            for one in 1 2; do wrapped run --no-new-keyring --bundle "$BED/b" "$ID-$one" > out.$one 2> err.$one & pids[one]=$!; done
            for one in 1 2; do wait ${pids[one]} || cat err.$one; done
            for one in 1 2; do [ "$(echo $(cat out.$one))" = "$PRINTED" ] || echo "$round: $(cat out.$one err.$one)"; done
            cmp b/config.json new.json; [ "$(ls -A b | tr '\n' ' ')" = 'config.json rootfs ' ] || ls -A b
        done
        for round in $(seq 50); do
            cp old.json b/config.json
            for one in 1 2 3; do "$BRIDGE" rewrite --config "$CONFIG" b > out.$one 2> err.$one & pids[one]=$!; done
            for one in 1 2 3; do wait ${pids[one]} || cat err.$one; done
            [ "$(ls -A b | tr '\n' ' ')" = 'config.json rootfs ' ] || ls -A b
        done"#;
    let script = bed.runtime_script(&runtime, text)?.env("CONFIG", config);
    equal("said", script.env("PRINTED", FAULTS_PRINTED).succeed()?, "")
}

/// Two hundred containers are created at the same time, run, and are gone afterwards.
fn crowd(bed: &Bed, runtime: Runtime, call: &str) -> TestResult {
    let config = movable(bed)?;
    edit_config(&bed.path("b"), |config| {
        config["process"]["args"] = json!(["sleep", "3600"]);
        // Bare runtimes write it, and no key of ours is there for it.
        config["linux"]["namespaces"]
            .as_array_mut()
            .expect("a bundle has namespaces")
            .retain(|namespace| namespace["type"] != "network");
        config["linux"]["sysctl"] = Value::Null;
    })?;
    let text = r#"make() { "$CALL" create --no-new-keyring --bundle "$BED/c$1" --pid-file "$BED/c$1.pid" "$ID-$1" < /dev/null > "$BED/c$1.out" 2>&1 && rt start "$ID-$1"; }
        for one in $(seq 200); do mkdir c$one; cp b/config.json c$one; done
        for one in $(seq 200); do make $one & pids[one]=$!; done
        for one in $(seq 200); do wait ${pids[one]} || { echo "$one:"; cat c$one.out; }; done
        right=0
        for one in $(seq 200); do
            keys=/proc/$(cat c$one.pid)/root/proc/sys
            case $CALL in rt) [ -e $keys/kernel/ostype ] ;; *) [ "$(cat $keys/kernel/keys/made_up $keys/fs/epoll/made_up 2>&1)" = "$(echo 7; echo 1)" ] ;; esac &&
                right=$((right + 1))
        done
        for one in $(seq 200); do rt delete --force "$ID-$one" || true; done
        echo $right; rt list --quiet | wc -l; ls -A c* | grep -vc 'config.json\|^c\|^$' || true"#;
    let script = bed
        .runtime_script(&runtime, text)?
        .env("CONFIG", config)
        .env("CALL", call)
        .limit(Duration::from_secs(900));
    equal("right, left, left in bundles", script.succeed()?, "200\n0\n0")
}
