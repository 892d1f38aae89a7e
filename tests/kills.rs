//! SIGKILL in the middle of a container's start: what the engine's own delete leaves is nothing, config.json is the old or the new
//! one, and the next start works.

mod support;

use std::env;
use std::process::ExitCode;

use serde_json::json;
use support::{
    Bed, Bundle, CRUN, FAULTS_PRINTED, FAULTS_RUN, Faults, RUNC_1_1, RUNC_1_5, Runtime, Suite, TestResult,
    equal, faults_bundle, need, run_kills,
};

/// How many starts there are in all where another number than this is set.
const STARTS: usize = 120;
const NAME: &str = "PROCEMU_KILLED_STARTS";

fn main() -> ExitCode {
    let mut suite = Suite::new();
    let starts = env::var(NAME).ok().and_then(|number| number.parse().ok());
    let starts: usize = starts.unwrap_or(STARTS);
    // Two tests run at a time: those of one runtime are two, with a seed of their own.
    for (seed, (runtime, share)) in (1..).zip([(RUNC_1_5, 3), (RUNC_1_5, 3), (RUNC_1_1, 6), (CRUN, 6)]) {
        suite.test(format!("cured::{}::{seed}", runtime.name), move |bed| {
            killed(bed, runtime, (starts / share, seed))
        });
    }
    suite.test("cured::cgroup", cgroup);
    suite.run()
}

/// The cgroup that is made for a question goes with the next question, but not as long as somebody asks.
fn cgroup(bed: &Bed) -> TestResult {
    need::root()?;
    need::file("/sys/fs/cgroup/unified/cgroup.controllers")?;
    let strace = need::command("strace")?;
    let mut bundle = Bundle::new(bed, "b", "true")?;
    bundle.config["linux"]["resources"] = json!({"unified": {"memory.oom.group": "1"}});
    bundle.write()?;
    let config = bed.config_with("profiles = []\n[policy]\nunified_resources = \"auto\"\n")?;
    let text = r#"mount --bind /sys/fs/cgroup/unified /sys/fs/cgroup
        ! "$STRACE" -f -qq -o trace -e trace=mkdir,flock -e inject=flock:signal=KILL "$BRIDGE" rewrite --config "$CONFIG" b
        left=$(sed -n 's/.*mkdir("\([^"]*\)".*/\1/p' trace); trap 'rmdir "$left" 2> said || true' EXIT
        [ -d "$left" ]; exec 9< "$left"; flock 9
        "$BRIDGE" rewrite --config "$CONFIG" b > said; [ -d "$left" ] || echo 'gone while somebody asks'
        exec 9<&-; "$BRIDGE" rewrite --config "$CONFIG" b > said; [ ! -d "$left" ] || echo left"#;
    let script = bed.script(text)?.env("STRACE", strace).env("CONFIG", config);
    equal("said", script.succeed()?, "")
}

fn killed(bed: &Bed, runtime: Runtime, rounds: (usize, u32)) -> TestResult {
    runtime.path()?;
    let config = faults_bundle(bed)?;
    let faults = Faults {
        command: FAULTS_RUN,
        prepare: format!(
            "ln -s \"$RUNTIME\" engine; cp -p b/config.json old.json; {FAULTS_RUN} > right; cp -p b/config.json new.json
            [ \"$(echo $(cat right))\" = '{FAULTS_PRINTED}' ]; cp -p old.json b/config.json"
        ),
        look: r#"cat /proc/self/mountinfo; ls -A b state; ls -A bridge-state; ls -d /sys/fs/cgroup/$ID* /sys/fs/cgroup/*/$ID* 2> said"#,
        // A runtime that is killed before it has written down its container leaves the cgroups, bare as well, and its delete knows of
        // none. They are empty as soon as all have ended, or the test ends here. (In the folder of a hidden cgroup v2 crun leaves what is none.)
        after: format!(
            r#"cmp -s b/config.json old.json || cmp b/config.json new.json
            "$RUNTIME" --root "$BED/state" delete --force "$ID" 2> deleted || true
            for left in $(ls -d /sys/fs/cgroup/$ID* /sys/fs/cgroup/*/$ID* 2> said); do
                [ "$(stat -f -c %T $left)" != tmpfs ] || {{ rm -r $left; continue; }}
                turns=0; until rmdir $left; do turns=$((turns + 1)); [ $turns -lt 3000 ]; sleep 0.02; done 2> said; done
            {FAULTS_RUN} > again; cmp again right; cmp b/config.json new.json; cp -p old.json b/config.json"#
        ),
        lacking: "",
        every: 1,
    };
    run_kills(bed, runtime.name, &faults, rounds, |text| {
        Ok(bed.runtime_script(&runtime, text)?.env("CONFIG", config))
    })
}
