//! A `proc` that is a folder at one moment and a link at the next, exchanged by a process of another mount namespace, as another
//! container can be that shares the image's folder. (In the container's own it is a mountpoint, and stays.)

use std::fs::{self, File};
use std::io;
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use procemu::{Options, Placement, Probing, Roots, Table};

use super::forms::{bundle, script};
use super::steps::{Attack, run};
use super::support::{
    Bed, RUNC_1_1, RUNC_1_5, RUNTIMES, Runtime, Suite, TestResult, equal, fail, made_up_values, need,
};
use super::swap::Swapper;
use super::table::Mounts;

/// Few entries lie beside these: to stop at each call is to run as often as there are calls.
const KEYS: [(&str, &str); 2] = [
    ("user/made_up", "{ value = 7 }"),
    ("vm/swappiness", r#"{ value = 7, when = "always" }"#),
];

/// As often as both have to have happened: the attach found the folder, and it found the link.
const ROUNDS: u32 = 700;

/// How often each runtime starts a container in each form.
const STARTS: u32 = 10;

/// Where the folder is, and the link that it is exchanged for.
const FOLDER: &str = "b/rootfs/proc";
const LINK: &str = "b/rootfs/link";

/// Adds the tests.
pub fn add(suite: &mut Suite) {
    for (target, name) in TARGETS {
        suite.test(format!("race::rounds::{name}"), move |bed| rounds(bed, target));
    }
    suite.test("race::each_call", |bed| each_call(bed, TARGETS[0].0));
    for runtime in RUNTIMES {
        suite.test(format!("race::starts::{}", runtime.name), move |bed| {
            starts(bed, runtime)
        });
    }
}

/// What the link leads to: the procfs of another container, the host's, and no procfs at all.
const TARGETS: [(&str, &str); 3] = [("../../victim/proc", "peer"), ("/proc", "host"), ("/", "root")];

/// A bundle whose hook is called with `state.json` in a mount namespace where its procfs is mounted; [`LINK`] leads to `target`.
fn prepared(bed: &Bed, target: &str, text: &str) -> TestResult<String> {
    bundle(bed)?.write()?;
    let table = bed.table("few.toml", &KEYS)?;
    let config = bed.config(&table)?;
    let state =
        serde_json::json!({"ociVersion": "1.0.2", "id": "x", "status": "creating", "bundle": bed.path("b")});
    bed.file("state.json", state.to_string())?;
    let runtime = RUNC_1_1.path().or_else(|_| RUNC_1_5.path())?;
    let text = format!(
        "mkdir -p victim/proc; ln -s {target} {LINK}\n\
        \"$BRIDGE\" rewrite --runtime {} --config \"$CONFIG\" \"$BED/b\" > /dev/null\n\
        cat /proc/self/mountinfo > before\n{text}\ndiff before /proc/self/mountinfo",
        runtime.display()
    );
    let script = bed.script(&text)?.env("CONFIG", config).env("TABLE", table);
    script.env("SELF", std::env::current_exe()?).succeed()
}

/// At each system call of the hook.
fn each_call(bed: &Bed, target: &str) -> TestResult {
    if !cfg!(target_arch = "x86_64") {
        return need::skip("needs x86_64, whose registers it changes");
    }
    let said = prepared(
        bed,
        target,
        r#""$SELF" --play steps 'mount -t proc proc b/rootfs/proc; mount -t proc proc victim/proc
            mount --make-shared b/rootfs/proc; kill -STOP $$; exec "$BRIDGE" hook < state.json'"#,
    )?;
    println!("{target}: {said}");
    Ok(())
}

/// Runs the hook as often as it makes calls, and more.
///
/// # Errors
/// It did anything else than all or nothing, in the right place.
pub fn play_steps(script: &str) -> io::Result<()> {
    let (folder, link) = (Path::new(FOLDER), Path::new(LINK));
    let point = std::env::current_dir()?.join(folder);
    let point = point.to_string_lossy();
    let run = |attack| run(script, folder, link, &point, attack);
    let (mut right, mut refused, mut undone) = (0, 0, 0);
    let none = Attack {
        at: u64::MAX,
        back: false,
        fails: false,
    };
    let whole = run(none)?;
    if !whole.done || whole.mounts == 0 {
        return Err(io::Error::other("without an attack nothing is mounted"));
    }
    for at in 0..whole.calls {
        for (back, fails) in [(false, false), (true, false), (false, true)] {
            let attack = Attack { at, back, fails };
            let ended = run(attack)?;
            let count = match (ended.done, ended.mounts) {
                (true, mounts) if mounts == whole.mounts && !fails => &mut right,
                (false, 0) if fails => &mut undone,
                (false, 0) => &mut refused,
                (done, mounts) => {
                    return Err(io::Error::other(format!(
                        "{attack:?}: done {done}, {mounts} mounts"
                    )));
                }
            };
            *count += 1;
        }
    }
    println!(
        "{} calls: {right} times right, {refused} refused, {undone} undone",
        whole.calls
    );
    if right == 0 || refused == 0 {
        return Err(io::Error::other("one of them has to have happened"));
    }
    Ok(())
}

/// At any moment, thousands of times.
fn rounds(bed: &Bed, target: &str) -> TestResult {
    let said = prepared(bed, target, r#""$SELF" --play rounds "$TABLE""#)?;
    println!("{target}: {said}");
    Ok(())
}

/// Attaches and detaches until it was right and refused often enough.
///
/// # Errors
/// It did anything else than all or nothing, in the right place.
pub fn play_rounds(table: &Path) -> io::Result<()> {
    let other = |error: procemu::Error| io::Error::other(error.line());
    let table = Table::from_toml(&fs::read_to_string(table)?, "few.toml").map_err(io::Error::other)?;
    let (folder, link) = (Path::new(FOLDER), Path::new(LINK));
    let swapper = Swapper::start(folder, link)?;
    unshare(CloneFlags::CLONE_NEWNS)?;
    let mounted = |point: &Path| {
        mount(Some("proc"), point, Some("proc"), MsFlags::empty(), None::<&str>).map_err(io::Error::from)
    };
    mounted(Path::new("victim/proc"))?;
    // On the folder, whatever it is called at the moment: held before it is mounted on.
    let place = loop {
        use std::os::unix::fs::OpenOptionsExt;
        let mut options = fs::OpenOptions::new();
        let flags = nix::libc::O_PATH | nix::libc::O_DIRECTORY | nix::libc::O_NOFOLLOW;
        match options.read(true).custom_flags(flags).open(folder) {
            Ok(place) => break place,
            Err(_) => continue,
        }
    };
    let by_handle = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&place));
    let bare = Mounts::of("self")?;
    mounted(Path::new(&by_handle))?;
    let before = Mounts::of("self")?;
    let on = before
        .one_more_than(&bare)
        .ok_or_else(|| io::Error::other("no procfs there"))?;
    let rootfs = File::open("b/rootfs")?;
    let host = Roots::open();
    let (mut right, mut refused) = (0, 0);
    while right < ROUNDS || refused < ROUNDS {
        let roots = Roots::beneath(&rootfs, "b/rootfs");
        let placement = Placement::Container {
            read_only: Vec::new(),
            masked: Vec::new(),
        };
        let attached = roots
            .plan(&table, Probing::Open, |_| Ok(placement.clone()))
            .and_then(|plans| {
                let snapshots = plans.compile(&table, Some(&host))?;
                roots.attach(&plans, &snapshots, &Options::default())
            });
        let ours = Mounts::of("self")?.ours(&before, on).map_err(io::Error::other)?;
        match attached {
            Ok(attached) if ours == 2 => {
                right += 1;
                attached.detach().map_err(other)?;
            }
            Err(_) if ours == 0 => refused += 1,
            Ok(_) => return Err(io::Error::other(format!("attached, and there are {ours} mounts"))),
            Err(error) => {
                return Err(io::Error::other(format!(
                    "{}, and there are {ours} mounts",
                    error.line()
                )));
            }
        }
        Mounts::of("self")?.ours(&before, on).map_err(io::Error::other)?;
    }
    swapper.end()?;
    println!("{right} times right, {refused} refused");
    Ok(())
}

/// Whole containers, whose runtimes take part in the race, in each form. Each is right, or did not start, or started with a link at
/// `/proc`, put there after all was done. What it sees of ours lies on its procfs by either name.
fn starts(bed: &Bed, runtime: Runtime) -> TestResult {
    bundle(bed)?.write()?;
    let text = format!(
        r#"mkdir victim; ln -s ../victim {LINK}
        play swap {FOLDER} {LINK} stop 5000
        for round in $(seq {STARTS}); do for form in createContainer prestart createRuntime; do try $form; done; done
        touch stop; wait; cat swap.out"#
    );
    let output = script(bed, runtime, &text)?.succeed()?;
    let (mut right, mut other) = (0, 0);
    let whole = format!("{}\nend", made_up_values());
    for section in output.split("== ").skip(1) {
        if section.contains("touched: ") || section.contains("outside ") {
            return fail(format!("something is not where it should be: {section}"));
        }
        let printed = section
            .lines()
            .skip(2)
            .take_while(|line| !line.starts_with("said: "));
        let printed = printed.collect::<Vec<_>>().join("\n");
        match section.contains("status 0") && printed.starts_with(&whole) {
            true => right += 1,
            false => other += 1,
        }
    }
    println!(
        "{}: {right} of {} starts right; {}",
        runtime.name,
        right + other,
        output.lines().last().unwrap_or_default()
    );
    equal("starts", right + other, 3 * STARTS)
}
