//! Inside one process: what it costs to read a key, and to attach a table and take it off again.
//!
//! Each figure is taken twice: `cpu/` is CPU time of the thread, which other work on the machine does not move; `wall/`
//! has the waiting in it (the kernel waits for an RCU grace period when it takes mounts off).

mod support;

use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;

use criterion::measurement::{Measurement, WallTime};
use criterion::{BenchmarkGroup, Criterion};
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use procemu::{
    Attached, Entry, Filesystem, MountApi, Options, Placement, Plan, Probing, Result, Root, Snapshot,
    SysctlKey, Table, Templates, When, attach,
};
use support::cpu_time::CpuTime;
use support::place::{self, Mounted};

/// A procfs, and where on it things are attached.
struct Place {
    name: &'static str,
    proc: Root,
    placement: Placement,
}

fn main() -> ExitCode {
    if let Err(errno) = place::enter() {
        println!("skipped attach: needs root, to have a mount namespace of its own ({errno})");
        return ExitCode::SUCCESS;
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("attach: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let proc = procemu::private(procemu::Ids::Kept)?;
    let program = Place {
        name: "program",
        placement: Placement::Program { writes: true },
        proc,
    };
    let rootfs = Mounted::new("proc", "proc")?;
    let container = Place {
        name: "container",
        proc: Root::beneath(
            Filesystem::Proc,
            std::fs::File::open(rootfs.folder())?,
            rootfs.folder(),
        )?,
        placement: Placement::Container {
            read_only: vec!["sys".into()],
            masked: Vec::new(),
        },
    };
    let mut cpu = shortened(Criterion::default().with_measurement(CpuTime));
    reads(&mut cpu.benchmark_group("cpu/read"), &program)?;
    for place in [&container, &program] {
        attaches(&mut cpu.benchmark_group(format!("cpu/{}", place.name)), place)?;
    }
    let mut wall = shortened(Criterion::default().with_measurement(WallTime));
    reads(&mut wall.benchmark_group("wall/read"), &program)?;
    for place in [&container, &program] {
        attaches(&mut wall.benchmark_group(format!("wall/{}", place.name)), place)?;
    }
    cpu.final_summary();
    Ok(())
}

fn shortened<M: Measurement + 'static>(criterion: Criterion<M>) -> Criterion<M> {
    criterion
        .without_plots()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args()
}

/// open, read and close of one key, first the kernel's own on a procfs without anything over it, then ours.
fn reads<M: Measurement>(group: &mut BenchmarkGroup<'_, M>, place: &Place) -> Result<()> {
    let bare = Root::fresh_procfs()?;
    let mut table = Table::new();
    table.insert(key("kernel/made_up"), Entry::literal(40));
    table.insert(
        key("vm/max_map_count"),
        Entry::literal(65530).with_when(When::Always),
    );
    let attached = place.attach(&table, MountApi::Auto)?;
    for (name, proc, path) in [
        ("real", &bare, "sys/kernel/cap_last_cap"),
        ("emulated", &place.proc, "sys/kernel/made_up"),
        ("passed through", &place.proc, "sys/kernel/cap_last_cap"),
        ("real, other folder", &bare, "sys/vm/max_map_count"),
        ("replaced", &place.proc, "sys/vm/max_map_count"),
        ("real, namespaced", &bare, "sys/kernel/shmmni"),
        ("linked", &place.proc, "sys/kernel/shmmni"),
    ] {
        group.bench_function(name, |bencher| bencher.iter(|| read(proc, path)));
    }
    attached.detach()
}

fn attaches<M: Measurement>(group: &mut BenchmarkGroup<'_, M>, place: &Place) -> Result<()> {
    for count in [1, 100] {
        let mut table = Table::new();
        for number in 0..count {
            table.insert(key(&format!("kernel/made_up_{number}")), Entry::literal(7));
        }
        let keys = if count == 1 { "1 key" } else { "100 keys" };
        place.prepare(&table)?;
        group.bench_function(format!("{keys}, prepare"), |bencher| {
            bencher.iter(|| place.prepare(&table).expect("as just before"));
        });
        for (api, with) in [(MountApi::New, "new"), (MountApi::Classic, "classic")] {
            let whole = || place.attach(&table, api)?.detach();
            match whole() {
                Err(error) if api == MountApi::New => {
                    println!("skipped {keys}, attach and detach, {with}: {}", error.line());
                    continue;
                }
                tried => tried?,
            }
            group.bench_function(format!("{keys}, attach and detach, {with}"), |bencher| {
                bencher.iter(|| whole().expect("as just before"));
            });
        }
        from_template(group, place, &table, keys)?;
    }
    Ok(())
}

/// The same from a template, which the first attach builds.
fn from_template<M: Measurement>(
    group: &mut BenchmarkGroup<'_, M>,
    place: &Place,
    table: &Table,
    keys: &str,
) -> Result<()> {
    let folder = std::env::temp_dir().join(format!("procemu-bench-templates-{}", std::process::id()));
    let options = Options {
        templates: Some(Templates::of(std::process::id(), &folder)?),
        ..Options::default()
    };
    let whole = || {
        let (plan, snapshot) = place.prepare(table)?;
        attach(&place.proc, &plan, &snapshot, &options)?.detach()
    };
    whole()?;
    group.bench_function(format!("{keys}, attach and detach, template"), |bencher| {
        bencher.iter(|| whole().expect("as just before"));
    });
    Templates::clear(&folder)
}

impl Place {
    /// Observe, plan, compile.
    fn prepare(&self, table: &Table) -> Result<(Plan, Snapshot)> {
        let seen = self.proc.observe(table, Probing::Open)?;
        let plan = Plan::new(table, &seen, &self.placement)?;
        let snapshot = Snapshot::compile(&plan, table, None)?;
        Ok((plan, snapshot))
    }

    fn attach(&self, table: &Table, api: MountApi) -> Result<Attached> {
        let (plan, snapshot) = self.prepare(table)?;
        let options = Options {
            spare: matches!(self.placement, Placement::Program { writes: true }),
            api,
            ..Options::default()
        };
        attach(&self.proc, &plan, &snapshot, &options)
    }
}

/// As a program does it, but from the procfs's root: the way there is not what is compared.
fn read(proc: &Root, path: &str) -> usize {
    let file = openat(proc.handle().as_fd(), path, OFlag::O_RDONLY, Mode::empty()).expect("the key is there");
    nix::unistd::read(&file, &mut [0; 128]).expect("it can be read")
}

fn key(path: &str) -> SysctlKey {
    path.parse().expect("written as a key")
}
