//! A folder to call the program in, with a runtime that only notes how it was called.
#![allow(dead_code, missing_docs, reason = "each test file uses a part of it")]

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

/// The program under test.
pub const BRIDGE: &str = env!("CARGO_BIN_EXE_runtime-bridge");

/// A folder with a bundle's or a policy's files, and a runtime that notes its arguments and ends with 7.
pub struct Place {
    /// Goes with it.
    pub dir: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        let place = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        std::fs::create_dir(place.at("bin")).unwrap();
        let script = "#!/bin/sh\n[ \"$1\" = --version ] && echo 'runc version 1.5.2'\nprintf '%s\\0' \"$@\" > \"${0%/*}/called\"\nexit 7\n";
        std::fs::write(place.at("script"), script).unwrap();
        // By a process of its own: a program that another thread forks meanwhile would hold it open for writing, and nobody
        // could execute it (ETXTBSY).
        let copied = Command::new("cp")
            .arg(place.at("script"))
            .arg(place.runtime())
            .status();
        assert!(copied.unwrap().success());
        std::fs::set_permissions(place.runtime(), std::fs::Permissions::from_mode(0o755)).unwrap();
        place
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn runtime(&self) -> PathBuf {
        self.at("bin/runc")
    }

    /// The arguments the runtime got, if it was executed.
    pub fn called(&self) -> Option<Vec<OsString>> {
        let text = std::fs::read(self.at("bin/called")).ok()?;
        let mut args: Vec<_> = text
            .split(|byte| *byte == 0)
            .map(|arg| OsString::from_vec(arg.to_vec()))
            .collect();
        args.pop();
        Some(args)
    }

    /// A bridge.toml with `text`. Its first line is ours: nothing is left where a node has its state.
    pub fn configured(&self, text: &str) -> PathBuf {
        let text = format!("state_dir = {:?}\n{text}", self.at("state"));
        std::fs::write(self.at("bridge.toml"), text).unwrap();
        self.at("bridge.toml")
    }

    /// `runtime-bridge runtime --exec RUNTIME [--config CONFIG] -- ARGS`.
    pub fn run<S: AsRef<OsStr>>(&self, config: Option<&str>, args: &[S]) -> Output {
        let mut command = Command::new(BRIDGE);
        command.arg("runtime").arg("--exec").arg(self.runtime());
        if let Some(text) = config {
            command.arg("--config").arg(self.configured(text));
        }
        command.arg("--").args(args).output().unwrap()
    }
}

/// What the program said.
pub fn error_line(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
