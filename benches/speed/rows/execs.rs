//! `nsprep exec`: what it costs to start, and what a program under it pays afterwards.

use std::fs;
use std::process::{Command, Stdio};

use crate::compare::{Way, compare};
use crate::cost::{Cost, of_processes, run};
use crate::report::{Group, Unit};
use crate::unpacked::Unpacked;
use crate::{Bench, Outcome};

/// The key that is read, and the file in its place.
const KEY: &str = "/proc/sys/vm/max_map_count";

/// In bash itself, without a process for each. Not by `read`, which may ask byte by byte: a sysctl gives its first byte and then ends.
const LOOP: &str =
    r#"for ((n = 0; n < $1; n++)); do mapfile -t value < "$2"; done; [ "$1" = 0 ] || [ "$value" = 65530 ]"#;

/// Measures the row.
///
/// # Errors
/// If something that is measured does not work.
pub fn measure(bench: &mut Bench) -> Outcome {
    let starts = starts(bench)?;
    let proot = match Unpacked::find("proot")? {
        Ok(program) => {
            bench.machine.program("proot", program.command().arg("--version"));
            Some(program)
        }
        Err(reason) => {
            bench.report.skip('f', format!("proot: {reason}"));
            None
        }
    };
    let reads = reads(bench, proot.as_ref())?;
    bench.report.groups.extend([starts, reads]);
    Ok(())
}

fn starts(bench: &Bench) -> Outcome<Group> {
    let table = bench.folder.join("lacking.toml");
    fs::write(&table, super::starts::TABLE)?;
    let table = table.display().to_string();
    let exec = |arguments: &[&str]| {
        let mut command = Command::new(&bench.nsprep);
        command.arg("exec").args(arguments).args(["--", "true"]);
        of_processes(|| run(command.stdin(Stdio::null())))
    };
    let ways = [
        Way::new("unshare -m true", || {
            of_processes(|| run(Command::new("unshare").args(["-m", "true"]).stdin(Stdio::null())))
        }),
        Way::new("nsprep exec, nothing lacking", || exec(&["--profile", "runc"])),
        Way::new("nsprep exec, 1 key lacking", || exec(&["--table", &table])),
        Way::new("nsprep exec, profile kubelet", || exec(&["--profile", "kubelet"])),
    ];
    compare('f', "`-- true`", Unit::Milli, &ways, bench.options.rounds(100))
}

fn reads(bench: &Bench, proot: Option<&Unpacked>) -> Outcome<Group> {
    let times = if bench.options.short { 500 } else { 10_000 };
    let value = bench.folder.join("value");
    fs::write(&value, "65530\n")?;
    let table = bench.folder.join("replaced.toml");
    fs::write(
        &table,
        "[keys]\n\"vm/max_map_count\" = { value = 65530, when = \"always\" }\n",
    )?;
    let mut ways = vec![
        Way::new("under nothing", || looped(times, || Command::new("bash"))),
        Way::new("under nsprep exec", || {
            looped(times, || {
                let mut command = Command::new(&bench.nsprep);
                command.args(["exec", "--table"]).arg(&table).args(["--", "bash"]);
                command
            })
        }),
    ];
    if let Some(proot) = proot {
        let (folder, bound) = (&bench.folder, format!("{}:{KEY}", value.display()));
        ways.push(Way::new("under proot -b (ptrace)", move || {
            looped(times, || {
                let mut command = proot.command();
                command
                    .env("PROOT_TMP_DIR", folder)
                    .arg("-b")
                    .arg(&bound)
                    .arg("bash");
                command
            })
        }));
    }
    let title = format!("{times} reads of a replaced key by a shell, without its start");
    compare('f', &title, Unit::Milli, &ways, bench.options.rounds(8))
}

/// What the reads take in the shell that `shell` runs, without what it takes to come to the first.
fn looped(times: usize, shell: impl Fn() -> Command) -> Outcome<Cost> {
    let once = |times: usize| {
        let mut command = shell();
        command.args(["-c", LOOP, "bash"]).arg(times.to_string()).arg(KEY);
        of_processes(|| run(command.stdin(Stdio::null())))
    };
    let start = once(0)?;
    Ok(once(times)? - start)
}
