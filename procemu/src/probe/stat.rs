//! `/proc/stat` of a kernel that does not count its CPUs' time.

use std::fmt::Write;

use crate::observe::first_line_is_zero;
use crate::uptime;

/// The kernel's own text, with idle time where it has no time at all.
pub(super) fn stat() -> Option<String> {
    let text = std::fs::read_to_string("/proc/stat").ok()?;
    Some(match first_line_is_zero(text.as_bytes()) {
        true => idle(&text, uptime::ticks()),
        false => text,
    })
}

/// `text` with each CPU idle since boot, and the first line their sum; all other lines as they are.
fn idle(text: &str, ticks: u64) -> String {
    let cpus = text.lines().filter(|line| number_of(line).is_some()).count() as u64;
    let mut filled = String::with_capacity(text.len() + 64);
    for line in text.lines() {
        // Writing to a String does not fail.
        let _ = match (number_of(line), line.split_once("  ")) {
            (Some(_), _) => writeln!(filled, "{}", with_idle(line, ticks)),
            (None, Some(("cpu", _))) => writeln!(filled, "{}", with_idle(line, ticks.saturating_mul(cpus))),
            _ => writeln!(filled, "{line}"),
        };
    }
    filled
}

/// The number of the CPU that the line `cpu0 ...` is about.
fn number_of(line: &str) -> Option<u32> {
    line.strip_prefix("cpu")?.split(' ').next()?.parse().ok()
}

/// The line with its fourth number, which is the idle time, replaced (fs/proc/stat.c show_stat: user, nice, system, idle).
fn with_idle(line: &str, ticks: u64) -> String {
    let mut at = 0;
    let words: Vec<_> = line
        .split(' ')
        .map(|word| {
            // The first line has two spaces behind its name.
            at += usize::from(!word.is_empty());
            match at {
                5 => ticks.to_string(),
                _ => word.to_owned(),
            }
        })
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_idle_time_is_added() {
        let text = "cpu  0 0 0 0 0 0 0 0 0 0\ncpu0 0 0 0 0 0 0 0 0 0 0\ncpu1 0 0 0 0 0 0 0 0 0 0\n\
                    intr 0 0 0\nctxt 0\nbtime 1700000000\nprocs_running 1\nsoftirq 0 0 0 0 0 0\n";
        let filled = "cpu  0 0 0 84 0 0 0 0 0 0\ncpu0 0 0 0 42 0 0 0 0 0 0\ncpu1 0 0 0 42 0 0 0 0 0 0\n\
                    intr 0 0 0\nctxt 0\nbtime 1700000000\nprocs_running 1\nsoftirq 0 0 0 0 0 0\n";
        assert_eq!(idle(text, 42), filled);
    }

    #[test]
    fn odd_lines_stay() {
        for text in [
            "",
            "cpu\n",
            "cpu  \n",
            "cpu  0 0\n",
            "cpufreq 0 0 0 0 0\n",
            "intr 0 0 0 0 0 0\n",
        ] {
            assert_eq!(idle(text, 42), text);
        }
    }
}
