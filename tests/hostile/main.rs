//! Images, neighbours and bundles that attack: refused with a reason, or right; nothing outside the root file system is touched.

#[path = "../support/mod.rs"]
mod support;

mod config;
mod environment;
mod forms;
mod fuse;
mod interfere;
mod neighbour;
mod paths;
mod race;
mod role;
mod rootfs;
mod steps;
mod swap;
mod table;
mod tracer;
mod volumes;

use std::env;
use std::process::ExitCode;

use support::Suite;

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    if arguments.next().as_deref() == Some("--play") {
        return role::play(&arguments.collect::<Vec<_>>());
    }
    let mut suite = Suite::new();
    rootfs::add(&mut suite);
    config::add(&mut suite);
    environment::add(&mut suite);
    neighbour::add(&mut suite);
    interfere::add(&mut suite);
    paths::add(&mut suite);
    race::add(&mut suite);
    volumes::add(&mut suite);
    suite.run()
}
