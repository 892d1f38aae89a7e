//! Which runtimes and engines are on PATH, and which versions they are.

use std::env;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use runtime_bridge::install::{self, Target};
use runtime_bridge::progress::Progress;
use runtime_bridge::runtime::Version;
use serde::Serialize;

use super::subjects::KNOWN;

/// Where programs are looked for besides PATH: a user's often lacks what root's has.
const SYSTEM: [&str; 6] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// How long a program may take to tell its version.
const PATIENCE: Duration = Duration::from_secs(5);

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Program {
    /// As it is called.
    pub name: String,
    /// Where it is.
    pub path: String,
    /// Its version, as it tells it.
    #[serde(rename = "version")]
    pub told: Option<String>,
    /// The numbers of that.
    #[serde(skip)]
    pub version: Option<Version>,
    /// Whether runtime-bridge stands there, or the engine calls it for every container.
    pub bridged: bool,
}

impl Program {
    /// One that there is not.
    #[cfg(test)]
    pub fn made_up(name: &str, version: &str) -> Self {
        Self {
            name: name.to_owned(),
            path: format!("/usr/bin/{name}"),
            told: Some(version.to_owned()),
            version: Version::parse(version),
            bridged: false,
        }
    }
}

/// All that are here and known.
pub fn found(progress: &Progress) -> Vec<Program> {
    let found = KNOWN.iter().filter_map(|known| {
        let path = on_path(known.name)?;
        progress.say(&format!("asking {} for its version", path.display()));
        let told = ask(&path).and_then(|output| version_in(&output));
        Some(Program {
            name: known.name.to_owned(),
            version: told.as_deref().and_then(Version::parse),
            told,
            bridged: is_bridge(&path) || known.engine.is_some_and(is_default),
            path: path.to_string_lossy().into_owned(),
        })
    });
    found.collect()
}

/// The program of that name, or at that path.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let is_program = |path: &PathBuf| {
        path.metadata()
            .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(is_program);
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(SYSTEM.map(PathBuf::from));
    folders
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(is_program)
}

fn is_bridge(path: &Path) -> bool {
    let file = path.canonicalize().ok();
    file.is_some_and(|file| file.file_name().is_some_and(|name| name == "runtime-bridge"))
}

/// Whether that engine calls the wrapper for containers that ask for nothing.
fn is_default(engine: &str) -> bool {
    let mut targets = Target::ALL.into_iter().filter(|target| target.name() == engine);
    targets.any(|target| {
        let status = install::status(target, None);
        status.is_ok_and(|handler| handler.is_some_and(|handler| handler.default))
    })
}

/// What `path --version` prints, if it does so in time.
fn ask(path: &Path) -> Option<String> {
    let mut child = Command::new(path)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let start = Instant::now();
    // What it prints fits into the pipe.
    while child.try_wait().ok()?.is_none() {
        if start.elapsed() > PATIENCE {
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        sleep(Duration::from_millis(5));
    }
    let mut output = Vec::new();
    child.stdout?.take(4096).read_to_end(&mut output).ok()?;
    Some(String::from_utf8_lossy(&output).into_owned())
}

/// The version in the first line: the first word of numbers with a dot.
fn version_in(output: &str) -> Option<String> {
    let line = output.lines().next()?;
    let words = line.split_whitespace().map(|word| word.trim_end_matches(','));
    let mut versions = words.map(|word| word.trim_start_matches("release-").trim_start_matches('v'));
    let version = versions.find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.'));
    version.map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_real_programs() {
        for (output, version) in [
            ("runc version 1.1.5+ds1\ncommit: 1.1.5\n", "1.1.5+ds1"),
            ("crun version 1.8.1\ncommit: f8a0\n", "1.8.1"),
            ("youki version: 0.7.0\n", "0.7.0"),
            (
                "runsc version release-20260905.0\nspec: 1.1.0-rc.1\n",
                "20260905.0",
            ),
            (
                "containerd github.com/containerd/containerd/v2 v2.2.9 abc\n",
                "2.2.9",
            ),
            (
                "containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1\n",
                "1.6.20~ds1",
            ),
            ("Docker version 20.10.24+dfsg1, build 297e128\n", "20.10.24+dfsg1"),
            ("podman version 4.3.1\n", "4.3.1"),
            ("crio version 1.34.0\nGitCommit: x\n", "1.34.0"),
            ("k3s version v1.30.0+k3s1 (14549535)\n", "1.30.0+k3s1"),
            ("Kubernetes v1.34.4\n", "1.34.4"),
        ] {
            assert_eq!(version_in(output).as_deref(), Some(version), "{output}");
            assert!(Version::parse(version).is_some());
        }
        assert_eq!(version_in("crun version UNKNOWN\n"), None);
        assert_eq!(version_in(""), None);
    }
}
