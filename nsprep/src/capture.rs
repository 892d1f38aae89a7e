//! `capture`: a table from a live kernel.

mod left_out;

use std::collections::BTreeMap;
use std::io;

use clap::Args;
use glob::Pattern;
use procemu::{Entry, Profile, Root, SysctlKey, Table, Value};

use crate::exit::{Exit, Failure};
use crate::output::print;

/// The profile that knows how keys are asked for.
const ASKED_FOR: &str = "container";

const UNSAYABLE: &str = "no key of a table can have its name";
const UNREADABLE: &str = "is not readable, is no text, or is longer than a table's values";

/// Options of `capture`.
#[derive(Args, Debug)]
pub struct Capture {
    /// Take only keys that match, in either spelling (`net/ipv4/*`); repeats [default: all]
    #[arg(long, value_name = "GLOB")]
    keys: Vec<String>,
    /// Leave out keys that match, as the patches of a vendor add them; repeats
    #[arg(long, value_name = "GLOB")]
    without: Vec<String>,
    /// Leave out what belongs to this boot and machine, and what would be trusted as a protection or a feature; take all others
    /// read-only, from the host where that has them
    #[arg(long)]
    portable: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Capture {
    /// `nsprep capture`.
    pub fn run(&self) -> Result<Exit, Failure> {
        let wanted = patterns("--keys", &self.keys)?;
        let unwanted = patterns("--without", &self.without)?;
        let release = release();
        let mut table = Table::new();
        table.set_doc(match self.portable {
            true => format!(
                "What a whole Linux has, as far as it can be shown elsewhere: {}",
                branch(&release)
            ),
            false => format!("captured from Linux {release}"),
        });
        let mut left_out: BTreeMap<&str, usize> = BTreeMap::new();
        for (path, mode) in Root::procfs("/proc")?.keys().map_err(Failure::from)? {
            let Ok(key) = SysctlKey::from_proc_path(&path) else {
                *left_out.entry(UNSAYABLE).or_default() += 1;
                continue;
            };
            if !wanted.is_empty() && !matches(&wanted, &key) || matches(&unwanted, &key) {
                continue;
            }
            match self.entry(&key, mode, &branch(&release)) {
                Ok(entry) => {
                    table.insert(key, entry);
                }
                Err(reason) => *left_out.entry(reason).or_default() += 1,
            }
        }
        if table.is_empty() && !self.keys.is_empty() {
            return Err(Failure::usage(format!(
                "capture: no readable key matches {}",
                self.keys.join(", ")
            )));
        }
        for (reason, keys) in left_out {
            eprintln!("nsprep: capture: keys left out: {keys}: {reason}");
        }
        print(&if self.json {
            table.to_json()
        } else {
            table.to_toml()
        })?;
        Ok(Exit::Done)
    }

    /// The entry of `key`, whose file has `mode`, or why it has none. `branch` names the kernel that fallbacks are from.
    fn entry(&self, key: &SysctlKey, mode: u32, branch: &str) -> Result<Entry, &'static str> {
        let text = key.to_string();
        let refused = |rules| left_out::reason(rules, &text).map_or(Ok(()), Err);
        refused(left_out::ALWAYS)?;
        if !self.portable {
            let entry = Entry::literal(read(key).ok_or(UNREADABLE)?);
            return Ok(match mode & 0o200 {
                0 => entry,
                _ => entry.writable(),
            });
        }
        // How it is asked of a kernel says more than what it is in this one.
        let asked_for = Profile::get(ASKED_FOR).expect("a built-in profile");
        if let Some(entry) = asked_for.get(key) {
            return Ok(entry.clone());
        }
        refused(left_out::ELSEWHERE)?;
        // All may read a table's keys.
        if mode & 0o004 == 0 {
            return Err("only root may read it");
        }
        Ok(Entry::host()
            .with_fallback(read(key).ok_or(UNREADABLE)?)
            .with_doc(format!("a usual Linux has it; fallback: {branch}")))
    }
}

fn patterns(option: &str, globs: &[String]) -> Result<Vec<Pattern>, Failure> {
    let pattern = |glob: &String| {
        Pattern::new(glob)
            .map_err(|e| Failure::usage(format!("{option} {glob}: {} at position {}", e.msg, e.pos)))
    };
    globs.iter().map(pattern).collect()
}

/// Whether one of `globs` matches `key` in one of its spellings.
fn matches(globs: &[Pattern], key: &SysctlKey) -> bool {
    let (slashes, dots) = (key.to_string(), key.dotted().unwrap_or_default());
    globs
        .iter()
        .any(|glob| glob.matches(&slashes) || glob.matches(&dots))
}

/// The kernel's release.
fn release() -> String {
    let name = nix::sys::utsname::uname();
    name.map(|name| name.release().to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// Of which line of Linux a release is, without what its builder added: `Linux 6.1`.
fn branch(release: &str) -> String {
    let numbers: Vec<_> = release.split(['.', '-', '+']).take(2).collect();
    format!("Linux {}", numbers.join("."))
}

/// The key's value, if a table can hold it: readable text of at most a page.
fn read(key: &SysctlKey) -> Option<Value> {
    let path = std::path::Path::new("/proc").join(key.path());
    let text: io::Result<String> = std::fs::read_to_string(path);
    let text = text.ok()?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let value = match text.parse::<i64>() {
        Ok(number) if number.to_string() == text => Value::Integer(number),
        _ => Value::Text(text.to_owned()),
    };
    value.render(Default::default()).is_ok().then_some(value)
}
