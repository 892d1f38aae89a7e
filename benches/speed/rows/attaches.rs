//! Attaching to a container's `/proc/sys/kernel` and taking it off, each by every way there is, and the same in C.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::time::{ClockId, clock_gettime};
use procemu::{
    Entry, Filesystem, MountApi, Options, Placement, Plan, Probing, Root, Snapshot, SysctlKey, Table,
    Templates, attach,
};

use super::baseline_template::Template;
use crate::compare::{Way, compare_parts};
use crate::cost::Cost;
use crate::helper::Helper;
use crate::report::Unit;
use crate::{Bench, Outcome};

/// Keys, and the folders that they are in: `/proc/sys/kernel`, or new ones below it.
const SIZES: [(usize, usize); 9] = [
    (1, 1),
    (10, 1),
    (100, 1),
    (1000, 1),
    (10, 10),
    (100, 10),
    (1000, 10),
    (100, 100),
    (1000, 100),
];

/// Mounting alone.
pub const ATTACH: &str = "attach";

/// What a container pays.
pub const ALL: &str = "look, plan, compile and attach";

/// Measures the row.
///
/// # Errors
/// If something that is measured does not work.
pub fn measure(bench: &mut Bench) -> Outcome {
    let place = Place::new(&bench.folder("rootfs")?)?;
    let (template, bind_loop) = match &bench.baselines {
        Some(baselines) => {
            let mut bind_loop = Command::new(baselines.path("bind_loop"));
            bind_loop.arg(bench.folder("bind_loop.scratch")?);
            let template = Template::start(bench, baselines)?;
            (Some(template), Some(Helper::start(&mut bind_loop)?))
        }
        None => (None, None),
    };
    let tables = SIZES.map(|(keys, folders)| made_up(keys, folders));
    let tables: Vec<Table> = tables.into_iter().collect::<Outcome<_>>()?;
    let in_c = [
        (
            "template in C",
            template.as_ref().map(|template| &template.helper),
        ),
        ("bind loop in C", bind_loop.as_ref()),
    ];
    let in_c = in_c
        .into_iter()
        .filter_map(|(name, helper)| Some((name, helper?)));
    let mut ways: Vec<Way<'_>> = in_c
        .map(|(name, helper)| {
            Way::in_parts(format!("1 key, {name}"), move || helper.costs("attach")).after(settled)
        })
        .collect();
    let mut refused = None;
    for ((keys, folders), table) in SIZES.into_iter().zip(&tables) {
        let size = match (keys, folders) {
            (1, _) => "1 key".to_owned(),
            (_, 1) => format!("{keys} keys"),
            _ => format!("{keys} keys in {folders} folders"),
        };
        for (name, options) in place.options()? {
            match place.parts(table, &options) {
                Err(error) if options.api == MountApi::New => refused = Some(format!("{name}: {error}")),
                tried => {
                    tried?;
                    let place = &place;
                    let way = move || place.parts(table, &options);
                    ways.push(Way::in_parts(format!("{size}, {name}"), way).after(settled));
                }
            }
        }
    }
    let titles = [ATTACH, "detach", "look, plan and compile", ALL].map(str::to_owned);
    let rounds = bench.options.rounds(40);
    let groups = compare_parts('b', &titles, Unit::Micro, &ways, rounds)?;
    bench.report.groups.extend(groups);
    if let Some(reason) = refused {
        bench.report.skip('b', reason);
    }
    Ok(())
}

/// Waits until the kernel has freed what was taken off before, which it does later (RCU) and on whoever's time: thousands of mounts, after
/// some ways.
fn settled() -> Outcome {
    sleep(Duration::from_millis(20));
    Ok(())
}

/// Keys that no kernel has.
fn made_up(keys: usize, folders: usize) -> Outcome<Table> {
    let mut table = Table::new();
    for number in 0..keys {
        let path = match folders {
            1 => format!("kernel/made_up_{number}"),
            _ => format!("kernel/made_up_{}/key_{number}", number % folders),
        };
        table.insert(path.parse::<SysctlKey>()?, Entry::literal(7));
    }
    Ok(table)
}

/// A procfs as in a container.
struct Place {
    proc: Root,
    placement: Placement,
    rootfs: PathBuf,
    templates: PathBuf,
}

/// What later rows see is what was there before.
impl Drop for Place {
    fn drop(&mut self) {
        let _ = Templates::clear(&self.templates);
        let _ = umount2(&self.rootfs.join("proc"), MntFlags::MNT_DETACH);
    }
}

impl Place {
    fn new(rootfs: &Path) -> Outcome<Self> {
        let at = rootfs.join("proc");
        fs::create_dir_all(&at)?;
        mount(Some("proc"), &at, Some("proc"), MsFlags::empty(), None::<&str>)?;
        Ok(Self {
            proc: Root::beneath(Filesystem::Proc, File::open(rootfs)?, rootfs)?,
            placement: Placement::Container {
                read_only: vec!["sys".into()],
                masked: Vec::new(),
            },
            templates: rootfs.with_extension("templates"),
            rootfs: rootfs.to_owned(),
        })
    }

    /// The ways that there are. A template is built by the first attach that it is right for, or the second.
    fn options(&self) -> Outcome<[(&'static str, Options); 3]> {
        let by = |api| Options {
            api,
            ..Options::default()
        };
        let template = Options {
            templates: Some(Templates::of(std::process::id(), &self.templates)?),
            ..Options::default()
        };
        Ok([
            ("template", template),
            ("new", by(MountApi::New)),
            ("classic", by(MountApi::Classic)),
        ])
    }

    /// The costs of attach, detach, what comes before, and both that and attach.
    fn parts(&self, table: &Table, options: &Options) -> Outcome<Vec<Cost>> {
        let (prepare, (plan, snapshot)) = measured(|| {
            let seen = self.proc.observe(table, Probing::Open)?;
            let plan = Plan::new(table, &seen, &self.placement)?;
            let snapshot = Snapshot::compile(&plan, table, None)?;
            Ok((plan, snapshot))
        })?;
        let (attach, attached) = measured(|| attach(&self.proc, &plan, &snapshot, options))?;
        let (detach, ()) = measured(|| attached.detach())?;
        Ok(vec![attach, detach, prepare, prepare + attach])
    }
}

fn measured<T>(work: impl FnOnce() -> procemu::Result<T>) -> Outcome<(Cost, T)> {
    let cpu = || clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map(Duration::from);
    let (before, start) = (cpu()?, Instant::now());
    let done = work()?;
    let wall = start.elapsed().as_secs_f64();
    let cpu = (cpu()? - before).as_secs_f64();
    Ok((Cost { cpu, wall }, done))
}
