//! Which OCI runtime a program is, and what follows from its version.

use crate::state_file;
use serde::{Deserialize, Serialize};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The runtimes whose ways are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// <https://github.com/opencontainers/runc>
    Runc,
    /// <https://github.com/containers/crun>
    Crun,
    /// <https://github.com/youki-dev/youki>
    Youki,
    /// Any other: taken for one that follows the OCI spec 1.0.2 and later.
    Unknown,
}

impl Kind {
    /// What a runtime's file name says, without asking the runtime: `runc`, `crun-1.19`, `youki`.
    pub fn of_file(path: &Path) -> Self {
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let known = [("runc", Self::Runc), ("crun", Self::Crun), ("youki", Self::Youki)];
        known
            .into_iter()
            .find(|(part, _)| name.contains(part))
            .map_or(Self::Unknown, |(_, kind)| kind)
    }
}

/// A version's numbers; what distributions append (`+ds1`, `-dirty`) says nothing about behaviour and is left out.
///
/// A release candidate comes before its release: `1.0.0-rc93` < `1.0.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    numbers: [u32; 3],
    /// `n` of `-rcn`; a release counts as the last one.
    candidate: u32,
}

impl Version {
    /// The release of these numbers.
    pub const fn release(major: u32, minor: u32, patch: u32) -> Self {
        Self {
            numbers: [major, minor, patch],
            candidate: u32::MAX,
        }
    }

    /// `1.1.5+ds1`, `1.0.0-rc93`, `1.14`; `None` where it does not begin with a number.
    pub fn parse(word: &str) -> Option<Self> {
        let end = word
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(word.len());
        let (numbers, rest) = word.split_at(end);
        let mut version = Self::release(0, 0, 0);
        let mut parts = numbers.split('.');
        version.numbers[0] = parts.next()?.parse().ok()?;
        for (number, part) in version.numbers[1..].iter_mut().zip(parts) {
            *number = part.parse().unwrap_or(0);
        }
        if let Some(candidate) = rest.strip_prefix("-rc") {
            let digits = candidate.trim_start_matches('.');
            let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
            version.candidate = digits[..end].parse().unwrap_or(0);
        }
        Some(version)
    }
}

/// A runtime as far as the rewriter needs to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Runtime {
    /// Which one.
    pub kind: Kind,
    /// `None` where it does not tell.
    pub version: Option<Version>,
}

impl Runtime {
    /// A runtime of which nothing is known.
    pub const UNKNOWN: Self = Self {
        kind: Kind::Unknown,
        version: None,
    };

    /// Reads what a runtime prints for `--version`.
    ///
    /// The first line counts: `runc version 1.1.5+ds1`, `crun version 1.8.1`, `youki version 0.5.7`.
    pub fn parse(output: &str) -> Self {
        let mut words = output.lines().next().unwrap_or_default().split_whitespace();
        let kind = match words.next().map(|word| word.trim_end_matches(':')) {
            Some("runc") => Kind::Runc,
            Some("crun") => Kind::Crun,
            Some("youki") => Kind::Youki,
            _ => return Self::UNKNOWN,
        };
        Self {
            kind,
            version: words.find_map(|word| Version::parse(word.trim_start_matches('v'))),
        }
    }

    /// Whether it runs `hooks.createContainer`: runc since 1.0.0-rc91 (runc#2229), crun since 0.12 (its NEWS), every
    /// youki. One that does not tell its version is taken for a recent one.
    pub fn takes_create_container(&self) -> bool {
        let since = match self.kind {
            Kind::Runc => Version {
                numbers: [1, 0, 0],
                candidate: 91,
            },
            Kind::Crun => Version::release(0, 12, 0),
            Kind::Youki | Kind::Unknown => return true,
        };
        self.version.is_none_or(|version| version >= since)
    }

    /// Whether it refuses every `ociVersion` but 1.0.x (`unknown version specified`): crun up to 1.14.2 (its NEWS).
    ///
    /// A crun that does not tell its version counts as one that does: the lower number takes nothing from a later one.
    pub fn refuses_later_spec(&self) -> bool {
        self.kind == Kind::Crun
            && self
                .version
                .is_none_or(|version| version < Version::release(1, 14, 3))
    }

    /// Whether its `exec` reads keys on the `/proc` around it, as crun does (`kernel/cap_last_cap`).
    pub fn reads_keys_on_exec(&self) -> bool {
        self.kind == Kind::Crun
    }
}

/// Which runtime `path` is, from the cache in `state_dir` or by running `path --version`.
///
/// Runs nothing twice for one file: the answer is kept under the file's path, device, inode, modification time and
/// size. A cache that cannot be read or written only costs the question; a program that does not answer is
/// [`Runtime::UNKNOWN`], and says why itself when it is executed.
pub fn identify(path: &Path, state_dir: &Path) -> Runtime {
    let key = Key::of(path).ok();
    let known = key.as_ref().and_then(|key| key.look_up(state_dir));
    if let Some(output) = known {
        return Runtime::parse(&output);
    }
    let Ok(output) = ask(path) else {
        return Runtime::UNKNOWN;
    };
    tracing::debug!(runtime = %path.display(), version = output, "the runtime was asked");
    if let Some(key) = key {
        // Asked again the next time.
        let _ = key.store(state_dir, &output);
    }
    Runtime::parse(&output)
}

/// The first line of `path --version`.
fn ask(path: &Path) -> io::Result<String> {
    let output = Command::new(path)
        .arg("--version")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!(
            "{} --version: {}",
            path.display(),
            output.status
        )));
    }
    Ok(String::from_utf8_lossy(&output.stdout)
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned())
}

/// What makes two executions of a path the same program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Key {
    path: PathBuf,
    device: u64,
    inode: u64,
    seconds: i64,
    nanoseconds: i64,
    size: u64,
}

#[derive(Serialize, Deserialize)]
struct Cached {
    key: Key,
    output: String,
}

impl Key {
    fn of(path: &Path) -> io::Result<Self> {
        let meta = std::fs::metadata(path)?;
        Ok(Self {
            path: path.to_owned(),
            device: meta.dev(),
            inode: meta.ino(),
            seconds: meta.mtime(),
            nanoseconds: meta.mtime_nsec(),
            size: meta.size(),
        })
    }

    fn file(&self) -> String {
        format!("runtime-{:x}-{:x}.json", self.device, self.inode)
    }

    fn look_up(&self, state_dir: &Path) -> Option<String> {
        let text = state_file::read(&state_dir.join(self.file()))?;
        let cached: Cached = serde_json::from_str(&text).ok()?;
        (cached.key == *self).then_some(cached.output)
    }

    fn store(&self, state_dir: &Path, output: &str) -> io::Result<()> {
        let cached = Cached {
            key: self.clone(),
            output: output.to_owned(),
        };
        state_file::write(state_dir, &self.file(), &serde_json::to_string(&cached)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn real_outputs() {
        for (output, kind, version) in [
            (
                "runc version 1.1.5+ds1\ncommit: 1.1.5+ds1-1+deb12u1\nspec: 1.0.2-dev\ngo: go1.19.8\nlibseccomp: 2.5.4\n",
                Kind::Runc,
                Some(Version::release(1, 1, 5)),
            ),
            (
                "runc version 1.5.2\nspec: 1.3.0\ngo: go1.26\n",
                Kind::Runc,
                Some(Version::release(1, 5, 2)),
            ),
            (
                "runc version 1.0.0-rc10\nspec: 1.0.1-dev\n",
                Kind::Runc,
                Some(Version {
                    numbers: [1, 0, 0],
                    candidate: 10,
                }),
            ),
            (
                "crun version 1.8.1\ncommit: f8a096be060b22ccd3d5f3ebe44108517fbf6c30\nrundir: /run/crun\nspec: 1.0.0\n+SYSTEMD +SELINUX\n",
                Kind::Crun,
                Some(Version::release(1, 8, 1)),
            ),
            ("crun 0.11\n", Kind::Crun, Some(Version::release(0, 11, 0))),
            (
                "crun version 1.14.3.0.0.0.12-3ebd\n",
                Kind::Crun,
                Some(Version::release(1, 14, 3)),
            ),
            ("crun version UNKNOWN\n", Kind::Crun, None),
            (
                "youki version 0.5.7\ncommit: 0.5.7-0-g8b3ae4c\n",
                Kind::Youki,
                Some(Version::release(0, 5, 7)),
            ),
            (
                "youki version: 0.7.0\n",
                Kind::Youki,
                Some(Version::release(0, 7, 0)),
            ),
            (
                "runsc version release-20260905.0\nspec: 1.1.0-rc.1\n",
                Kind::Unknown,
                None,
            ),
            ("", Kind::Unknown, None),
        ] {
            assert_eq!(Runtime::parse(output), Runtime { kind, version }, "{output}");
        }
    }

    #[test]
    fn what_versions_tell() {
        let of = |line: &str| Runtime::parse(line);
        for (line, create_container, refuses) in [
            ("runc version 0.1.1", false, false),
            ("runc version 1.0.0-rc10", false, false),
            ("runc version 1.0.0-rc91+dev", true, false),
            ("runc version 1.0.0", true, false),
            ("crun version 0.11", false, true),
            ("crun version 0.12", true, true),
            ("crun version 1.14.2", true, true),
            ("crun version 1.14.3", true, false),
            ("crun version UNKNOWN", true, true),
            ("youki version 0.5.7", true, false),
            ("kata-runtime 3", true, false),
        ] {
            assert_eq!(of(line).takes_create_container(), create_container, "{line}");
            assert_eq!(of(line).refuses_later_spec(), refuses, "{line}");
        }
    }

    fn script(dir: &Path, text: &str) -> PathBuf {
        let path = dir.join("runtime");
        std::fs::write(
            &path,
            format!("#!/bin/sh\necho x >> {}/asked\n{text}\n", dir.display()),
        )
        .unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn asked(dir: &Path) -> usize {
        std::fs::read_to_string(dir.join("asked"))
            .unwrap_or_default()
            .lines()
            .count()
    }

    #[test]
    fn one_question_per_program() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("run/procemu");
        let path = script(dir.path(), "echo runc version 1.1.5");
        let first = identify(&path, &state);
        assert_eq!(first, Runtime::parse("runc version 1.1.5"));
        assert_eq!((identify(&path, &state), asked(dir.path())), (first, 1));
        // Another program under the same name.
        script(dir.path(), "echo crun version 1.8.1; exit 0");
        assert_eq!(identify(&path, &state).kind, Kind::Crun);
        assert_eq!(asked(dir.path()), 2);
    }

    #[test]
    fn an_unusable_cache_only_costs_the_question() {
        let dir = tempfile::tempdir().unwrap();
        let path = script(dir.path(), "echo youki version 0.7.0");
        let state = dir.path().join("not-a-folder");
        std::fs::write(&state, "").unwrap();
        for count in 1..3 {
            assert_eq!(
                (identify(&path, &state).kind, asked(dir.path())),
                (Kind::Youki, count)
            );
        }
        // Nor does one that holds rubbish.
        let state = dir.path().join("state");
        identify(&path, &state);
        for entry in std::fs::read_dir(&state).unwrap() {
            std::fs::write(entry.unwrap().path(), "{").unwrap();
        }
        assert_eq!(
            (identify(&path, &state).kind, asked(dir.path())),
            (Kind::Youki, 4)
        );
    }

    #[test]
    fn a_program_without_an_answer_is_unknown() {
        let dir = tempfile::tempdir().unwrap();
        let path = script(dir.path(), "exit 3");
        assert_eq!(identify(&path, dir.path()), Runtime::UNKNOWN);
        assert_eq!(
            identify(Path::new("/nonexistent/runc"), dir.path()),
            Runtime::UNKNOWN
        );
    }
}
