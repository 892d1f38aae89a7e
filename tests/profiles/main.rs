//! What programs of Debian's do where their keys are missing, and with their profile: docs/profiles.md. Large ones: large.rs.

#[path = "../support/mod.rs"]
mod support;

mod needed;
mod needless;
mod place;

use std::process::ExitCode;

use support::{Bed, Block, Suite, TestResult, blocks_print, need, typed_blocks};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    needed::add(&mut suite);
    needless::add(&mut suite);
    let blocks = suite.page("docs/profiles.md").blocks();
    suite.test("page", move |bed| page(bed, &blocks));
    suite.run()
}

/// The commands of the page, typed.
fn page(bed: &Bed, blocks: &[Block]) -> TestResult {
    need::root()?;
    let text = format!(
        "mkdir bin; ln -s \"$NSPREP\" bin/nsprep; PATH=$BED/bin:$PATH\n{}",
        typed_blocks(blocks)
    );
    blocks_print(blocks, &bed.script(&text)?.succeed()?)
}
