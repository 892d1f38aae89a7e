//! All that we cost, side by side with what others do in our place: docs/performance.md.

mod apart;
mod baseline;
mod compare;
mod cost;
mod helper;
mod machine;
mod options;
mod report;
mod rows;
mod spread;
mod table;
mod targets;
#[path = "../../tests/support/mod.rs"]
mod tests_support;
mod unpacked;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use baseline::Baselines;
use machine::Machine;
use options::Options;
use report::Report;
use tests_support::{RUNTIMES, Runtime, Stop, TestResult};

/// Anything that ends the bench.
pub type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// What the rows have in common.
pub struct Bench {
    options: Options,
    /// No other run has it.
    name: String,
    /// A folder for files, a tmpfs.
    folder: PathBuf,
    /// Without a compiler there are none.
    baselines: Option<Baselines>,
    runtimes: Vec<(Runtime, PathBuf)>,
    nsprep: PathBuf,
    bridge: PathBuf,
    machine: Machine,
    report: Report,
}

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome<ExitCode> {
    let options = Options::parse(std::env::args().skip(1))?;
    if let Some((name, folder)) = options.inside.clone() {
        inside(options, name, &folder)?;
        return Ok(ExitCode::SUCCESS);
    }
    match passed(tests_support::need::root())? {
        Err(reason) => {
            println!("skipped the bench: {reason}");
            Ok(ExitCode::SUCCESS)
        }
        Ok(()) if apart::supervise()?.success() => Ok(ExitCode::SUCCESS),
        Ok(()) => Ok(ExitCode::FAILURE),
    }
}

fn inside(options: Options, name: String, folder: &Path) -> Outcome {
    apart::settle(folder)?;
    let program = |name: &str, beside: fn() -> TestResult<PathBuf>| match &options.programs {
        Some(folder) => Ok(folder.join(name)),
        None => had(beside()),
    };
    let mut bench = Bench {
        name,
        folder: folder.to_owned(),
        baselines: None,
        runtimes: Vec::new(),
        nsprep: program("nsprep", tests_support::nsprep)?,
        bridge: program("runtime-bridge", tests_support::runtime_bridge)?,
        machine: Machine::look(),
        report: Report::default(),
        options,
    };
    bench.gather()?;
    for (row, about) in rows::ROWS {
        if bench.options.wants(row) {
            let start = Instant::now();
            rows::measure(row, &mut bench)?;
            eprintln!("{row}: {about} ({:.0} s)", start.elapsed().as_secs_f64());
        }
    }
    bench.machine.load_after = machine::load();
    let machine = &bench.machine;
    let targets = targets::of(&bench.report);
    println!("\n{}", table::text(&bench.report, machine, &targets));
    if let Some(file) = &bench.options.json {
        let mode = if bench.options.short { "short" } else { "full" };
        let json = bench.report.json(mode, machine, &targets);
        fs::write(file, format!("{json:#}\n"))?;
        println!("written: {}", file.display());
    }
    if let Some(file) = &bench.options.page {
        fs::write(file, table::page(&bench.report, machine, &targets))?;
        println!("written: {}", file.display());
    }
    Ok(())
}

impl Bench {
    /// What is there to be compared with.
    fn gather(&mut self) -> Outcome {
        self.machine.program("cc", Command::new("cc").arg("--version"));
        for runtime in RUNTIMES {
            match passed(runtime.path())? {
                Ok(path) => {
                    self.machine
                        .program(runtime.name, Command::new(&path).arg("--version"));
                    self.runtimes.push((runtime, path));
                }
                Err(reason) => {
                    for row in self.options.among("dg") {
                        self.report.skip(row, format!("{}: {reason}", runtime.name));
                    }
                }
            }
        }
        match Baselines::compile(&self.folder) {
            Ok(baselines) => self.baselines = Some(baselines),
            Err(reason) => {
                for row in self.options.among("bcdeg") {
                    self.report.skip(row, format!("the baselines in C: {reason}"));
                }
            }
        }
        Ok(())
    }

    /// A new folder in that of the bench.
    fn folder(&self, name: &str) -> Outcome<PathBuf> {
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }
}

/// A test's outcome as a bench's; what the test would be skipped for is given back.
fn passed<T>(result: TestResult<T>) -> Outcome<Result<T, String>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(Stop::Skip(reason)) => Ok(Err(reason)),
        Err(Stop::Fail(why)) => Err(why.into()),
    }
}

/// The same of what has to be there.
fn had<T>(result: TestResult<T>) -> Outcome<T> {
    Ok(passed(result)??)
}
