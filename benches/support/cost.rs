//! What running programs costs: several ways of the same thing, in turn, many times.

use std::error::Error;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::wait::wait;

/// Anything that ends a bench.
pub type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// What one run took.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// From start to end.
    pub wall: Duration,
    /// User and system time of every process that ended in it.
    pub cpu: Duration,
}

/// One way of doing a thing. The first of a row is what the others are compared with.
pub struct Way<'a> {
    /// As the table names it.
    pub name: String,
    /// What has to be done before each run, not counted.
    pub prepare: Box<dyn Fn() -> Outcome + 'a>,
    /// What is counted.
    pub work: Box<dyn Fn() -> Outcome + 'a>,
    /// What has to be done after each run, not counted.
    pub clean: Box<dyn Fn() -> Outcome + 'a>,
}

impl<'a> Way<'a> {
    /// A way that needs nothing around it.
    pub fn new(name: impl Into<String>, work: impl Fn() -> Outcome + 'a) -> Self {
        Self {
            name: name.into(),
            prepare: Box::new(|| Ok(())),
            work: Box::new(work),
            clean: Box::new(|| Ok(())),
        }
    }
}

/// Runs every way once per round and prints a line for each: medians with quartiles, and the median of what each costs
/// over the first one *in the same round*, so that what else the machine does meanwhile falls on both.
///
/// # Errors
/// If one of them fails; what is measured has to work.
pub fn compare(title: &str, ways: &[Way<'_>], rounds: usize) -> Outcome {
    let mut costs = vec![Vec::with_capacity(rounds); ways.len()];
    // The first round fills caches and is not counted.
    for round in 0..=rounds {
        for turn in 0..ways.len() {
            // Each goes first, second, ... equally often.
            let at = (turn + round) % ways.len();
            let cost = once(&ways[at]).map_err(|e| format!("{title}, {}: {e}", ways[at].name))?;
            if round > 0 {
                costs[at].push(cost);
            }
        }
    }
    println!("\n{title} (n = {rounds}; ms, median [quartiles])");
    println!(
        "  {:<34} {:>22} {:>22} {:>22} {:>12}",
        "", "CPU", "CPU added", "wall", "wall added"
    );
    for (way, own) in ways.iter().zip(&costs) {
        let over = |of: fn(&Cost) -> Duration| -> Vec<f64> {
            let pairs = own.iter().zip(&costs[0]);
            pairs.map(|(own, first)| ms(of(own)) - ms(of(first))).collect()
        };
        let cpu = own.iter().map(|cost| ms(cost.cpu)).collect();
        let wall = own.iter().map(|cost| ms(cost.wall)).collect();
        println!(
            "  {:<34} {:>22} {:>22} {:>22} {:>12.2}",
            way.name,
            spread(cpu),
            spread(over(|cost| cost.cpu)),
            spread(wall),
            quartile(&mut over(|cost| cost.wall), 2),
        );
    }
    Ok(())
}

fn once(way: &Way<'_>) -> Outcome<Cost> {
    (way.prepare)()?;
    reap()?;
    let before = children()?;
    let start = Instant::now();
    (way.work)()?;
    let wall = start.elapsed();
    // A container's first process is left to us, as to an engine's shim.
    reap()?;
    let cpu = children()? - before;
    (way.clean)()?;
    Ok(Cost { wall, cpu })
}

/// Waits for every process that is ours by birth or was left to us.
///
/// # Errors
/// If waiting fails.
pub fn reap() -> Outcome {
    loop {
        match wait() {
            Ok(_) => {}
            Err(Errno::ECHILD) => return Ok(()),
            Err(errno) => return Err(errno.into()),
        }
    }
}

fn children() -> nix::Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = |time: nix::sys::time::TimeVal| {
        Duration::from_secs(time.tv_sec() as u64) + Duration::from_micros(time.tv_usec() as u64)
    };
    Ok(micros(usage.user_time()) + micros(usage.system_time()))
}

/// Runs `command` to its end, without input and output.
///
/// # Errors
/// If it fails, with what it said on standard error.
pub fn run(command: &mut Command) -> Outcome {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    // A file, not a pipe: a container's process keeps it open.
    let mut said = tempfile::tempfile()?;
    let status = command.stderr(said.try_clone()?).status()?;
    if status.success() {
        return Ok(());
    }
    let mut text = String::new();
    std::io::Seek::rewind(&mut said)?;
    std::io::Read::read_to_string(&mut said, &mut text)?;
    Err(format!("{command:?}: {status}: {}", text.trim()).into())
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn spread(mut values: Vec<f64>) -> String {
    let [low, middle, high] = [1, 2, 3].map(|number| quartile(&mut values, number));
    format!("{middle:.2} [{low:.2}, {high:.2}]")
}

/// The first, second (median) or third quartile, interpolated.
fn quartile(values: &mut [f64], number: usize) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let Some(last) = values.len().checked_sub(1) else {
        return f64::NAN;
    };
    let place = last as f64 * number as f64 / 4.0;
    let (below, above) = (values[place.floor() as usize], values[place.ceil() as usize]);
    below + (above - below) * place.fract()
}
