//! docs/guides, typed from their top to their end.

use std::os::unix::fs::symlink;
use std::time::Duration;

use crate::place::{installed, script};
use crate::support::{Bed, Block, CHECKOUT, Suite, TestResult, blocks_print, need, typed_blocks};

pub fn add(suite: &mut Suite) {
    let blocks = suite.page("docs/guides/bundles.md").blocks();
    suite.test("guides::bundles", move |bed| guide(bed, &blocks));
    let blocks = suite.page("docs/guides/rootless.md").blocks();
    suite.test("guides::rootless", move |bed| rootless(bed, &blocks));
    let blocks = suite.page("docs/guides/library.md").blocks();
    suite.test("guides::library", move |bed| library(bed, &blocks));
}

fn guide(bed: &Bed, blocks: &[Block]) -> TestResult {
    let output = script(bed, &typed_blocks(blocks))?.succeed()?;
    blocks_print(blocks, &output)
}

/// By root, and from the second block on by a user.
fn rootless(bed: &Bed, blocks: &[Block]) -> TestResult {
    need::unprivileged_user_namespaces()?;
    let (once, rest) = blocks.split_at(1);
    let text = format!(
        r#"{}
        mkdir home runtime; chown 1001 home runtime; cd home
        setpriv --reuid 1001 --regid 1001 --clear-groups env HOME="$PWD" XDG_RUNTIME_DIR="$BED/runtime" bash -eu "$TYPED""#,
        typed_blocks(once)
    );
    let typed = bed.file("typed", typed_blocks(rest))?;
    let output = installed(bed, &text)?.env("TYPED", typed).succeed()?;
    blocks_print(blocks, &output)
}

/// With this checkout beside, and the libraries that it was built with.
fn library(bed: &Bed, blocks: &[Block]) -> TestResult {
    symlink(CHECKOUT, bed.path("procemu"))?;
    let script = script(bed, &typed_blocks(blocks))?
        .env("CARGO_NET_OFFLINE", "true")
        .env("CARGO_TARGET_DIR", "target")
        // Kept for the next time, by a cargo that can.
        .env("CARGO_BUILD_BUILD_DIR", format!("{CHECKOUT}/target/docs-library"))
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .limit(Duration::from_secs(900));
    blocks_print(blocks, &script.succeed()?)
}
