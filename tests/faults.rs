//! Each system call of what ships fails in its turn, with each errno that it may give: nothing is left, nothing has started, and
//! the error says what failed; or the result is right all the same. A part of the runs is made, the same each time; with
//! `PROCEMU_ALL_FAULTS` all of them.

mod support;

use std::process::ExitCode;

use support::{
    Bed, CRUN, FAULTS_PRINTED, FAULTS_RUN, FAULTS_TABLE, Faults, MOUNTS, Propagation, RUNC_1_1, RUNC_1_5,
    Runtime, Suite, TestResult, faults_bundle, need, run_faults,
};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.test("cured::attach::new", |bed| attach(bed, "new", ""));
    suite.test("cured::attach::classic", |bed| {
        attach(bed, "classic", "fsopen,open_tree,move_mount,mount_setattr")
    });
    suite.test("cured::hook::inside", |bed| hook_inside(bed, "new", ""));
    suite.test("cured::hook::inside::classic", |bed| {
        hook_inside(bed, "classic", "fsopen")
    });
    suite.test("cured::hook::outside", hook_outside);
    suite.test("cured::rewrite", |bed| {
        rewrite(
            bed,
            "rewrite",
            r#""$BRIDGE" rewrite --config bridge.toml "$BED/b""#,
        )
    });
    suite.test("cured::bundle", |bed| {
        rewrite(bed, "bundle", r#""$NSPREP" bundle --table table.toml "$BED/b""#)
    });
    for (runtime, every) in [(RUNC_1_5, 16), (RUNC_1_1, 48), (CRUN, 48)] {
        suite.test(format!("cured::wrapper::{}", runtime.name), move |bed| {
            wrapper(bed, runtime, every)
        });
    }
    suite.run()
}

fn attach(bed: &Bed, name: &str, lacking: &'static str) -> TestResult {
    let mut table = FAULTS_TABLE.to_vec();
    table.push(("/sys/kernel/mm/made_up", "{ value = 1 }"));
    bed.table("table.toml", &table)?;
    let faults = Faults {
        command: r#""$NSPREP" attach --table table.toml"#,
        prepare: String::new(),
        look: MOUNTS,
        // An attach cuts off what it is put on, for good.
        after:
            r#""$NSPREP" verify --table table.toml > said; "$NSPREP" detach > said; mount --make-rshared /"#
                .into(),
        lacking,
        every: 3,
    };
    run_faults(bed, &format!("attach {name}"), &faults, |text| {
        Ok(bed.script(text)?.propagation(Propagation::Shared))
    })
}

/// A bundle that is ready for its hook.
fn hooked(bed: &Bed) -> TestResult {
    let config = faults_bundle(bed)?;
    let rewrite = r#""$BRIDGE" rewrite --config "$CONFIG" "$BED/b""#;
    bed.script(rewrite)?.env("CONFIG", config).succeed()?;
    Ok(())
}

/// As a runtime calls it at `createContainer`: in the container's namespaces.
fn hook_inside(bed: &Bed, name: &str, lacking: &'static str) -> TestResult {
    hooked(bed)?;
    let faults = Faults {
        command: r#""$BRIDGE" hook"#,
        prepare: r#"mount -t proc proc b/rootfs/proc; mount -t sysfs sysfs b/rootfs/sys
            echo "{\"id\": \"x\", \"pid\": 0, \"bundle\": \"$BED/b\"}" > state.json; export INPUT=$BED/state.json"#
            .into(),
        look: "cat /proc/self/mountinfo /proc/sys/net/unix/max_dgram_qlen",
        after: r#"[ "$(cat b/rootfs/proc/sys/net/unix/max_dgram_qlen)" = 20 ]; echo 10 > /proc/sys/net/unix/max_dgram_qlen
            "$NSPREP" verify --rootfs b/rootfs --table table.toml > said; "$NSPREP" detach --rootfs b/rootfs > said"#
            .into(),
        lacking,
        every: 3,
    };
    run_faults(bed, &format!("hook inside {name}"), &faults, |text| {
        bed.script(text)
    })
}

/// As at `prestart`: it has to enter them.
fn hook_outside(bed: &Bed) -> TestResult {
    hooked(bed)?;
    let faults = Faults {
        command: r#""$BRIDGE" hook"#,
        prepare: r#"mkfifo ready
            unshare --mount --net --ipc --uts --cgroup --pid --fork bash -c 'mount -t proc proc b/rootfs/proc
                mount -t sysfs sysfs b/rootfs/sys; echo > ready; exec sleep 3600' &
            read -r line < ready; target=$(pgrep -P $!); trap "kill -9 $target" EXIT; export target
            echo "{\"id\": \"x\", \"pid\": $target, \"bundle\": \"$BED/b\"}" > state.json; export INPUT=$BED/state.json
            set +e; (exec perl "$FAULTS" "$BRIDGE" hook); exit"#
            .into(),
        // What is in the container's own namespaces goes with them: here it is taken off for the next run.
        look: r#"cat /proc/self/mountinfo /proc/sys/net/unix/max_dgram_qlen
            nsenter --target $target --mount --net --ipc -- bash -c '
                "$NSPREP" detach --all --rootfs "$BED/b/rootfs" > "$BED/said" 2>&1
                echo 10 > "$BED/b/rootfs/proc/sys/net/unix/max_dgram_qlen"; cat /proc/self/mountinfo'"#,
        after: r#"at() { nsenter --target "$target" --mount --net --ipc -- "$@"; }
            [ "$(at cat "$BED/b/rootfs/proc/sys/net/unix/max_dgram_qlen")" = 20 ]
            at "$NSPREP" verify --rootfs "$BED/b/rootfs" --table "$BED/table.toml" > said"#
            .into(),
        lacking: "",
        every: 7,
    };
    run_faults(bed, "hook outside", &faults, |text| bed.script(text))
}

fn rewrite(bed: &Bed, name: &str, command: &'static str) -> TestResult {
    faults_bundle(bed)?;
    let faults = Faults {
        command,
        prepare: format!(
            "cp -p b/config.json old.json; {command} > said; cp -p b/config.json new.json; cp -p old.json b/config.json"
        ),
        look: "cat /proc/self/mountinfo; sha256sum b/config.json; ls -A b",
        after: "cmp b/config.json new.json; cp -p old.json b/config.json".into(),
        lacking: "",
        every: 2,
    };
    run_faults(bed, name, &faults, |text| bed.script(text))
}

/// Wrapper, runtime and hook: a whole start, of which the runtime's own calls do not fail. The runtime is one of unknown name, for
/// which a mount namespace is made with all keys. Who may make none gets it in a user namespace, where a runtime may say in its own words
/// what it lacks.
fn wrapper(bed: &Bed, runtime: Runtime, every: usize) -> TestResult {
    need::root()?;
    // What a hook says crun writes to its log, or to a standard error that is a pipe; this one is a file.
    let its_own = if runtime == CRUN {
        "."
    } else {
        "^unshare [0-9]+ EPERM$"
    };
    let config = faults_bundle(bed)?;
    let faults = Faults {
        command: FAULTS_RUN,
        prepare: format!(
            "ln -s \"$RUNTIME\" engine; cp -p b/config.json old.json; {FAULTS_RUN} > right; cp -p b/config.json new.json
            cp -p old.json b/config.json; export TALKS=1 ITS_OWN='{its_own}'"
        ),
        // A runtime that has seen the new one may leave it.
        look: r#"cat /proc/self/mountinfo; ! cmp -s b/config.json new.json || cp -p old.json b/config.json
            cmp b/config.json old.json; ls -A b state; ls -d /sys/fs/cgroup/$ID* /sys/fs/cgroup/*/$ID* 2> said"#,
        after: format!("[ \"$(echo $(cat right))\" = '{FAULTS_PRINTED}' ]; cmp \"$OUT\" right"),
        lacking: "",
        every,
    };
    run_faults(bed, &format!("wrapper {}", runtime.name), &faults, |text| {
        Ok(bed.runtime_script(&runtime, text)?.env("CONFIG", config))
    })
}
