//! Programs that have no profile because they need none: what they open of /proc/sys, where it lacks all that common programs read.

use super::place::LACK;
use super::support::{Bed, Suite, TestResult, equal, need};

/// Adds the tests.
pub fn add(suite: &mut Suite) {
    suite.test("needless::ping", ping);
    suite.test("needless::postgresql", postgresql);
    suite.test("needless::node", node);
    suite.test("needless::jvm", jvm);
}

/// What the last command of `text` prints, and `opened`: the files of /proc/sys that it has opened, or tried to.
fn run(bed: &Bed, tree: &std::path::Path, text: &str) -> TestResult<String> {
    need::command("strace")?;
    let text = format!(
        r#"{LACK}lack vm/max_map_count $("$NSPREP" profiles container | sed -n 's/^"\([^"]*\)".*/\1/p' | while read -r key; do
            [ ! -e "/proc/sys/$key" ] || echo "$key"
        done)
        ip link set lo up
        traced() {{ strace --follow-forks --output trace --trace %file "$@"; }}
        opened() {{ grep -oE '"/proc/sys/[^"]*"' trace > list && sort --unique list || echo 'none opened'; }}
        {text}
        opened"#
    );
    bed.script(&text)?.env("TREE", tree).succeed()
}

fn ping(bed: &Bed) -> TestResult {
    need::root()?;
    let tree = need::debian("ping")?;
    let text = r#"traced "$TREE/bin/ping" -c 1 127.0.0.1 | grep -o '1 received'"#;
    equal("ping", run(bed, &tree, text)?, "1 received\nnone opened")
}

/// A new cluster, a server of its own and a query. libcap-ng, which libpam brings along, asks prctl(2) where its key is missing.
fn postgresql(bed: &Bed) -> TestResult {
    need::root()?;
    let tree = need::debian("postgresql")?;
    let text = r#"mkdir data tree; chown 65534:65534 data; mount --bind "$TREE" tree
        as() { traced setpriv --reuid=65534 --regid=65534 --clear-groups env LD_LIBRARY_PATH="$(echo "$BED"/tree/usr/lib/*-linux-gnu)" "$@"; }
        bin=$BED/tree/usr/lib/postgresql/15/bin
        as "$bin/initdb" --no-sync --auth trust --pgdata data > log; opened
        echo 'select 6 * 7 as answer' | as "$bin/postgres" --single -D data postgres 2> log | grep -o 'answer = "42"'"#;
    let key = "\"/proc/sys/kernel/cap_last_cap\"";
    equal(
        "PostgreSQL",
        run(bed, &tree, text)?,
        format!("{key}\nanswer = \"42\"\n{key}"),
    )
}

fn node(bed: &Bed) -> TestResult {
    need::root()?;
    let Ok(node) = need::command("node") else {
        return need::skip("needs Node.js, as Debian's package nodejs has it");
    };
    let text = r#"traced "$TREE" -e '
            const os = require("os"), fs = require("fs");
            os.cpus(); os.totalmem(); const watch = fs.watch(".");
            const server = require("http").createServer().listen(0, "127.0.0.1", () => {
                console.log("listens on", os.type()); server.close(); watch.close();
            });'"#;
    equal("Node.js", run(bed, &node, text)?, "listens on Linux\nnone opened")
}

/// ZGC skips the check of what it cannot read.
fn jvm(bed: &Bed) -> TestResult {
    need::root()?;
    let Ok(java) = need::command("java") else {
        return need::skip(
            "needs a JVM of version 15 or later, as Debian's package default-jre-headless has it",
        );
    };
    let text = r#"traced "$TREE" -XX:+UseZGC -Xmx64m -Xlog:gc+init=debug -version 2> version | grep -o 'Failed to open .*' || true
        grep -c 'Server VM' version"#;
    let key = "/proc/sys/vm/max_map_count";
    equal(
        "the JVM",
        run(bed, &java, text)?,
        format!("Failed to open {key}\n1\n\"{key}\""),
    )
}
