//! A program whose system calls fail, each in its turn.

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use super::{Bed, Bundle, Script, TestResult, fail, need};

const FAULTS: &str = include_str!("faults.pl");

/// With this set, every run is made where else a sample is.
const ALL: &str = "PROCEMU_ALL_FAULTS";

/// What a run of `faults.pl` needs to be told.
pub struct Faults {
    /// The program and its arguments, in bash.
    pub command: &'static str,
    /// What is done before anything else, in bash.
    pub prepare: String,
    /// What has to be the same after as before each run, in bash.
    pub look: &'static str,
    /// What has to succeed where the program did, and puts all back, in bash.
    pub after: String,
    /// Calls that the kernel lacks, with commas.
    pub lacking: &'static str,
    /// Of so many runs one is made.
    pub every: usize,
}

/// The mount table. Mounts that were shared are so again, in a new peer group.
pub const MOUNTS: &str = "sed 's/ shared:[0-9]*/ shared/' /proc/self/mountinfo";

/// Whether a sample is not enough.
pub fn all_faults() -> bool {
    env::var_os(ALL).is_some()
}

/// Folders that hold little: every original that is passed through makes the same calls. A key that is added, one in a folder that
/// is, one that is replaced, one that takes writes.
pub const FAULTS_TABLE: [(&str, &str); 4] = [
    ("kernel/keys/made_up", "{ value = 7 }"),
    ("kernel/keys/maxkeys", r#"{ value = 5, when = "always" }"#),
    ("net/unix/made/up", r#"{ value = "some text" }"#),
    ("fs/epoll/made_up", r#"{ value = 1, mode = "0644" }"#),
];

/// A bundle whose container prints the keys of `FAULTS_TABLE`, and one of the kernel's own that the hook has to set; and a configuration.
///
/// # Errors
/// Skips the test where no bundle can be made.
pub fn faults_bundle(bed: &Bed) -> TestResult<PathBuf> {
    let print = "cat /proc/sys/kernel/keys/made_up /proc/sys/kernel/keys/maxkeys /proc/sys/net/unix/made/up
        cat /proc/sys/fs/epoll/made_up /proc/sys/net/unix/max_dgram_qlen";
    Bundle::new(bed, "b", print)?
        .own_namespace("network")
        .sysctl("net.unix.max_dgram_qlen", "20")
        .write()?;
    Ok(bed.config(&bed.table("table.toml", &FAULTS_TABLE)?)?)
}

/// Starts that container by the wrapper, with the runtime at `engine`: to a runtime of that name all keys are shown around it, too.
pub const FAULTS_RUN: &str = r#""$BRIDGE" runtime --exec "$BED/engine" --config "$CONFIG" -- --root "$BED/state" run --no-new-keyring \
    --bundle "$BED/b" "$ID""#;

/// What it prints, on one line.
pub const FAULTS_PRINTED: &str = "7 5 some text 1 20";

/// Makes `script`'s program fail, as `faults` says, and prints how it went.
///
/// # Errors
/// Something was left or started, or an error does not say what failed.
pub fn run_faults(
    bed: &Bed,
    what: &str,
    faults: &Faults,
    script: impl FnOnce(&str) -> TestResult<Script>,
) -> TestResult {
    if !cfg!(target_arch = "x86_64") {
        return need::skip("needs x86_64, for whose system calls faults.pl is written");
    }
    need::root()?;
    need::command("perl")?;
    let every = if all_faults() { 1 } else { faults.every };
    let text = format!("{}\nexec perl \"$FAULTS\" {}", faults.prepare, faults.command);
    let output = script(&text)?
        .env("FAULTS", bed.file("faults.pl", FAULTS)?)
        .env("LOOK", faults.look)
        .env("AFTER", &faults.after)
        .env("LACKING", faults.lacking)
        .env("EVERY", every.to_string())
        .limit(Duration::from_secs(3600))
        .succeed()?;
    report(what, &output)
}

/// The same with SIGKILL at `rounds` random calls, which `seed` chooses. What `faults` says is to come after holds for every round.
///
/// # Errors
/// As `run_faults`.
pub fn run_kills(
    bed: &Bed,
    what: &str,
    faults: &Faults,
    (rounds, seed): (usize, u32),
    script: impl FnOnce(&str) -> TestResult<Script>,
) -> TestResult {
    let script = |text: &str| {
        Ok(script(text)?
            .env("KILLS", rounds.to_string())
            .env("SEED", seed.to_string()))
    };
    run_faults(bed, &format!("{what}, seed {seed}"), faults, script)
}

fn report(what: &str, output: &str) -> TestResult {
    let mut said = output.lines().filter_map(|line| line.strip_prefix("said "));
    let vague = said.find(|line| !is_clear(line));
    println!("{what}: {}", output.lines().last().unwrap_or_default());
    let wrong = output.lines().filter(|line| !is_report(line));
    let wrong: Vec<_> = wrong.take(40).collect();
    match (&wrong[..], vague) {
        ([], None) => Ok(()),
        ([], Some(line)) => fail(format!("names neither call nor thing: {line}")),
        _ => fail(wrong.join("\n")),
    }
}

fn is_report(line: &str) -> bool {
    line.starts_with("said ")
        || line
            .split_once(" runs: ")
            .is_some_and(|(count, _)| count.parse::<u32>().is_ok())
}

/// `call: program: what failed: why`, and what failed is a call, `mount(...)`, has a path or a quoted word, or is one of a few things
/// that have a name of their own.
fn is_clear(line: &str) -> bool {
    let what = line.splitn(3, ": ").nth(2).unwrap_or_default();
    let named = [
        ".toml",
        "standard output",
        "standard input",
        "runtime-bridge itself",
        "--hook",
        "memory allocation of",
    ];
    what.contains(['/', '(', '"']) || named.iter().any(|name| line.contains(name))
}
