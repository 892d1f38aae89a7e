//! This program in another role: as an attacker, in a process of its own.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use super::fuse::{self, Manner};

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
