//! Every process reads and writes the keys of its own network and IPC namespaces, with keys added beside them.

mod support;

use std::process::ExitCode;

use support::{
    Bed, Bundle, RUNTIMES, Runtime, Suite, TestResult, equal, made_up_table, made_up_values, move_hook, need,
    print_made_up,
};

/// Writes through /proc/sys, and what it reads afterwards.
const WRITE: &str = "echo 77 > /proc/sys/net/ipv4/ip_default_ttl; echo 4321 > /proc/sys/kernel/shmmni
echo 5 > /proc/sys/fs/mqueue/queues_max; echo 9999 > /proc/sys/net/core/somaxconn
cat /proc/sys/net/ipv4/ip_default_ttl /proc/sys/kernel/shmmni /proc/sys/fs/mqueue/queues_max /proc/sys/net/core/somaxconn
ls /proc/sys/net/ipv4/conf
";
const WRITTEN: &str = "77\n4321\n5\n9999\nall\ndefault\nlo\n";
/// The same namespaces seen through a procfs that nobody touched.
const PEER: &str = r#"nsenter --target "$pid" --net --ipc cat /proc/sys/net/ipv4/ip_default_ttl /proc/sys/kernel/shmmni \
  /proc/sys/fs/mqueue/queues_max /proc/sys/net/core/somaxconn"#;
const HOST: &str = "cat /proc/sys/net/ipv4/ip_default_ttl /proc/sys/kernel/shmmni /proc/sys/fs/mqueue/queues_max \
  /proc/sys/net/core/somaxconn";

fn main() -> ExitCode {
    let mut suite = Suite::new();
    for runtime in RUNTIMES {
        let name = runtime.name;
        suite.test(format!("bare::container::{name}"), move |bed| {
            container(bed, runtime, None)
        });
        for stage in ["createContainer", "prestart", "createRuntime"] {
            suite.test(format!("cured::container::{stage}::{name}"), move |bed| {
                container(bed, runtime, Some(stage))
            });
        }
    }
    suite.for_runtimes("cured::fresh", fresh);
    suite.for_runtimes("cured::of_a_user", of_a_user);
    suite.test("cured::exec::children", exec_children);
    suite.test("cured::exec::itself", exec_itself);
    suite.run()
}

/// A fresh network namespace is looked at once for all containers that ask the same, and again where anything differs.
fn fresh(bed: &Bed, runtime: Runtime) -> TestResult {
    let has = r#"echo $(cat /proc/sys/net/ipv4/made_up /proc/sys/net/core/somaxconn)"#;
    Bundle::new(bed, "b", has)?.own_namespace("network").write()?;
    let given = Bundle::new(bed, "given", "cat /proc/sys/net/core/somaxconn")?.own_namespace("network");
    given.bind_proc(&bed.path("proc")).host_namespace("pid").write()?;
    let there = bed.table("there.toml", &[("net/core/somaxconn", "{ value = 1 }")])?;
    let made_up = bed.table("made_up.toml", &[("net/ipv4/made_up", "{ value = 7 }")])?;
    let [there, lacking] = [vec![&there], vec![&there, &made_up]]
        .map(|tables| format!("cat > bridge.toml << TOML\nstate_dir = \"$BED/state-bridge\"\nprofiles = []\ntables = {tables:?}\nTOML"));
    let text = format!(
        r#"
        CONFIG=$BED/bridge.toml NOTE=$BED/state-bridge/network-keys
        run_one() {{ rm -f "$BED/b/config.json"; cp b.json b/config.json; wrapped run --no-new-keyring --bundle b "$ID" 2> /dev/null; }}
        hooks() {{ jq '.hooks | length' b/config.json; }}
        cp b/config.json b.json
        {there}
        for turn in 1 2; do run_one; hooks; grep net/ "$NOTE"; done
        # Not of a /proc that is given to a container and lacks one.
        deprived_proc proc net/core
        wrapped run --no-new-keyring --bundle given "$ID"
        # Another question.
        {lacking}
        run_one; hooks; grep net/ "$NOTE"
        # The same, noted in another boot, and in this one when other modules were there.
        echo net/ipv4/made_up >> "$NOTE"; sed -i '1s/^./-/' "$NOTE"; run_one; hooks
        # Where there was an answer, nobody asks.
        {{ cat /proc/sys/kernel/random/boot_id; awk '$5 == "Live" {{ printf "%s%s", s, $1; s = " " }}' /proc/modules 2> /dev/null || true; echo
          cat /proc/sys/net/core/fb_tunnels_only_for_init_net || echo
          printf 'net/core/somaxconn\nnet/ipv4/made_up\n'; }} > "$NOTE"
        run_one; hooks"#
    );
    let output = bed.runtime_script(&runtime, &text)?.succeed()?;
    let note = "net/core/somaxconn\n";
    equal(
        "what was said",
        output,
        format!("4096\n0\n{note}4096\n0\n{note}1\n7 4096\n1\n{note}7 4096\n1\n4096\n0"),
    )
}

/// A network namespace that belongs to a user namespace has fewer keys than others, and what it lacks of the table is emulated.
fn of_a_user(bed: &Bed, runtime: Runtime) -> TestResult {
    let key = "net/core/xfrm_acq_expires";
    need::file(&format!("/proc/sys/{key}"))?;
    Bundle::new(bed, "b", &format!("cat /proc/sys/{key}"))?
        .own_namespace("network")
        .user_namespace()
        .write()?;
    let config = bed.config(&bed.table("table.toml", &[(key, "{ value = 31 }")])?)?;
    let script = bed
        .runtime_script(&runtime, "run wrapped b")?
        .env("CONFIG", config);
    equal("the key", script.succeed()?, "31")
}

fn container(bed: &Bed, runtime: Runtime, stage: Option<&str>) -> TestResult {
    let ours = if stage.is_some() {
        print_made_up()
    } else {
        String::new()
    };
    let program = format!("{WRITE}{ours}touch /tmp/done; sleep 100");
    Bundle::new(bed, "b", &program)?
        .own_namespace("network")
        .own_namespace("ipc")
        .unprotected()
        .write()?;
    if let Some(stage) = stage {
        let config = bed.config(&made_up_table(bed)?)?;
        let rewrite = r#""$BRIDGE" rewrite --runtime "$RUNTIME" --config "$CONFIG" "$BED/b""#;
        bed.runtime_script(&runtime, rewrite)?
            .env("CONFIG", config)
            .succeed()?;
        if stage != "createContainer" {
            move_hook(&bed.path("b"), stage)?;
        }
    }
    let text = format!(
        "{HOST} > before\n\
         inside() {{ wait_for b/rootfs/tmp/done; pid=$(cat b.pid); {PEER} > peer; cat b.out peer; {HOST} > after; }}\n\
         container rt b inside\n\
         cmp before after"
    );
    let values = if stage.is_some() {
        format!("{}\n", made_up_values())
    } else {
        String::new()
    };
    let output = bed.runtime_script(&runtime, &text)?.succeed()?;
    equal(
        "the container, then its namespaces from outside",
        output,
        format!("{WRITTEN}{values}77\n4321\n5\n9999"),
    )
}

/// Around a program: what a CNI plugin does in a new namespace must not reach the host's keys.
fn exec_children(bed: &Bed) -> TestResult {
    support::need::root()?;
    let table = made_up_table(bed)?;
    let child = bed.file(
        "child.sh",
        format!(
            "set -e\n{WRITE}{}touch done\nsleep 100 > /dev/null 2>&1\n",
            print_made_up()
        ),
    )?;
    let text = format!(
        "{HOST} > before\n\
         \"$NSPREP\" exec --table \"$TABLE\" -- unshare --net --ipc sh \"$CHILD\" > out &\n\
         pid=$!\n\
         trap 'kill $pid; pkill -P $pid || true' EXIT\n\
         wait_for done; {PEER} > peer; cat out peer; {HOST} > after; cmp before after"
    );
    let output = bed
        .script(&text)?
        .env("TABLE", table)
        .env("CHILD", child)
        .succeed()?;
    let expected = format!("{WRITTEN}{}\n77\n4321\n5\n9999", made_up_values());
    equal("the child, then its namespaces from outside", output, expected)
}

/// In its own namespaces the program sees what it saw without us, and writes reach them.
fn exec_itself(bed: &Bed) -> TestResult {
    support::need::root()?;
    let table = made_up_table(bed)?;
    // The script's own network and IPC namespaces stand for the host's.
    let child = "echo 66 > /proc/sys/net/ipv4/ip_default_ttl; echo 1234 > /proc/sys/kernel/shmmni";
    let text = format!(
        "cat > outer.sh <<'END'\n\
         \"$NSPREP\" exec --table \"$TABLE\" -- sh -c '{child}'\n\
         cat /proc/sys/net/ipv4/ip_default_ttl /proc/sys/kernel/shmmni\n\
         END\n\
         unshare --net --ipc sh outer.sh"
    );
    equal(
        "written through",
        bed.script(&text)?.env("TABLE", table).succeed()?,
        "66\n1234",
    )
}
