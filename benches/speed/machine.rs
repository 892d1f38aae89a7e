//! The machine, and what was measured on it.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

/// Facts, as they were when the bench began.
pub struct Machine {
    date: String,
    kernel: String,
    cpu: String,
    cores: usize,
    load: String,
    /// At the end.
    pub load_after: String,
    revision: String,
    /// Name and version of each program.
    pub programs: Vec<(String, String)>,
}

impl Machine {
    /// Looks at this machine. What cannot be found out is empty.
    pub fn look() -> Self {
        let kernel = nix::sys::utsname::uname().map(|name| {
            let [system, release, machine] = [name.sysname(), name.release(), name.machine()]
                .map(|part| part.to_string_lossy().into_owned());
            format!("{system} {release} {machine}")
        });
        Self {
            date: output(Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%SZ"])),
            kernel: kernel.unwrap_or_default(),
            cpu: cpu(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            load: load(),
            load_after: String::new(),
            revision: output(Command::new("git").args([
                "-C",
                env!("CARGO_MANIFEST_DIR"),
                "describe",
                "--always",
                "--dirty",
            ])),
            programs: Vec::new(),
        }
    }

    /// Notes what a program says about its version.
    pub fn program(&mut self, name: &str, says: &mut Command) {
        self.programs.push((name.to_owned(), output(says)));
    }

    /// For people.
    pub fn lines(&self) -> Vec<String> {
        let programs = self.programs.iter();
        let programs = programs.map(|(name, version)| format!("{name}: {version}"));
        vec![
            format!("{}, revision {}", self.date, self.revision),
            format!("{}; {}, {} cores", self.kernel, self.cpu, self.cores),
            format!("load {} before, {} after", self.load, self.load_after),
            format!("{}", programs.collect::<Vec<_>>().join(", ")),
        ]
    }

    /// As `bench.json` has it.
    pub fn json(&self) -> Value {
        let programs = self.programs.iter();
        json!({
            "date": self.date,
            "kernel": self.kernel,
            "cpu": self.cpu,
            "cores": self.cores,
            "load": {"before": self.load, "after": self.load_after},
            "revision": self.revision,
            "programs": programs.map(|(name, version)| (name.clone(), json!(version))).collect::<serde_json::Map<_, _>>(),
        })
    }
}

/// The load averages of 1, 5 and 15 minutes.
pub fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

fn cpu() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split_once(':'));
    name.map(|(_, name)| name.trim().to_owned()).unwrap_or_default()
}

/// The first line with a number in it; nothing where it fails.
fn output(command: &mut Command) -> String {
    let Ok(output) = command.output() else {
        return String::new();
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lines = text.lines();
    let line = lines.find(|line| line.contains(|c: char| c.is_ascii_digit()));
    // proot paints its name around it.
    let line = line.map(|line| line.rsplit("| ").next().unwrap_or_default());
    line.unwrap_or_default().trim().to_owned()
}
