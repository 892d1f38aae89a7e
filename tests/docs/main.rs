//! The pages: each block of commands is run by a test, and each link leads somewhere.

#[path = "../support/mod.rs"]
mod support;

mod features;
mod guides;
mod install;
mod links;
mod pages;
mod place;
mod readme;

use std::process::ExitCode;

use support::Suite;

fn main() -> ExitCode {
    let mut suite = Suite::new();
    pages::add(&mut suite);
    links::add(&mut suite);
    features::add(&mut suite);
    readme::add(&mut suite);
    guides::add(&mut suite);
    install::add(&mut suite);
    suite.run()
}
