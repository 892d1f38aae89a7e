//! What we want to be, as ratios within one run, and whether we are.

use serde_json::{Value, json};

use crate::report::{Clock, Group, Report};
use crate::rows::{ALL, ATTACH, CROWDED};
use crate::spread::rounded;

/// One of them.
pub struct Target {
    what: String,
    least: bool,
    limit: f64,
    unit: &'static str,
    /// Nothing where it was not measured.
    pub measured: Option<f64>,
}

impl Target {
    /// For people.
    pub fn text(&self) -> String {
        let sign = if self.least { "at least" } else { "at most" };
        format!("{}: {sign} {}{}", self.what, self.limit, self.unit)
    }

    /// Whether it is met.
    pub fn met(&self) -> Option<bool> {
        self.measured.filter(|value| value.is_finite()).map(|value| {
            if self.least {
                value >= self.limit
            } else {
                value <= self.limit
            }
        })
    }

    /// As `bench.json` has it.
    pub fn json(&self) -> Value {
        json!({"target": self.text(), "limit": self.limit, "measured": self.measured.map(rounded), "met": self.met()})
    }
}

/// All of them.
pub fn of(report: &Report) -> Vec<Target> {
    let mut targets = Vec::new();
    reads(report, &mut targets);
    attaches(report, &mut targets);
    starts(report, &mut targets);
    scale(report, &mut targets);
    passes(report, &mut targets);
    execs(report, &mut targets);
    targets
}

fn at_most(what: impl Into<String>, limit: f64, unit: &'static str, measured: Option<f64>) -> Target {
    Target {
        what: what.into(),
        least: false,
        limit,
        unit,
        measured,
    }
}

/// Median, over the rounds, of what `line` took by what `base` took in the same round.
fn ratio(report: &Report, row: char, title: &str, line: &str, base: &str, clock: Clock) -> Option<f64> {
    let group = report.group(row, title)?;
    Some(group.line(line)?.ratio(group.line(base)?, clock).median)
}

fn reads(report: &Report, targets: &mut Vec<Target>) {
    let cpu = |title: &str, line: &str, base: &str| ratio(report, 'a', title, line, base, Clock::Cpu);
    for title in ["1 thread", "8 threads"] {
        let what = format!("read of an emulated key by a real one, CPU, {title}");
        targets.push(at_most(what, 0.75, "", cpu(title, "emulated", "real")));
        targets.push(Target {
            what: format!("lxcfs's uptime by an emulated key, wall, {title}"),
            least: true,
            limit: 20.0,
            unit: "",
            measured: ratio(
                report,
                'a',
                title,
                "/proc/uptime by lxcfs",
                "emulated",
                Clock::Wall,
            ),
        });
    }
    for (how, base) in [("bind", "real"), ("link", "real, namespaced")] {
        let line = format!("passed through by {how}");
        let what = format!("read of an original {line} by the same bare, CPU, 1 thread");
        targets.push(at_most(what, 1.15, "", cpu("1 thread", &line, base)));
    }
}

fn attaches(report: &Report, targets: &mut Vec<Target>) {
    // The best that there is.
    let by = ["template", "new", "classic"];
    for what in [ATTACH, ALL] {
        let of = |base: &str, base_title: &str, keys: &str| {
            let group = report.group('b', what)?;
            let base = report.group('b', base_title)?.line(base)?;
            let line = by
                .iter()
                .find_map(|name| group.line(&format!("{keys}, {name}")))?;
            Some(line.ratio(base, Clock::Cpu).median)
        };
        for (base, limit) in [("template in C", 3.0), ("bind loop in C", 0.35)] {
            let measured = of(&format!("1 key, {base}"), ATTACH, "1 key");
            targets.push(at_most(
                format!("{what}, 1 key, by the {base}, CPU"),
                limit,
                "",
                measured,
            ));
        }
        let one = by
            .iter()
            .find_map(|name| of(&format!("1 key, {name}"), what, "1000 keys"));
        targets.push(at_most(format!("{what}, 1000 keys by 1 key, CPU"), 2.0, "", one));
    }
}

fn starts(report: &Report, targets: &mut Vec<Target>) {
    for group in report.groups.iter().filter(|group| group.row == 'd') {
        for (clock, name) in [(Clock::Cpu, "CPU"), (Clock::Wall, "wall")] {
            let added = |line: &str| Some(group.line(line)?.added(group.lines.first()?, clock, 1.0));
            // Also of one that lacks nothing, and so gets no hook: what a wrapper alone adds cannot be told from noise.
            let idle = "wrapper and hook that do nothing";
            for what in ["1 key lacking", "nothing lacking"] {
                targets.push(at_most(
                    format!("{}, {what}: {name} added by what the {idle} add", group.title),
                    1.6,
                    "",
                    // Nothing can be said where what it adds cannot be told from noise.
                    (added(&format!("ours, {what}")).zip(added(idle)))
                        .filter(|(_, idle)| idle.low > 0.0)
                        .map(|(ours, idle)| ours.median / idle.median),
                ));
            }
        }
    }
}

fn scale(report: &Report, targets: &mut Vec<Target>) {
    let group = report.group('e', "start of a container, ours by template");
    let start = |clock: Clock| {
        let group = group?;
        let of = |name: &str| Some(group.line(name)?.spread(clock, 1.0).median);
        of("number 1000")
            .zip(of("the first"))
            .map(|(last, first)| last / first)
    };
    for (clock, name) in [(Clock::Cpu, "CPU"), (Clock::Wall, "wall")] {
        let what = format!("start of container number 1000 by the first, by template, {name}");
        targets.push(at_most(what, 1.2, "", start(clock)));
    }
    let bare = report.group('e', "start of a container, bare");
    let added = |name: &str| {
        let of = |group: &Group| Some(group.line(name)?.spread(Clock::Cpu, 1.0).median);
        Some(of(group?)? - of(bare?)?)
    };
    targets.push(at_most(
        "added by one more, with two mounts for each in the engine's namespace, by what the first adds, CPU",
        1.2,
        "",
        added(CROWDED)
            .zip(added("the first"))
            .map(|(last, first)| last / first),
    ));
    let memory = report.count(
        'e',
        "memory per container, KiB, with a read-only table of 1000 keys",
    );
    targets.push(at_most(
        "memory added per container, of 1000, with a read-only table of 1000 keys, by template",
        32.0,
        " KiB",
        memory.and_then(|memory| memory.get("1000 alive", "added")),
    ));
}

fn passes(report: &Report, targets: &mut Vec<Target>) {
    for group in report.groups.iter().filter(|group| group.row == 'g') {
        let added = group.lines.first().zip(group.line("ours"));
        targets.push(at_most(
            format!("{}: CPU added", group.title),
            1.0,
            " ms",
            added.map(|(bare, ours)| ours.added(bare, Clock::Cpu, 1e3).median),
        ));
    }
}

fn execs(report: &Report, targets: &mut Vec<Target>) {
    let mut groups = report.groups.iter().filter(|group| group.row == 'f');
    let (start, reads) = (groups.next(), groups.next());
    for (clock, name) in [(Clock::Cpu, "CPU"), (Clock::Wall, "wall")] {
        let start =
            start.and_then(|group| Some((group.line("nsprep exec, profile kubelet")?, group.lines.first()?)));
        targets.push(at_most(
            format!("nsprep exec, profile kubelet, by unshare -m, {name}"),
            2.0,
            "",
            start.map(|(line, base)| line.ratio(base, clock).median),
        ));
        let reads = reads.and_then(|group| Some((group.line("under nsprep exec")?, group.lines.first()?)));
        targets.push(at_most(
            format!("a loop of reads under nsprep exec by under nothing, {name}"),
            1.05,
            "",
            reads.map(|(line, base)| line.ratio(base, clock).median),
        ));
    }
}
