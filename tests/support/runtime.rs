//! The real runtimes that the tests run.

use std::path::PathBuf;

use super::{TestResult, binaries, need};

/// One real runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Runtime {
    /// As tests name it.
    pub name: &'static str,
}

/// runc 1.1 as Debian 12 has it: reads cap_last_cap on the outer /proc and ignores a failure.
pub const RUNC_1_1: Runtime = Runtime { name: "runc-1.1.5" };
/// runc 1.5.2, built by `scripts/tools.sh runc`: reads cap_last_cap in the container's own /proc.
pub const RUNC_1_5: Runtime = Runtime { name: "runc-1.5.2" };
/// crun 1.8.1 as Debian 12 has it: reads cap_last_cap on the outer /proc.
pub const CRUN: Runtime = Runtime { name: "crun-1.8.1" };

/// youki 0.7.0, built by `scripts/youki.sh`: reads no key. Only tests with engines have it.
pub const YOUKI: Runtime = Runtime { name: "youki-0.7.0" };

/// Those that all tests run.
pub const RUNTIMES: [Runtime; 3] = [RUNC_1_1, RUNC_1_5, CRUN];

impl Runtime {
    /// The program, which is skipped over where it is another version than the one that was measured.
    ///
    /// # Errors
    /// Skips the test.
    pub fn path(self) -> TestResult<PathBuf> {
        need::root()?;
        let (command, version) = self.name.split_once('-').unwrap_or((self.name, ""));
        if self == RUNC_1_5 {
            return need::tool_at(command, version);
        }
        if self == YOUKI {
            return match binaries::built(self.name, command) {
                Some(path) => Ok(path),
                None => need::skip(format!("needs {}: scripts/youki.sh builds it", self.name)),
            };
        }
        let path = need::command(command)?;
        let output = std::process::Command::new(&path).arg("--version").output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let first = text.lines().next().unwrap_or_default();
        if first.contains(version) {
            Ok(path)
        } else {
            need::skip(format!("needs {}, this is {first}", self.name))
        }
    }

    /// Its program's name, without the version.
    pub fn command(self) -> &'static str {
        self.name.split('-').next().unwrap_or_default()
    }

    /// crun 1.8 cannot work where a cgroup v2 hierarchy is mounted beside the v1 ones.
    pub fn needs_pure_cgroup_v1(self) -> bool {
        self == CRUN
    }

    /// Whether `exec` reads keys on the outer /proc.
    pub fn reads_outer_proc(self) -> bool {
        self == CRUN
    }
}
