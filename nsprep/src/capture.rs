//! `capture`: a table from a live kernel.

use std::io;

use clap::Args;
use glob::Pattern;
use procemu::{Entry, Mode, Root, SysctlKey, Table, Value};

use crate::exit::{Exit, Failure};
use crate::output::print;

/// Options of `capture`.
#[derive(Args, Debug)]
pub struct Capture {
    /// Take only keys that match, in either spelling (`net/ipv4/*`); repeats [default: all]
    #[arg(long, value_name = "GLOB")]
    keys: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Keys that change by themselves or act when they are read: a table of them would be wrong at once. From the
/// kernel's Documentation/admin-guide/sysctl and drivers/char/random.c.
const LIVE: [&str; 15] = [
    "fs/aio-nr",
    "fs/dentry-state",
    "fs/file-nr",
    "fs/inode-nr",
    "fs/inode-state",
    "fs/quota/*",
    "kernel/ns_last_pid",
    "kernel/pty/nr",
    "kernel/random/boot_id",
    "kernel/random/entropy_avail",
    "kernel/random/uuid",
    "net/netfilter/nf_conntrack_buckets",
    "net/netfilter/nf_conntrack_count",
    "vm/stat_refresh",
    "*/stable_secret",
];

impl Capture {
    /// `nsprep capture`.
    pub fn run(&self) -> Result<Exit, Failure> {
        let wanted: Vec<Pattern> = self
            .keys
            .iter()
            .map(|glob| pattern(glob))
            .collect::<Result<_, _>>()?;
        let live: Vec<Pattern> = LIVE.iter().map(|glob| pattern(glob)).collect::<Result<_, _>>()?;
        let mut table = Table::new();
        table.set_doc(format!("captured from {}", release()));
        let mut skipped = 0;
        for (path, mode) in Root::procfs("/proc")?.keys().map_err(Failure::from)? {
            let Ok(key) = SysctlKey::from_proc_path(&path) else {
                skipped += 1;
                continue;
            };
            let matches = |globs: &[Pattern]| globs.iter().any(|glob| glob.matches(&key.to_string()));
            let dotted = key.dotted().unwrap_or_default();
            if !wanted.is_empty() && !matches(&wanted) && !wanted.iter().any(|glob| glob.matches(&dotted)) {
                continue;
            }
            if matches(&live) {
                skipped += 1;
                continue;
            }
            match read(&key) {
                Some(value) => {
                    let mode = if mode & 0o200 != 0 {
                        Mode::ReadWrite
                    } else {
                        Mode::ReadOnly
                    };
                    table.insert(key, Entry::literal(value).with_mode(mode));
                }
                None => skipped += 1,
            }
        }
        if table.is_empty() && !self.keys.is_empty() {
            return Err(Failure::usage(format!(
                "capture: no readable key matches {}",
                self.keys.join(", ")
            )));
        }
        if skipped > 0 {
            eprintln!("nsprep: capture: {skipped} keys left out: live, unreadable, or longer than a page");
        }
        print(&if self.json {
            table.to_json()
        } else {
            table.to_toml()
        })?;
        Ok(Exit::Done)
    }
}

fn pattern(glob: &str) -> Result<Pattern, Failure> {
    Pattern::new(glob).map_err(|e| Failure::usage(format!("--keys {glob}: {} at position {}", e.msg, e.pos)))
}

fn release() -> String {
    nix::sys::utsname::uname()
        .map(|name| {
            format!(
                "{} {}",
                name.sysname().to_string_lossy(),
                name.release().to_string_lossy()
            )
        })
        .unwrap_or_default()
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
