//! The host as it was before the tests, to hold against what they leave behind.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Bed;

/// Keys whose host values a test could change by a bind that pins a namespace, or by a write that reaches too far.
const KEYS: &[&str] = &[
    "kernel/shmmni",
    "kernel/shmmax",
    "kernel/msgmni",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
    "kernel/core_pattern",
    "kernel/hostname",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "net/ipv4/ip_forward",
    "net/ipv4/ip_unprivileged_port_start",
    "net/ipv4/ping_group_range",
    "net/core/somaxconn",
];

const GRACE: Duration = Duration::from_secs(2);

/// The host's mount table and the values of keys that tests deal with.
pub struct Host {
    mounts: Vec<String>,
    values: BTreeMap<&'static str, String>,
    state: bool,
}

/// Where the programs keep state when nothing else is configured; every test configures something else.
const STATE: &str = "/run/procemu";

impl Host {
    /// The host as it is now, seen from this process.
    pub fn observe() -> Self {
        Host {
            mounts: mounts(),
            values: values(),
            state: Path::new(STATE).exists(),
        }
    }

    /// What is different now, and what belongs to `bed`'s test and is still there: one line each. Processes of the test that
    /// still run are killed, so that they hold nothing.
    pub fn leftovers(&self, bed: &Bed) -> Vec<String> {
        // A killed container dies, and its namespaces with it, some time after its runtime has returned.
        let start = Instant::now();
        let mut left = self.differences(bed);
        while !left.is_empty() && start.elapsed() < GRACE {
            sleep(Duration::from_millis(10));
            left = self.differences(bed);
        }
        for (pid, _) in processes_of(bed) {
            // Gone in the meantime is as good.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        if !left.is_empty() {
            sleep(Duration::from_millis(100));
            for path in cgroups_of(bed) {
                let is_empty =
                    fs::read_to_string(path.join("cgroup.procs")).is_ok_and(|text| text.is_empty());
                remove_cgroup(&path);
                // A runtime gives up on a cgroup that the kernel calls busy for too long, gVisor's more often: nobody was in it.
                if is_empty && !path.exists() {
                    left.retain(|line| *line != shown_cgroup(&path));
                }
            }
        }
        left
    }

    fn differences(&self, bed: &Bed) -> Vec<String> {
        let mut left = Vec::new();
        for (pid, command) in processes_of(bed) {
            left.push(format!("process {pid}: {command}"));
        }
        let now = mounts();
        left.extend(
            now.iter()
                .filter(|line| !self.mounts.contains(line))
                .map(|line| format!("mount {line}")),
        );
        let gone = self.mounts.iter().filter(|line| !now.contains(line));
        left.extend(gone.map(|line| format!("mount is gone: {line}")));
        for (key, value) in values() {
            if self.values.get(key) != Some(&value) {
                left.push(format!(
                    "value of {key}: {value:?}, before: {:?}",
                    self.values.get(key)
                ));
            }
        }
        for folder in [
            "/run",
            "/run/runc",
            "/run/crun",
            "/run/procemu",
            "/var/lib/procemu",
        ] {
            let paths = entries_naming(Path::new(folder), bed.id());
            left.extend(paths.iter().map(|path| format!("file {}", path.display())));
        }
        left.extend(cgroups_of(bed).iter().map(|path| shown_cgroup(path)));
        left
    }
}

fn mounts() -> Vec<String> {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn values() -> BTreeMap<&'static str, String> {
    let read = |key: &&'static str| Some((*key, fs::read_to_string(format!("/proc/sys/{key}")).ok()?));
    KEYS.iter().filter_map(read).collect()
}

/// Processes whose command line names the bed's folder or id, or whose cgroup does. One that is dead is for the machine's init to
/// reap, in its own time.
fn processes_of(bed: &Bed) -> Vec<(i32, String)> {
    let folder = bed.path("").to_string_lossy().into_owned();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        if status.contains("\nState:\tZ") || status.contains("\nState:\tX") {
            continue;
        }
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        let cgroup = fs::read_to_string(entry.path().join("cgroup")).unwrap_or_default();
        if command.contains(folder.trim_end_matches('/')) || cgroup.contains(bed.id()) {
            found.push((pid, command));
        }
    }
    found
}

/// The hierarchies of cgroup v1, or the folder of v2 and what is in it.
fn cgroups() -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let below = fs::read_dir(root).into_iter().flatten().flatten();
    below
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .chain([root.to_owned()])
        .collect()
}

/// Those that the bed's containers have, or had.
fn cgroups_of(bed: &Bed) -> Vec<PathBuf> {
    let all = cgroups().into_iter();
    all.flat_map(|controller| entries_naming(&controller, bed.id()))
        .collect()
}

fn shown_cgroup(path: &Path) -> String {
    format!("cgroup {}", path.display())
}

/// A cgroup's folder goes by rmdir alone, after those in it; one that cannot go has been reported.
fn remove_cgroup(path: &Path) {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    for folder in entries.map(|entry| entry.path()).filter(|path| path.is_dir()) {
        remove_cgroup(&folder);
    }
    let _ = fs::remove_dir(path);
}

fn entries_naming(folder: &Path, id: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let named = entries.filter(|entry| entry.file_name().to_string_lossy().contains(id));
    named.map(|entry| entry.path()).collect()
}
