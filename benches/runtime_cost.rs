//! Whole processes: what the wrapper, the hook and `nsprep exec` add to what they are put around.
//!
//! `--rounds N` (40) runs each way N times in turn with the others; any other word runs only the comparisons with it in
//! their title.

mod support;
#[path = "../tests/support/mod.rs"]
mod tests_support;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use nix::mount::{MntFlags, umount2};
use serde_json::json;
use support::cost::{Outcome, Way, compare, reap, run};
use support::place::{self, Mounted};
use tests_support::{Bed, Bundle, RUNTIMES, Runtime, Stop, TestResult};

/// How a runtime is called.
#[derive(Clone, Copy, PartialEq)]
enum Through {
    /// By itself.
    Nothing,
    /// By itself, with a hook in the bundle that does nothing: what any hook costs.
    IdleHook,
    /// By the wrapper, with a table of which the container lacks nothing.
    WrapperAlone,
    /// By the wrapper, with a key that the runtime's `/proc` and the container's lack: a mount namespace with an attach
    /// around the runtime, and the hook in the container.
    WrapperAndHook,
}

impl Through {
    const ALL: [(Self, &str); 4] = [
        (Self::Nothing, "bare"),
        (Self::IdleHook, "bare, hook that does nothing"),
        (Self::WrapperAlone, "wrapped, nothing lacking"),
        (Self::WrapperAndHook, "wrapped, 1 key lacking"),
    ];
}

struct Options {
    rounds: usize,
    filters: Vec<String>,
}

fn main() -> ExitCode {
    match options().and_then(|options| all(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("runtimes: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Outcome<Options> {
    // `cargo bench` gives `--bench`; without it this is a test that only has to work.
    let bench = std::env::args().any(|arg| arg == "--bench");
    let mut options = Options {
        rounds: if bench { 40 } else { 1 },
        filters: Vec::new(),
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--bench" | "--test" => {}
            "--rounds" => options.rounds = args.next().unwrap_or_default().parse()?,
            word => options.filters.push(word.to_owned()),
        }
    }
    Ok(options)
}

fn all(options: &Options) -> Outcome {
    if let Err(errno) = place::enter() {
        println!("skipped runtimes: needs root, to have a mount namespace of its own ({errno})");
        return Ok(());
    }
    // What a runtime leaves behind comes to us, and so does what it cost.
    nix::sys::prctl::set_child_subreaper(true)?;
    hide_unified();
    let wanted = |title: &str| {
        options.filters.is_empty() || options.filters.iter().any(|word| title.contains(word.as_str()))
    };
    if wanted("exec") {
        programs(options.rounds)?;
    }
    for runtime in RUNTIMES {
        let path = match runtime.path() {
            Ok(path) => path,
            Err(Stop::Skip(reason)) => {
                println!("\nskipped {}: {reason}", runtime.name);
                continue;
            }
            Err(error) => return Err(format!("{error:?}").into()),
        };
        let stand = ok(Stand::new(&runtime, path))?;
        for (what, compare) in [
            ("run", Stand::runs as fn(&Stand, &str, usize) -> Outcome),
            ("create + start", Stand::starts),
            ("create + start + delete", Stand::lives),
            ("state", Stand::states),
        ] {
            let title = format!("{} {what}", runtime.name);
            if wanted(&title) {
                compare(&stand, &title, options.rounds)?;
            }
        }
    }
    Ok(())
}

/// crun 1.8 takes a mixed cgroup v1 and v2 machine for one it cannot handle. Unmounted in this namespace alone.
fn hide_unified() {
    // Not mounted: nothing to hide.
    let _ = umount2("/sys/fs/cgroup/unified", MntFlags::MNT_DETACH);
}

fn programs(rounds: usize) -> Outcome {
    let scratch = Mounted::new("tmpfs", "t")?;
    let table = scratch.path("t/lacking.toml");
    fs::write(&table, "[keys]\n\"kernel/made_up\" = { value = 7 }\n")?;
    let nsprep = ok(tests_support::nsprep())?;
    let exec = |arguments: &[&str]| {
        let mut command = Command::new(&nsprep);
        command.arg("exec").args(arguments).args(["--", "true"]);
        run(&mut command)
    };
    let table = table.display().to_string();
    let ways = [
        Way::new("unshare -m true", || {
            run(Command::new("unshare").args(["-m", "true"]))
        }),
        Way::new("nsprep exec, nothing lacking", || exec(&["--profile", "runc"])),
        Way::new("nsprep exec, 1 key lacking", || exec(&["--table", &table])),
        Way::new("nsprep exec, profile kubelet", || exec(&["--profile", "kubelet"])),
    ];
    compare("nsprep exec -- true", &ways, rounds)
}

/// A runtime with a bundle, on a tmpfs as the bundles of engines are.
struct Stand {
    runtime: PathBuf,
    bridge: PathBuf,
    bundle: PathBuf,
    /// config.json as an engine would write it, plain and with the idle hook.
    plain: String,
    idle: String,
    id: String,
    scratch: Mounted,
    _bed: Bed,
}

impl Stand {
    fn new(runtime: &Runtime, path: PathBuf) -> TestResult<Self> {
        let bed = Bed::new()?;
        let mut bundle = Bundle::new(&bed, "b", "true")?;
        bundle.config["process"]["args"] = json!(["true"]);
        let mut idle = bundle.config.clone();
        let busybox = tests_support::need::command("busybox")?;
        // It reads what it is sent: crun takes a hook that is gone before that for a failed one.
        idle["hooks"]["createContainer"] = json!([{"path": busybox, "args": ["cat"]}]);
        let plain = bundle.config.to_string();
        let source = bundle.write()?;
        let scratch = Mounted::new("tmpfs", "t")?;
        let folder = scratch.path("t");
        let mut copy = Command::new("cp");
        copy.arg("-a").arg(&source).arg(&folder);
        run(&mut copy).map_err(|e| Stop::Fail(e.to_string()))?;
        for (name, key) in [("lacking", "kernel/made_up"), ("same", "kernel/ostype")] {
            let table = folder.join(format!("{name}.table.toml"));
            fs::write(&table, format!("[keys]\n{key:?} = {{ value = 7 }}\n"))?;
            let state = folder.join("bridge-state");
            let config = format!("profiles = []\ntables = [{table:?}]\nstate_dir = {state:?}\n");
            fs::write(folder.join(format!("{name}.toml")), config)?;
        }
        Ok(Self {
            runtime: path,
            bridge: tests_support::runtime_bridge()?,
            bundle: folder.join("b"),
            plain,
            idle: idle.to_string(),
            id: format!("{}-{}", bed.id(), runtime.name),
            scratch,
            _bed: bed,
        })
    }

    fn command(&self, through: Through) -> Command {
        let path = |name: &str| self.scratch.path("t").join(name);
        let mut command = match through {
            Through::Nothing | Through::IdleHook => Command::new(&self.runtime),
            Through::WrapperAlone | Through::WrapperAndHook => {
                let config = if through == Through::WrapperAlone {
                    "same.toml"
                } else {
                    "lacking.toml"
                };
                let mut command = Command::new(&self.bridge);
                command.arg("runtime").arg("--exec").arg(&self.runtime);
                command.arg("--config").arg(path(config)).arg("--");
                command
            }
        };
        command.arg("--root").arg(path("state"));
        command
    }

    fn call(&self, through: Through, arguments: &[&str]) -> Outcome {
        run(self.command(through).args(arguments).arg(&self.id))
    }

    fn start(&self, through: Through) -> Outcome {
        let mut command = self.command(through);
        command
            .args(["create", "--no-new-keyring", "--bundle"])
            .arg(&self.bundle);
        run(command.arg(&self.id))?;
        self.call(through, &["start"])
    }

    /// The engine's config.json: every container has a new one.
    fn config(&self, through: Through) -> Outcome {
        let text = if through == Through::IdleHook {
            &self.idle
        } else {
            &self.plain
        };
        let path = self.bundle.join("config.json");
        // Not over the old one, which the wrapper may have replaced by another file.
        let _ = fs::remove_file(&path);
        Ok(fs::write(path, text)?)
    }

    fn runs(&self, title: &str, rounds: usize) -> Outcome {
        let ways = Through::ALL.map(|(through, name)| Way {
            prepare: Box::new(move || self.config(through)),
            ..Way::new(name, move || {
                let mut command = self.command(through);
                command
                    .args(["run", "--no-new-keyring", "--bundle"])
                    .arg(&self.bundle);
                run(command.arg(&self.id))
            })
        });
        compare(title, &ways, rounds)
    }

    /// What the target is about. The container's process has ended before its costs are counted, and it is deleted.
    fn starts(&self, title: &str, rounds: usize) -> Outcome {
        let ways = Through::ALL.map(|(through, name)| Way {
            prepare: Box::new(move || self.config(through)),
            clean: Box::new(move || self.call(through, &["delete"])),
            ..Way::new(name, move || self.start(through))
        });
        compare(title, &ways, rounds)
    }

    /// The whole life of a container, as an engine's calls make it.
    fn lives(&self, title: &str, rounds: usize) -> Outcome {
        let ways = Through::ALL.map(|(through, name)| Way {
            prepare: Box::new(move || self.config(through)),
            ..Way::new(name, move || {
                self.start(through)?;
                reap()?;
                self.call(through, &["delete"])
            })
        });
        compare(title, &ways, rounds)
    }

    /// A command that the wrapper only passes on.
    fn states(&self, title: &str, rounds: usize) -> Outcome {
        self.config(Through::Nothing)?;
        self.start(Through::Nothing)?;
        reap()?;
        let both = [(Through::Nothing, "bare"), (Through::WrapperAndHook, "wrapped")];
        let ways = both.map(|(through, name)| Way::new(name, move || self.call(through, &["state"])));
        let compared = compare(title, &ways, rounds);
        self.call(Through::Nothing, &["delete"])?;
        compared
    }
}

/// A test's words for why it stops, as a bench's.
fn ok<T>(result: TestResult<T>) -> Outcome<T> {
    result.map_err(|stop| format!("{stop:?}").into())
}
