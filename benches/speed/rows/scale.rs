//! Many containers alive at once: whether the next one costs more, and what each keeps.

mod memory;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::bundles::{Stand, Through, hook_of};
use super::programs::state_of;
use crate::cost::Cost;
use crate::helper::Helper;
use crate::report::{Counts, Group, Line, Unit};
use crate::spread::Spread;
use crate::{Bench, Outcome};
use memory::Cgroup;

/// Starts are counted from each of these numbers on, so many of them.
const SAMPLES: usize = 10;

/// Started before the first one that counts, so that nothing is cold.
const WARM: usize = 3;

/// As many as there are then, where the engine has what containerd mounts for each.
pub const CROWDED: &str = "the next, with two mounts for each in the engine's namespace";

/// The mounts of many containers' rootfs and /dev/shm, as an engine has them in its mount namespace.
struct Crowd(PathBuf);

impl Crowd {
    fn new(folder: &Path, mounts: usize) -> Outcome<Self> {
        let none = None::<&str>;
        mount(Some("crowd"), folder, Some("tmpfs"), MsFlags::empty(), none)?;
        let crowd = Self(folder.to_owned());
        for number in 0..mounts {
            let at = folder.join(number.to_string());
            fs::create_dir(&at)?;
            mount(Some("/etc"), &at, none, MsFlags::MS_BIND, none)?;
        }
        Ok(crowd)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

/// One kind of container: bare, or with ours.
struct Kind {
    name: &'static str,
    runtime: Helper,
    /// What it is asked for each container.
    line: String,
    cgroup: Option<Cgroup>,
    /// Before the first container.
    empty: f64,
    started: Vec<Cost>,
    mounts: f64,
    mountinfo: Vec<f64>,
}

/// Measures the row.
///
/// # Errors
/// If something that is measured does not work.
pub fn measure(bench: &mut Bench) -> Outcome {
    let Some(baselines) = &bench.baselines else {
        return Ok(());
    };
    let runtime = bench.folder("many")?.join("runc");
    fs::copy(baselines.path("runtime"), &runtime)?;
    let keys = (0..1000).map(|number| format!("\"kernel/made_up_{number}\" = {{ value = 7 }}\n"));
    let table = format!("[keys]\n{}", keys.collect::<String>());
    let stand = Stand::new(bench, baselines, "runc", &runtime, &table)?;
    let state = stand.bundle.join("state.json");
    fs::write(&state, state_of(&stand))?;

    // With templates: without, each has a private copy of its thousand keys, 4 MiB.
    let mut kinds = Vec::new();
    for (name, through) in [
        ("bare", Through::Nothing),
        ("ours by template", Through::WrapperAndTemplate),
    ] {
        let cgroup = Cgroup::new(&format!("{}-{name}", bench.name))?;
        stand.prepare(through)?;
        let mut command = stand.make(through, "run");
        command
            .env("RUNTIME_ROOTFS", stand.bundle.join("rootfs"))
            .env("RUNTIME_STATE", &state);
        if let Some(cgroup) = &cgroup {
            command.env("RUNTIME_CGROUP", cgroup.entrance());
        }
        kinds.push(Kind::start(name, &mut command, cgroup, &stand.bundle)?);
    }
    if kinds[0].cgroup.is_none() {
        bench.report.skip('e', "memory: needs a memory cgroup of its own");
    }

    let numbers: &[usize] = if bench.options.short {
        &[1, 10]
    } else {
        &[1, 10, 100, 1000]
    };
    let mut memory = Counts {
        row: 'e',
        title: "memory per container, KiB, with a read-only table of 1000 keys".to_owned(),
        columns: ["bare", "ours", "added", "tmpfs of ours"]
            .map(str::to_owned)
            .to_vec(),
        lines: Vec::new(),
    };
    let mut tables = Counts {
        row: 'e',
        title: "mounts, and µs to read /proc/self/mountinfo".to_owned(),
        columns: [
            "mounts, engine",
            "read, engine",
            "mounts, bare",
            "read, bare",
            "mounts, ours",
            "read, ours",
        ]
        .map(str::to_owned)
        .to_vec(),
        lines: Vec::new(),
    };
    for number in numbers {
        while kinds[0].started.len() < WARM + number - 1 + SAMPLES {
            // Who goes first changes.
            let turn = kinds[0].started.len() % 2;
            for at in [turn, 1 - turn] {
                kinds[at].next()?;
            }
        }
        let name = format!("{number} alive");
        let alive = kinds[0].started.len() as f64;
        if let [Some(bare), Some(ours)] = [kinds[0].memory()?, kinds[1].memory()?] {
            let (bare, ours, tmpfs) = (bare.all / alive, ours.all / alive, ours.tmpfs / alive);
            memory
                .lines
                .push((name.clone(), vec![bare, ours, ours - bare, tmpfs]));
        }
        let (mounts, read) = mountinfo()?;
        let of = |kind: &Kind| [kind.mounts, kind.mountinfo(*number)];
        let [bare, ours] = [of(&kinds[0]), of(&kinds[1])];
        tables.lines.push((name, [[mounts, read], bare, ours].concat()));
    }
    let alive = kinds[0].started.len();
    let crowd = Crowd::new(&bench.folder("crowd")?, 2 * alive)?;
    for turn in 0..SAMPLES {
        for at in [turn % 2, 1 - turn % 2] {
            kinds[at].next()?;
        }
    }
    let (mounts, read) = mountinfo()?;
    drop(crowd);
    let last = kinds.iter().map(|kind| kind.mountinfo(alive + 1 - WARM));
    let [bare, ours] = last.collect::<Vec<_>>()[..] else {
        return Err("there are two kinds".into());
    };
    let values = vec![mounts, read, kinds[0].mounts, bare, kinds[1].mounts, ours];
    tables.lines.push((CROWDED.to_owned(), values));
    let groups = kinds.iter().map(|kind| kind.group(numbers, alive));
    bench.report.groups.extend(groups);
    if !memory.lines.is_empty() {
        bench.report.counts.push(memory);
    }
    bench.report.counts.push(tables);
    Ok(())
}

impl Kind {
    fn start(
        name: &'static str,
        command: &mut Command,
        cgroup: Option<Cgroup>,
        bundle: &Path,
    ) -> Outcome<Self> {
        let runtime = Helper::start(command)?;
        runtime.line()?;
        let mut words = vec!["start".to_owned()];
        words.extend(hook_of(bundle)?.unwrap_or_default());
        let mut kind = Self {
            name,
            runtime,
            line: words.join("\t"),
            cgroup,
            empty: 0.0,
            started: Vec::new(),
            mounts: 0.0,
            mountinfo: Vec::new(),
        };
        kind.empty = kind.memory()?.map_or(0.0, |memory| memory.all);
        Ok(kind)
    }

    fn next(&mut self) -> Outcome {
        let answer = self.runtime.ask(&self.line)?;
        let [cpu, wall, mounts, mountinfo] = answer[..] else {
            return Err(format!("the runtime of containers answered {answer:?}").into());
        };
        self.started.push(Cost {
            cpu: cpu / 1e9,
            wall: wall / 1e9,
        });
        self.mounts = mounts;
        self.mountinfo.push(mountinfo / 1e3);
        Ok(())
    }

    /// What its containers hold, in KiB.
    fn memory(&self) -> Outcome<Option<memory::Held>> {
        let Some(cgroup) = &self.cgroup else {
            return Ok(None);
        };
        let held = cgroup.held()?;
        Ok(Some(memory::Held {
            all: held.all - self.empty,
            ..held
        }))
    }

    fn mountinfo(&self, number: usize) -> f64 {
        Spread::of(self.mountinfo[WARM + number - 1..][..SAMPLES].to_vec()).median
    }

    /// The last ones came when there were `alive`.
    fn group(&self, numbers: &[usize], alive: usize) -> Group {
        let line = |number: &usize| Line {
            name: match number {
                1 => "the first".to_owned(),
                number => format!("number {number}"),
            },
            costs: self.started[WARM + number - 1..][..SAMPLES].to_vec(),
        };
        let crowded = Line {
            name: CROWDED.to_owned(),
            costs: self.started[alive..].to_vec(),
        };
        Group {
            row: 'e',
            title: format!("start of a container, {}", self.name),
            unit: Unit::Milli,
            lines: numbers.iter().map(line).chain([crowded]).collect(),
        }
    }
}

/// The mounts that this process sees, as the engine would, and the median of µs to read them.
fn mountinfo() -> Outcome<(f64, f64)> {
    let mut took = Vec::new();
    let mut mounts = 0;
    for _ in 0..21 {
        let start = Instant::now();
        let text = fs::read("/proc/self/mountinfo")?;
        took.push(start.elapsed().as_secs_f64() * 1e6);
        mounts = text.iter().filter(|byte| **byte == b'\n').count();
    }
    Ok((mounts as f64, Spread::of(took).median))
}
