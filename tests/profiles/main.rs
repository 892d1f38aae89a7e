//! What programs of Debian's do where their keys are missing, and with their profile: docs/profiles.md. Large ones: large.rs.

#[path = "../support/mod.rs"]
mod support;

mod needed;
mod needless;
mod place;

use std::process::ExitCode;

use support::{Bed, Suite, TestResult, need, page_prints, typed_page};

const PAGE: &str = include_str!("../../docs/profiles.md");

fn main() -> ExitCode {
    let mut suite = Suite::new();
    needed::add(&mut suite);
    needless::add(&mut suite);
    suite.test("page", page);
    suite.run()
}

/// The commands of the page, typed.
fn page(bed: &Bed) -> TestResult {
    need::root()?;
    let text = format!(
        "mkdir bin; ln -s \"$NSPREP\" bin/nsprep; PATH=$BED/bin:$PATH\n{}",
        typed_page(PAGE)?
    );
    page_prints(PAGE, &bed.script(&text)?.succeed()?)
}
