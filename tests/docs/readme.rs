//! README.md, and the pages about the two programs.

use crate::place::{bundle, script};
use crate::support::{
    Bed, Block, CHECKOUT, CRUN, RUNC_1_1, Suite, TestResult, blocks_print, equal, need, typed_blocks,
};

pub fn add(suite: &mut Suite) {
    let page = suite.page("README.md");
    let demo = page.block("demo");
    suite.test("readme::demo", move |bed| shown(bed, demo));
    let install = page.block("install");
    suite.test("readme::install", move |bed| installed(bed, install));
    let blocks = page.blocks();
    suite.test("readme::page", move |bed| readme(bed, &blocks));
    let blocks = suite.page("docs/nsprep.md").blocks();
    suite.test("nsprep::page", move |bed| nsprep(bed, &blocks));
}

/// In a checkout, by crun as the page has it.
fn shown(bed: &Bed, demo: Block) -> TestResult {
    CRUN.path()?;
    need::command("make")?;
    let blocks = [demo];
    // Below `make test` make would print more.
    let text = format!(
        "unset MAKEFLAGS MAKELEVEL MFLAGS; cd \"$CHECKOUT\"\n{}",
        typed_blocks(&blocks)
    );
    blocks_print(&blocks, &bed.script(&text)?.env("CHECKOUT", CHECKOUT).succeed()?)
}

/// The programs are built as the page says, if with less care, and are what they should be.
fn installed(bed: &Bed, install: Block) -> TestResult {
    let text = format!(
        r#"rm /usr/local/bin/*; cd "$CHECKOUT"
        {}
        stat -c '%a %n' /usr/local/bin/*; nsprep --version | cut -d ' ' -f 1; runtime-bridge --version | cut -d ' ' -f 1
        ldd /usr/local/bin/nsprep 2>&1 | grep -c -e 'statically linked' -e 'not a dynamic executable'"#,
        install.commands()
    );
    let script = script(bed, &text)?
        .env("CHECKOUT", CHECKOUT)
        // Apart from real releases.
        .env("CARGO_TARGET_DIR", format!("{CHECKOUT}/target/docs"))
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        .limit(std::time::Duration::from_secs(900));
    equal(
        "installed",
        script.succeed()?,
        "755 /usr/local/bin/nsprep\n711 /usr/local/bin/runtime-bridge\nnsprep\nruntime-bridge\n1",
    )
}

/// Each command does what is said beside it.
fn readme(bed: &Bed, blocks: &[Block]) -> TestResult {
    need::file("/usr/sbin/runc")?;
    bundle(bed, "cat /proc/sys/kernel/cap_last_cap")?;
    let text = format!("nsprep profiles container > mine.toml\n{}", typed_blocks(blocks));
    let output = script(bed, &text)?.succeed()?;
    blocks_print(blocks, &output)?;
    let last = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap")?;
    let last = last.trim();
    let lines = |line: &str| output.lines().filter(|found| *found == line).count();
    // CMD three times, the container twice.
    equal(format!("runs of 5 in\n{output}"), lines(last), 5)?;
    equal(format!("kubelets in\n{output}"), lines("ready"), 1)
}

/// The container runs without the key before it is attached: by a runc that does without.
fn nsprep(bed: &Bed, blocks: &[Block]) -> TestResult {
    RUNC_1_1.path()?;
    bundle(bed, "sleep 1000")?;
    let (typed, rest) = blocks.split_at(2);
    let text = format!(
        "{}\nkill $!; wait $! || true; echo '== '
        runc run --no-new-keyring --detach --bundle BUNDLE ID < /dev/null > runc.log 2>&1
        {}
        echo '== '; runc delete --force ID",
        typed_blocks(typed),
        typed_blocks(rest)
    );
    let output = script(bed, &text)?.succeed()?;
    blocks_print(blocks, &output)
}
