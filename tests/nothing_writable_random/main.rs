//! Nothing becomes writable that was not, whatever the table and the container: for random ones, all that the container's root can do to
//! everything below `/proc` is tried without us and with us.
//!
//! `PROCEMU_CASES` is how many cases there are, `PROCEMU_SEED` which ones.

#[path = "../support/mod.rs"]
mod support;

mod case;
mod judge;
mod place;
mod scan;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use serde_json::Value;

use case::{Case, Proc};
use judge::{Tally, differences};
use scan::{Scan, parse};
use support::{Bed, Bundle, Runtime, Suite, TestResult, fail, move_hook, need, runtime_bridge};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match place::called(&arguments) {
        Some(Ok(())) => return ExitCode::SUCCESS,
        Some(Err(error)) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
        None => {}
    }
    let mut suite = Suite::new();
    suite.test("placed", placed);
    suite.for_runtimes("made", made);
    suite.run()
}

/// How many cases where nothing else is asked for: some seconds' worth.
const PLACED: u32 = 40;
const MADE: u32 = 4;

/// In what does as a runtime does: the hook is called inside, before what the one protects, or after what the other did.
fn placed(bed: &Bed) -> TestResult {
    need::root()?;
    let place = Place::new(bed)?;
    check(bed.id(), PLACED, Case::any(true), |case| {
        place.write(case)?;
        let order = if case.way % 2 == 0 { "runc" } else { "crun" };
        let run = |hook: bool| place.placed(order, hook);
        compare(case, run)
    })
}

/// In containers that a real runtime makes, with the hook at each of its stages, or the wrapper.
fn made(bed: &Bed, runtime: Runtime) -> TestResult {
    runtime.path()?;
    let place = Place::new(bed)?;
    check(runtime.name, MADE, Case::any(false), |case| {
        let run = |hook: bool| {
            place.write(case)?;
            place.made(bed, runtime, case, hook)
        };
        compare(case, run)
    })
}

/// A scan, or why there is no container.
type Run = TestResult<Result<Scan, String>>;

/// What there is to say of a case: nothing, what it was not good for, or what is wrong.
enum Verdict {
    Fine(Tally),
    NoContainer(String),
    Wrong(String),
}

fn compare(case: &Case, run: impl Fn(bool) -> Run) -> TestResult<Verdict> {
    let bare = match run(false)? {
        Ok(bare) => bare,
        Err(why) => return Ok(Verdict::NoContainer(format!("without us: {why}"))),
    };
    let with = match run(true)? {
        Ok(with) => with,
        Err(why) => return Ok(Verdict::NoContainer(format!("with us: {why}"))),
    };
    let mut tally = Tally::default();
    let mut wrong = differences(case, &bare, &with, &mut tally);
    if !wrong.is_empty() {
        // What comes and goes on this machine does so without us too.
        if let Ok(again) = run(false)? {
            let unsteady: BTreeSet<&String> = bare
                .keys()
                .chain(again.keys())
                .filter(|path| bare.get(*path) != again.get(*path))
                .collect();
            wrong.retain(|(path, _)| !unsteady.contains(path));
        }
    }
    Ok(match wrong.is_empty() {
        true => Verdict::Fine(tally),
        false => {
            let lines = wrong
                .iter()
                .take(20)
                .map(|(path, what)| format!("\n  {path}: {what}"));
            Verdict::Wrong(lines.collect())
        }
    })
}

/// Runs the cases, says how many, and fails with the smallest wrong one.
fn check(
    name: &str,
    cases: u32,
    any: impl proptest::strategy::Strategy<Value = Case>,
    verdict: impl Fn(&Case) -> TestResult<Verdict>,
) -> TestResult {
    let number = |name| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("PROCEMU_SEED").unwrap_or(1);
    let cases = number("PROCEMU_CASES").map_or(cases, |cases| u32::try_from(cases).unwrap_or(u32::MAX));
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 20,
        max_global_rejects: cases * 4 + 100,
        ..Config::default()
    };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let sum = RefCell::new((Tally::default(), Vec::<String>::new()));
    let outcome = runner.run(&any, |case| match verdict(&case) {
        Ok(Verdict::Fine(tally)) => {
            let sum = &mut sum.borrow_mut().0;
            sum.paths += tally.paths;
            sum.ways += tally.ways;
            sum.shown += tally.shown;
            sum.granted += tally.granted;
            sum.masks += tally.masks;
            Ok(())
        }
        Ok(Verdict::NoContainer(why)) => {
            sum.borrow_mut().1.push(why.clone());
            Err(TestCaseError::reject(why))
        }
        Ok(Verdict::Wrong(what)) => Err(TestCaseError::fail(what)),
        Err(stop) => Err(TestCaseError::fail(format!("{stop:?}"))),
    });
    let (tally, refused) = sum.into_inner();
    println!(
        "{name}: seed {seed}, {cases} cases, {} without a container: {tally:?}",
        refused.len()
    );
    for why in refused.iter().collect::<BTreeSet<_>>() {
        println!("{name}: no container: {why}");
    }
    match outcome {
        Ok(()) if tally.shown == 0 => fail("no key of ours was shown in any case"),
        Ok(()) => Ok(()),
        Err(TestError::Fail(what, case)) => {
            fail(format!("PROCEMU_SEED={seed}: {what}\n{case:#?}\n{}", case.toml()))
        }
        Err(TestError::Abort(why)) => fail(format!("PROCEMU_SEED={seed}: {why}")),
    }
}

/// A bundle, and what is called for it, where a user namespace's root can reach them.
struct Place {
    folder: PathBuf,
    base: Value,
    program: PathBuf,
    bridge: PathBuf,
    table: PathBuf,
    config: PathBuf,
}

impl Place {
    fn new(bed: &Bed) -> TestResult<Self> {
        let bundle = Bundle::new(bed, "b", "sleep 100")?.own_namespace("network");
        let base = bundle.config.clone();
        let folder = bundle.write()?;
        fs::write(folder.join("rootfs/dev/null"), "")?;
        let program = bed.path("program");
        fs::copy(env::current_exe()?, &program)?;
        let bridge = bed.path("runtime-bridge");
        fs::copy(runtime_bridge()?, &bridge)?;
        let table = bed.file("table.toml", "[keys]\n")?;
        let config = bed.config(&table)?;
        Ok(Self {
            folder,
            base,
            program,
            bridge,
            table,
            config,
        })
    }

    /// Writes the case's configuration and table.
    fn write(&self, case: &Case) -> TestResult {
        let mut config = self.base.clone();
        case.configure(&mut config);
        let namespaces = config["linux"]["namespaces"].as_array_mut();
        if let Some(namespaces) = namespaces {
            if case.user {
                namespaces.push(serde_json::json!({"type": "user"}));
            }
            // The processes of a procfs that is bound are those outside.
            if matches!(case.proc, Proc::Bound(_)) {
                namespaces.retain(|namespace| namespace["type"] != "pid");
            }
        }
        if case.user {
            let ids = serde_json::json!([{"containerID": 0, "hostID": 100_000, "size": 65_536}]);
            config["linux"]["uidMappings"] = ids.clone();
            config["linux"]["gidMappings"] = ids;
        }
        fs::write(self.folder.join("config.json"), serde_json::to_vec(&config)?)?;
        fs::write(&self.table, case.toml())?;
        Ok(())
    }

    fn placed(&self, order: &str, hook: bool) -> Run {
        let mut command = Command::new(&self.program);
        command.arg("--place").arg(&self.folder).arg(order);
        if hook {
            command
                .arg(&self.bridge)
                .arg("hook")
                .arg("--config")
                .arg(&self.config);
        }
        let output = command.output()?;
        scanned(output.status.success(), &output.stdout, &output.stderr)
    }

    fn made(&self, bed: &Bed, runtime: Runtime, case: &Case, hook: bool) -> Run {
        let way = ["createContainer", "prestart", "createRuntime", "wrapper"][case.way % 4];
        let call = if hook && way == "wrapper" { "wrapped" } else { "rt" };
        if hook && way != "wrapper" {
            let rewrite = r#""$BRIDGE" rewrite --runtime "$RUNTIME" --config "$CONFIG" "$BED/b" > /dev/null"#;
            let script = bed.runtime_script(&runtime, rewrite)?.env("CONFIG", &self.config);
            script.succeed()?;
            let is_there = fs::read_to_string(self.folder.join("config.json"))?.contains("createContainer");
            if is_there && way != "createContainer" {
                move_hook(&self.folder, way)?;
            }
        }
        let text = r#"
            $CALL create --no-new-keyring --bundle "$BED/b" --pid-file "$BED/b.pid" "$ID-b" < /dev/null > b.out 2>&1 || {
              cat b.out >&2
              $CALL delete --force "$ID-b" > /dev/null 2>&1 || true
              exit 1
            }
            status=0
            "$PROGRAM" --enter "$(cat b.pid)" "$BED/b" || status=$?
            $CALL delete --force "$ID-b"
            exit "$status""#;
        let script = bed
            .runtime_script(&runtime, text)?
            .env("CONFIG", &self.config)
            .env("CALL", call)
            .env("PROGRAM", &self.program);
        let output = script.run()?;
        scanned(
            output.status.success(),
            output.stdout.as_bytes(),
            output.stderr.as_bytes(),
        )
    }
}

fn scanned(success: bool, stdout: &[u8], stderr: &[u8]) -> Run {
    let last = String::from_utf8_lossy(stderr);
    match success {
        true => Ok(Ok(parse(&String::from_utf8_lossy(stdout))?)),
        false => Ok(Err(last.trim().to_owned())),
    }
}
