//! Keys below /sys in containers.

mod support;
use std::process::ExitCode;
fn main() -> ExitCode { support::Suite::new().run() }
