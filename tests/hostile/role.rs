//! This program in another role: as an attacker, in a process of its own.

use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use super::fuse::{self, Manner};
use super::{interfere, race, swap, tracer};

/// Plays the role that the first argument names.
pub fn play(arguments: &[String]) -> ExitCode {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments[..] {
        ["fuse", manner, point] => {
            let manner = match manner {
                "mute" => Manner::Mute,
                "endless" => Manner::Endless,
                _ => Manner::Honest,
            };
            fuse::serve(Path::new(point), manner)
        }
        ["swap", one, other, stop, rest] => {
            let rest = rest.parse().map(Duration::from_micros);
            let rest = rest.unwrap_or_default();
            swap::exchange_until(Path::new(one), Path::new(other), Path::new(stop), rest)
        }
        ["steps", script] => race::play_steps(script),
        ["trace", manner, over, names] => tracer::trace(manner == "writes", Path::new(over), names),
        ["mount", over, names] => interfere::mount_over(Path::new(over), names),
        ["rounds", table] => race::play_rounds(Path::new(table)),
        _ => Err(io::Error::other("no such role")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{arguments:?}: {error}");
            ExitCode::FAILURE
        }
    }
}
