//! What one read of a key takes, in as many threads as read at the same time.
//!
//! Each kind of key is read by the path that programs use, in a mount namespace where it is of that kind. CPU time is that of the readers,
//! and of the daemon where there is one.

mod lxcfs;

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::symlink;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use nix::mount::MsFlags;
use nix::sched::{CloneFlags, setns, unshare};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use procemu::{Attached, Entry, Options, Placement, Plan, Probing, Snapshot, SysctlKey, Table, When};

use crate::compare::{Way, compare};
use crate::cost::Cost;
use crate::report::Unit;
use crate::unpacked::Unpacked;
use crate::{Bench, Outcome};
use lxcfs::Lxcfs;

/// A key, where it is read.
struct Key<'a> {
    name: &'static str,
    path: &'static str,
    /// The mount namespace.
    place: &'a File,
    /// Who serves it, if a process does.
    daemon: Option<Pid>,
    /// How often one thread reads it in a round.
    times: u32,
}

/// Measures the row.
///
/// # Errors
/// If something that is measured does not work.
pub fn measure(bench: &mut Bench) -> Outcome {
    let bare = namespace()?;
    let lxcfs = match lxcfs(bench)? {
        Ok(lxcfs) => Some(lxcfs),
        Err(reason) => {
            bench.report.skip('a', format!("lxcfs: {reason}"));
            None
        }
    };
    let fuse = namespace()?;
    setns(bare.as_fd(), CloneFlags::CLONE_NEWNS)?;
    mount_by_hand()?;
    let by_hand = namespace()?;
    setns(bare.as_fd(), CloneFlags::CLONE_NEWNS)?;
    let attached = attach()?;
    let ours = namespace()?;
    let times = if bench.options.short { 50 } else { 1000 };
    let key = |name, path, place| Key {
        name,
        path,
        place,
        daemon: None,
        times,
    };
    let mut keys = vec![
        key("real", "/proc/sys/kernel/cap_last_cap", &bare),
        key("emulated", "/proc/sys/kernel/made_up", &ours),
        key("a tmpfs mounted by hand", "/proc/sys/kernel/made_up", &by_hand),
        key("passed through by bind", "/proc/sys/kernel/cap_last_cap", &ours),
        key("real, other folder", "/proc/sys/vm/max_map_count", &bare),
        key("replaced", "/proc/sys/vm/max_map_count", &ours),
        key("real, namespaced", "/proc/sys/kernel/shmmni", &bare),
        key("passed through by link", "/proc/sys/kernel/shmmni", &ours),
        key("a link made by hand", "/proc/sys/kernel/shmmni", &by_hand),
        key("/proc/uptime", "/proc/uptime", &bare),
    ];
    if let Some(lxcfs) = &lxcfs {
        keys.push(Key {
            daemon: Some(lxcfs.pid()),
            times: times / 10,
            ..key("/proc/uptime by lxcfs", "/proc/uptime", &fuse)
        });
    }
    for threads in [1, 2, 8] {
        let ways = keys
            .iter()
            .map(|key| Way::new(key.name, move || reads(key, threads)));
        let ways: Vec<Way<'_>> = ways.collect();
        let title = match threads {
            1 => "1 thread".to_owned(),
            many => format!("{many} threads"),
        };
        let rounds = bench.options.rounds(60);
        let group = compare('a', &title, Unit::Micro, &ways, rounds)?;
        bench.report.groups.push(group);
    }
    attached.detach()?;
    setns(bare.as_fd(), CloneFlags::CLONE_NEWNS)?;
    Ok(())
}

fn lxcfs(bench: &mut Bench) -> Outcome<Result<Lxcfs, String>> {
    let program = match Unpacked::find("lxcfs")? {
        Ok(program) => program,
        Err(reason) => return Ok(Err(reason)),
    };
    bench.machine.program("lxcfs", program.command().arg("--version"));
    Lxcfs::start(&program, &bench.folder("lxcfs")?)
}

/// The mount namespace of this process, which has one thread.
fn namespace() -> Outcome<File> {
    Ok(File::open("/proc/self/ns/mnt")?)
}

/// In a namespace of its own, the least that the kernel needs for either: a file of a tmpfs over the folder, and a link there that leads
/// to an original in the folder below, which is bound beside it.
fn mount_by_hand() -> Outcome {
    const FOLDER: &str = "/proc/sys/kernel";
    let mount = |source: Option<&str>, target: &str, kind: Option<&str>, flags| {
        nix::mount::mount(source, target, kind, flags, None::<&str>)
            .map_err(|e| format!("mount({target}): {e}"))
    };
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(None, "/", None, MsFlags::MS_REC | MsFlags::MS_PRIVATE)?;
    let below = File::open(FOLDER)?;
    mount(Some("by-hand"), FOLDER, Some("tmpfs"), MsFlags::empty())?;
    std::fs::write(format!("{FOLDER}/made_up"), "40\n")?;
    let covered = format!("{FOLDER}/covered");
    std::fs::create_dir(&covered)?;
    let below = format!("/proc/self/fd/{}", below.as_raw_fd());
    mount(Some(&below), &covered, None, MsFlags::MS_BIND)?;
    Ok(symlink("covered/shmmni", format!("{FOLDER}/shmmni"))?)
}

/// Around this process, as `nsprep exec` does it around a program.
fn attach() -> Outcome<Attached> {
    let proc = procemu::private(procemu::Ids::Kept)?;
    let mut table = Table::new();
    let key = |path: &str| path.parse::<SysctlKey>();
    table.insert(key("kernel/made_up")?, Entry::literal(40));
    table.insert(
        key("vm/max_map_count")?,
        Entry::literal(65530).with_when(When::Always),
    );
    let seen = proc.observe(&table, Probing::Open)?;
    let plan = Plan::new(&table, &seen, &Placement::Program { writes: true })?;
    let snapshot = Snapshot::compile(&plan, &table, None)?;
    let options = Options {
        spare: true,
        ..Options::default()
    };
    Ok(procemu::attach(&proc, &plan, &snapshot, &options)?)
}

/// What one read takes on average where `threads` read at once.
fn reads(key: &Key<'_>, threads: usize) -> Outcome<Cost> {
    let together = Barrier::new(threads);
    let daemon = || key.daemon.map_or(Ok(Duration::ZERO), cpu_of);
    let before = daemon()?;
    let costs: Vec<Cost> = std::thread::scope(|scope| {
        let readers = (0..threads).map(|_| scope.spawn(|| reader(key, &together)));
        let readers: Vec<_> = readers.collect();
        let ended = readers.into_iter().map(|reader| match reader.join() {
            Ok(cost) => cost,
            Err(_) => Err("a reader panicked".to_owned()),
        });
        ended.collect::<Result<_, _>>()
    })?;
    let served = (daemon()? - before).as_secs_f64();
    let sum = costs.into_iter().fold(Cost::default(), |sum, cost| sum + cost);
    let reads = f64::from(key.times) * threads as f64;
    Ok(Cost {
        cpu: (sum.cpu + served) / reads,
        wall: sum.wall / reads,
    })
}

fn reader(key: &Key<'_>, together: &Barrier) -> Result<Cost, String> {
    // Before the barrier, which every thread has to come to.
    let entered = unshare(CloneFlags::CLONE_FS)
        .and_then(|()| setns(key.place.as_fd(), CloneFlags::CLONE_NEWNS))
        .map_err(|e| format!("setns: {e}"));
    let first = read(key.path);
    together.wait();
    entered?;
    first?;
    let (cpu, wall) = (cpu_of_thread()?, Instant::now());
    for _ in 0..key.times {
        read(key.path)?;
    }
    Ok(Cost {
        wall: wall.elapsed().as_secs_f64(),
        cpu: (cpu_of_thread()? - cpu).as_secs_f64(),
    })
}

fn read(path: &str) -> Result<usize, String> {
    let file = File::open(path);
    let size = file.and_then(|mut file| file.read(&mut [0; 128]));
    size.map_err(|e| format!("read({path}): {e}"))
}

fn cpu_of_thread() -> Result<Duration, String> {
    let now = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID);
    now.map(Duration::from).map_err(|e| format!("clock_gettime: {e}"))
}

fn cpu_of(process: Pid) -> nix::Result<Duration> {
    Ok(ClockId::pid_cpu_clock_id(process)?.now()?.into())
}
