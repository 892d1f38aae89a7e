//! Shell scripts in a mount namespace of their own.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::{Bed, TestResult, equal, fail};

const LIB: &str = include_str!("lib.sh");
/// Unless it is given another.
const LIMIT: Duration = Duration::from_secs(120);

/// How mounts of the script's namespace and of the host's reach each other.
#[derive(Clone, Copy)]
pub enum Propagation {
    /// The host's reach the script, never the other way round.
    Slave,
    /// The script's whole tree is shared with namespaces made from it, and cut off from the host.
    Shared,
}

/// A script, its environment and its input.
pub struct Script {
    command: Command,
    stdout: std::path::PathBuf,
    stderr: std::path::PathBuf,
    stdin: Vec<u8>,
    stdin_path: std::path::PathBuf,
    text: String,
    propagation: Propagation,
    limit: Duration,
}

/// What a script printed and how it ended.
#[derive(Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    text: String,
}

impl Script {
    pub(super) fn new(bed: &Bed, text: &str) -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let mut command = Command::new("unshare");
        command
            .env("BED", bed.path(""))
            .env("ID", bed.id())
            .env_remove("RUST_BACKTRACE");
        command.current_dir(bed.path("")).process_group(0);
        Ok(Script {
            command,
            stdout: bed.path(&format!("stdout.{number}")),
            stderr: bed.path(&format!("stderr.{number}")),
            stdin: Vec::new(),
            stdin_path: bed.path(&format!("stdin.{number}")),
            text: text.to_owned(),
            propagation: Propagation::Slave,
            limit: LIMIT,
        })
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Gives it an input; without, it reads an empty one.
    pub fn stdin(mut self, bytes: &[u8]) -> Self {
        self.stdin = bytes.to_vec();
        self
    }

    /// Sets how the namespace is connected; without, `Slave`.
    pub fn propagation(mut self, propagation: Propagation) -> Self {
        self.propagation = propagation;
        self
    }

    /// Sets how long it may take; without, two minutes.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// It does not start, or is not done in time (then its process group is killed).
    pub fn run(mut self) -> TestResult<Output> {
        std::fs::write(&self.stdin_path, &self.stdin)?;
        // Shared within, yet cut off from the host: private first.
        let (propagation, share) = match self.propagation {
            // What we do to /proc makes it private, which would show in a comparison of mount tables.
            Propagation::Slave => ("slave", "mount --make-private /proc\n"),
            Propagation::Shared => ("private", "mount --make-rshared /\n"),
        };
        let script: OsString = format!("set -eu\n{LIB}\n{share}{}", self.text).into();
        self.command
            // Keys that a test writes are never the machine's own, even where what it tests is broken.
            .args(["--net", "--ipc"])
            .args(["--mount", "--propagation", propagation, "bash", "-c"])
            .arg(script);
        // Files and not pipes: a container left in the background would keep a pipe open for ever.
        self.command
            .stdin(Stdio::from(File::open(&self.stdin_path)?))
            .stdout(Stdio::from(File::create(&self.stdout)?))
            .stderr(Stdio::from(File::create(&self.stderr)?));
        let mut child = self.command.spawn()?;
        let status = wait(&mut child, self.limit)?;
        let read = |path| std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let (stdout, stderr) = (read(&self.stdout)?, read(&self.stderr)?);
        match status {
            Some(status) => Ok(Output {
                status,
                stdout,
                stderr,
                text: self.text,
            }),
            None => fail(format!(
                "not done after {:?}: {}\n{stdout}\n{stderr}",
                self.limit, self.text
            )),
        }
    }

    /// Runs it and expects success; gives its standard output without the final newline.
    ///
    /// # Errors
    /// It fails, or cannot run.
    pub fn succeed(self) -> TestResult<String> {
        self.run()?.success()
    }
}

fn wait(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() > limit {
            let group = i32::try_from(child.id()).map_err(io::Error::other)?;
            killpg(Pid::from_raw(group), Signal::SIGKILL)?;
            child.wait()?;
            return Ok(None);
        }
        sleep(Duration::from_millis(5));
    }
}

impl Output {
    /// Expects success; gives the standard output without the final newline.
    ///
    /// # Errors
    /// It failed.
    pub fn success(self) -> TestResult<String> {
        if !self.status.success() {
            return self.fail("should have succeeded");
        }
        Ok(self.stdout.trim_end_matches('\n').to_owned())
    }

    /// Expects failure with `text` somewhere on standard error.
    ///
    /// # Errors
    /// It succeeded, or said something else.
    pub fn fails_with(&self, text: &str) -> TestResult {
        if self.status.success() {
            return self.fail("should have failed");
        }
        if self.stderr.contains(text) {
            Ok(())
        } else {
            self.fail(format!("should have said {text:?}"))
        }
    }

    /// Expects exit code `code` and one line on standard error that contains every one of `words`.
    ///
    /// # Errors
    /// Another code, no or more lines, or a word is not there.
    pub fn refuses(&self, code: i32, words: &[&str]) -> TestResult {
        if self.status.code() != Some(code) {
            return self.fail(format!("should have ended with {code}"));
        }
        equal("lines of standard error", self.stderr.lines().count(), 1)
            .or_else(|_| self.fail("one line expected"))?;
        match words.iter().find(|word| !self.stderr.contains(**word)) {
            Some(word) => self.fail(format!("the error should name {word:?}")),
            None => Ok(()),
        }
    }

    /// Fails with all there is to know about the script.
    ///
    /// # Errors
    /// Always.
    pub fn fail<T>(&self, why: impl std::fmt::Display) -> TestResult<T> {
        let Output { status, text, .. } = self;
        let (stdout, stderr) = (end(&self.stdout), end(&self.stderr));
        fail(format!(
            "{why}: {status}\n--- script\n{text}\n--- stdout\n{stdout}\n--- stderr\n{stderr}"
        ))
    }
}

/// The last lines, where there are very many.
fn end(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    let skipped = lines.len().saturating_sub(80);
    let head = if skipped > 0 {
        format!("... {skipped} lines\n")
    } else {
        String::new()
    };
    head + &lines[skipped..].join("\n")
}
