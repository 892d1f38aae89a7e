//! A container beside the one that is prepared that interferes all the time: it traces what it finds in their pid namespace and
//! writes to its memory, or mounts over its own view of these processes and in volumes that both have.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::forms::{bundle, script};
use super::neighbour::{Neighbour, beside, peer};
use super::support::{
    Bed, Bundle, CRUN, MADE_UP, RUNTIMES, Runtime, Suite, TestResult, equal, fail, made_up_values,
    print_made_up,
};
use super::tracer::{CALLS, processes};

/// How often each form of a container is started beside who traces.
const STARTS: usize = 4;

/// The same beside who mounts. Without what refuses it, a mount of ours came to the volume about once in thirty starts.
const STARTS_OF_VOLUME: usize = 10;

/// What the processes of the hook are called, which is run from a sealed copy of it where it comes from outside.
const HOOK: &str = "runtime-bridge,memfd:procemu";

/// As long as a hook takes to build what it mounts.
const MOMENT: Duration = Duration::from_millis(2);

/// Prepares the neighbour, which runs this program in a role, and starts the bundle `b` in each form.
const BESIDE: &str = r#"
cp "$BRIDGE" program; mv program runtime-bridge; chmod 711 runtime-bridge; export BRIDGE="$BED/runtime-bridge"
mkdir -m 777 share
prepare
up rt peer
sed -i "s|/proc/SANDBOX/|/proc/$(cat peer.pid)/|" b/config.json
guard > whole
rt exec "$ID-peer" /self --play $ROLE > share.out 2>&1 & attacker=$!
wait_for share/begun
for round in $(seq $STARTS); do for form in createContainer prestart createRuntime; do try $form; done; done
touch share/over; wait $attacker || echo failed
echo "== neighbour"; cat share.out
echo "== whole"; guard | diff whole -
"#;

/// Adds the tests.
pub fn add(suite: &mut Suite) {
    for runtime in RUNTIMES {
        let name = runtime.name;
        let neighbours = [
            ("usual", Neighbour::Usual),
            ("privileged", Neighbour::Privileged),
            ("user", Neighbour::User),
        ];
        for (who, neighbour) in neighbours {
            suite.test(format!("interfere::trace::{who}::{name}"), move |bed| {
                let names = match neighbour {
                    // Who may trace it finds the runtime's process there as well.
                    Neighbour::Privileged => format!("{HOOK},{}", runtime.command()),
                    _ => HOOK.to_owned(),
                };
                trace_beside(bed, runtime, neighbour, &["looks", &names])
            });
        }
        suite.test(format!("interfere::write::{name}"), move |bed| {
            trace_beside(bed, runtime, Neighbour::Privileged, &["writes", HOOK])
        });
        suite.test(format!("interfere::mount::{name}"), move |bed| {
            mount_beside(bed, runtime)
        });
    }
}

/// The neighbour `peer`, in which this program runs, with the libraries that it needs.
fn player(bed: &Bed, neighbour: Neighbour) -> TestResult<Bundle> {
    let mut peer = peer(bed, neighbour)?.bind(&std::env::current_exe()?, "/self", &["bind", "ro"]);
    for libraries in ["/lib", "/lib64", "/usr/lib"].map(Path::new) {
        if libraries.exists() {
            peer = peer.bind(libraries, &libraries.to_string_lossy(), &["rbind", "ro"]);
        }
    }
    Ok(peer)
}

/// Runs [`BESIDE`]; gives what it printed of the starts, of the neighbour, and of what is not the container's.
fn play(bed: &Bed, runtime: Runtime, starts: usize, prepare: &str, role: &str) -> TestResult<[String; 3]> {
    let text = format!("prepare() {{\n:\n{prepare}\n}}\n{BESIDE}");
    let script = script(bed, runtime, &text)?.env("STARTS", starts.to_string());
    let output = script.env("ROLE", role).run()?;
    let said = output.stdout.split_once("== neighbour\n");
    match said.and_then(|(starts, rest)| Some((starts, rest.split_once("== whole\n")?))) {
        Some((starts, (neighbour, whole))) => Ok([starts, neighbour, whole].map(str::to_owned)),
        None => output.fail("the preparation failed"),
    }
}

/// Each start is right, which gives `printed`, or refused with a reason, or `forged`: with fewer keys. How many were right.
fn right(starts: &str, printed: &str, forged: bool) -> TestResult<usize> {
    let (mut right, mut all) = (0, 0);
    // Not in the middle of a line: a C library that finds its heap in disorder shows a line of its source.
    for start in format!("\n{starts}").split("\n== ").skip(1) {
        let start = format!("{}\n", start.trim_end());
        all += 1;
        if start.contains("/procemu:") {
            return fail(format!("mounted elsewhere: {start}"));
        }
        // What it mounts itself comes and goes.
        let lines = start
            .lines()
            .skip(2)
            .filter(|line| !line.starts_with("touched: "));
        let lines = |said: bool| {
            lines
                .clone()
                .filter(move |line| line.starts_with("said: ") == said)
        };
        let found = lines(false).collect::<Vec<_>>().join("\n");
        match start.contains("\nstatus 0\n") {
            true if found == printed => right += 1,
            true if forged
                && found
                    .lines()
                    .all(|line| printed.lines().any(|known| known == line)) => {}
            false if found.is_empty() && lines(true).next().is_some() => {}
            _ => return fail(format!("neither right nor refused: {start}")),
        }
    }
    println!("{right} of {all} starts right");
    Ok(right)
}

fn trace_beside(bed: &Bed, runtime: Runtime, neighbour: Neighbour, role: &[&str; 2]) -> TestResult {
    player(bed, neighbour)?.write()?;
    beside(bundle(bed)?, runtime, neighbour).write()?;
    let [manner, names] = role;
    let [starts, said, whole] = play(
        bed,
        runtime,
        STARTS,
        "",
        &format!("trace {manner} /share/over {names}"),
    )?;
    equal("outside", whole.as_str(), "")?;
    println!("{}", said.replace('\n', ", "));
    // Whoever has the hook's memory can have it do nothing, as without us.
    let forged = *manner == "writes";
    let right = right(&starts, &format!("{}\nend", made_up_values()), forged)?;
    let may = neighbour == Neighbour::Privileged;
    for call in CALLS {
        if said.contains(&format!("{call}: ")) != may {
            return fail(format!("{call}: {said}"));
        }
    }
    match said.contains("found: ") {
        false => fail("it found none of the processes"),
        true if !may => equal("right", right, 3 * STARTS),
        true => Ok(()),
    }
}

/// Keys that lie on the volume that the neighbour mounts in, in procfs and in sysfs.
const ON_VOLUME: [(&str, &str); 2] = [
    ("/sys/module/made_up_key", "{ value = 7 }"),
    ("/proc/slabinfo", r#"{ value = "7", when = "always" }"#),
];

fn mount_beside(bed: &Bed, runtime: Runtime) -> TestResult {
    let (volume, shared) = (bed.path("volume"), ["rbind", "rshared"]);
    // As for a volume with mountPropagation Bidirectional.
    let peer = player(bed, Neighbour::Privileged)?.shared_root();
    peer.bind(&volume, "/volume", &shared).write()?;
    let program = format!(
        "{}while read -r id parent device root point rest; do case $root in /procemu:*) case $point in
            /proc/sys|/proc/sys/*|/sys/module|/sys/module/*|/proc/slabinfo) ;; *) echo outside $point ;; esac ;; esac; done < /proc/self/mountinfo
        echo end",
        print_made_up()
    );
    let mut b = beside(Bundle::new(bed, "b", &program)?, runtime, Neighbour::Privileged)
        .shared_root()
        .bind(&volume, "/sys/module", &shared)
        .bind(&bed.path("volume/file"), "/proc/slabinfo", &shared);
    if runtime == CRUN {
        // runc lets nobody mount there.
        b = b.bind(&volume, "/proc/sys/fs", &shared);
    }
    b.write()?;
    let keys = MADE_UP.map(|(key, entry, _)| (key, entry));
    let table = bed.table("volume.toml", &[&keys[..], &ON_VOLUME].concat())?;
    bed.config(&table)?;
    let prepare = format!(
        "mkdir volume; mount -t tmpfs volume volume; mount --make-shared volume; mkdir volume/deep; : > volume/file
        printf 'state_dir = \"%s\"\\nprofiles = []\\ntables = [\"%s\"]\\n' \"$BED/bridge-state\" {} > \"$CONFIG\"",
        table.display()
    );
    let [starts, said, whole] = play(
        bed,
        runtime,
        STARTS_OF_VOLUME,
        &prepare,
        &format!("mount /share/over {HOOK}"),
    )?;
    equal("outside", whole.as_str(), "")?;
    println!("{}", said.replace('\n', ", "));
    right(&starts, &format!("{}\nend", made_up_values()), false).map(drop)
}

/// Mounts on its own view of the processes whose name begins with one of `names`, on what they look at, and in the volume, and takes all
/// of it off again, until the file `over` is there. Says how often.
///
/// # Errors
/// It may not.
pub fn mount_over(over: &Path, names: &str) -> io::Result<()> {
    let (mut volume, mut views) = (0, 0);
    fs::write(over.with_file_name("begun"), "")?;
    while !over.exists() {
        let folders = ["/volume/deep", "/volume"].map(Path::new);
        for folder in folders {
            tmpfs(folder)?;
            volume += 1;
        }
        // There when it is looked at, and gone when something is put on it, or the other way round.
        sleep(MOMENT);
        for folder in folders.iter().rev() {
            umount2(*folder, MntFlags::MNT_DETACH)?;
        }
        let file = Path::new("/volume/file");
        mount(
            Some("/self"),
            file,
            None::<&OsStr>,
            MsFlags::MS_BIND,
            None::<&OsStr>,
        )?;
        umount2(file, MntFlags::MNT_DETACH)?;
        for pid in processes(names)? {
            for view in [
                format!("/proc/{pid}"),
                "/proc/sys".to_owned(),
                "/proc/sys/kernel".to_owned(),
            ] {
                // It may have ended.
                if tmpfs(Path::new(&view)).is_ok() {
                    views += 1;
                    umount2(&*view, MntFlags::MNT_DETACH)?;
                }
            }
        }
        sleep(MOMENT);
    }
    println!("volume: {volume}\nviews: {views}");
    Ok(())
}

fn tmpfs(at: &Path) -> io::Result<()> {
    Ok(mount(
        Some("attack"),
        at,
        Some("tmpfs"),
        MsFlags::empty(),
        None::<&OsStr>,
    )?)
}
