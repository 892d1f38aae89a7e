//! The packages: what they install, where, and what is left of it when it is removed.

mod deb;
mod install;
mod packages;
mod pages;
#[path = "../support/mod.rs"]
mod support;

use std::process::ExitCode;

use support::Suite;

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.test("deb::installed", deb::installed);
    suite.test("deb::upgraded", deb::upgraded);
    suite.test("deb::upgraded_under_containers", deb::upgraded_under_containers);
    suite.test("deb::purged", deb::purged);
    suite.test("deb::in_use", deb::in_use);
    suite.test("deb::lintian", deb::lintian);
    suite.test("install::destdir", install::destdir);
    suite.test("install::interrupted", install::interrupted);
    suite.test("install::refused", install::refused);
    suite.test("install::tarball", install::tarball);
    suite.test("install::same_twice", install::same_twice);
    suite.test("pages::manual", pages::manual);
    suite.test("pages::bash", pages::bash);
    suite.test("pages::zsh", pages::zsh);
    suite.test("pages::fish", pages::fish);
    suite.run()
}
