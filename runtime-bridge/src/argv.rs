//! What a runtime's command line asks for.
//!
//! runc takes its flags as Go's `flag` package does (`-log X` = `--log X` = `--log=X`), crun as argp, youki as clap. What
//! the three share is read here; whatever is not known passes, since the runtime itself has the last word on it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// The subcommands that the wrapper treats apart from all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subcommand {
    /// `create`: the container is made, not started.
    Create,
    /// `run`: made and started.
    Run,
    /// `restore`: made from a checkpoint.
    Restore,
    /// `exec`: one more process in a running container.
    Exec,
    /// `delete`: the container's end.
    Delete,
    /// Anything else, none at all, and every call that only asks for help or the version.
    Other,
}

impl Subcommand {
    /// Whether the subcommand makes a container out of a bundle.
    pub fn makes_container(self) -> bool {
        matches!(self, Self::Create | Self::Run | Self::Restore)
    }

    /// Whether runc, crun and youki know `--no-new-keyring` there: their `restore` and `exec` do not.
    pub fn takes_no_new_keyring(self) -> bool {
        matches!(self, Self::Create | Self::Run)
    }
}

/// What was found in a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// The subcommand.
    pub subcommand: Subcommand,
    /// Where it stands among the arguments.
    index: Option<usize>,
    /// The container's name, where the subcommand makes or deletes one.
    pub id: Option<OsString>,
    /// `--bundle`, as given: relative to the working directory.
    pub bundle: Option<OsString>,
    /// crun's `--config`: another file than the bundle's `config.json`.
    pub config: Option<OsString>,
    /// Whether `--no-new-keyring` is given already.
    pub no_new_keyring: bool,
    /// Whether `--cgroup-manager` or `--systemd-cgroup` is given already.
    pub cgroup_manager: bool,
    /// `--root`, as given: where the runtime keeps its containers' states.
    pub root: Option<OsString>,
    /// `--log`, as given.
    pub log: Option<OsString>,
    /// `--log-format`, as given.
    pub log_format: Option<OsString>,
}

/// Global flags that take a value: runc 1.5, crun 1.26, youki 0.7.
const GLOBAL: &[&str] = &[
    "log",
    "log-format",
    "log-level",
    "root",
    "criu",
    "rootless",
    "cgroup-manager",
    "l",
    "r",
];

/// Flags of `create`, `run` and `restore` that take a value, in the same versions.
const LOCAL: &[&str] = &[
    "bundle",
    "b",
    "config",
    "f",
    "console-socket",
    "c",
    "pid-file",
    "p",
    "pidfd-socket",
    "preserve-fds",
    "image-path",
    "work-path",
    "manage-cgroups-mode",
    "empty-ns",
    "lsm-profile",
    "lsm-mount-context",
];

/// Flags without a value that another one's beginning could be taken for, or that are looked at.
const PLAIN: &[&str] = &[
    "debug",
    "systemd-cgroup",
    "detach",
    "no-new-keyring",
    "no-pivot",
    "no-subreaper",
    "help",
    "usage",
    "version",
];

/// Reads the arguments of a runtime, without the program's own name.
pub fn parse(args: &[OsString]) -> Invocation {
    let mut found = Invocation {
        subcommand: Subcommand::Other,
        index: None,
        id: None,
        bundle: None,
        config: None,
        no_new_keyring: false,
        cgroup_manager: false,
        root: None,
        log: None,
        log_format: None,
    };
    let mut asks_only = false;
    let mut flags = Flags {
        args,
        at: 0,
        valued: GLOBAL,
    };
    for (name, value) in flags.by_ref() {
        match (name, value) {
            (b"log" | b"l", Some(value)) => found.log = Some(value.to_owned()),
            (b"root" | b"r", Some(value)) => found.root = Some(value.to_owned()),
            (b"log-format", Some(value)) => found.log_format = Some(value.to_owned()),
            (b"cgroup-manager" | b"systemd-cgroup", _) => found.cgroup_manager = true,
            (b"help" | b"h" | b"?" | b"usage" | b"version" | b"v" | b"V", _) => asks_only = true,
            _ => {}
        }
    }
    let Some(command) = args.get(flags.at) else {
        return found;
    };
    found.index = Some(flags.at);
    let subcommand = match command.as_bytes() {
        b"create" => Subcommand::Create,
        b"run" => Subcommand::Run,
        b"restore" => Subcommand::Restore,
        b"exec" => Subcommand::Exec,
        b"delete" => Subcommand::Delete,
        _ => Subcommand::Other,
    };
    if subcommand.makes_container() || subcommand == Subcommand::Delete {
        let mut at = flags.at + 1;
        let valued = match subcommand {
            // `-f` is `--force` there.
            Subcommand::Delete => &[],
            _ => LOCAL,
        };
        // runc also takes flags behind the container's name.
        while at < args.len() {
            let mut flags = Flags { args, at, valued };
            for (name, value) in flags.by_ref() {
                match (name, value) {
                    (b"bundle" | b"b", Some(value)) => found.bundle = Some(value.to_owned()),
                    (b"config" | b"f", Some(value)) => found.config = Some(value.to_owned()),
                    (b"no-new-keyring", _) => found.no_new_keyring = true,
                    (b"help" | b"h" | b"?" | b"usage", _) => asks_only = true,
                    _ => {}
                }
            }
            if found.id.is_none() {
                found.id = args.get(flags.at).cloned();
            }
            if flags.at > at && args[flags.at - 1] == "--" {
                break;
            }
            at = flags.at + 1;
        }
    }
    if !asks_only {
        found.subcommand = subcommand;
    }
    found
}

/// `args` with `--no-new-keyring` right after the subcommand, where it is known and not yet given; else as they are.
pub fn with_no_new_keyring(args: &[OsString], invocation: &Invocation) -> Vec<OsString> {
    let mut args = args.to_vec();
    if let Some(index) = invocation.index
        && invocation.subcommand.takes_no_new_keyring()
        && !invocation.no_new_keyring
    {
        args.insert(index + 1, "--no-new-keyring".into());
    }
    args
}

/// What stands before the subcommand, for another call of the runtime about the same containers: without the log, which is
/// this call's.
pub fn global_flags(args: &[OsString], invocation: &Invocation) -> Vec<OsString> {
    let mut flags = Flags {
        args: &args[..invocation.index.unwrap_or(0)],
        at: 0,
        valued: GLOBAL,
    };
    let mut kept = Vec::new();
    let mut start = 0;
    while let Some((name, _)) = flags.next() {
        if !matches!(name, b"log" | b"l" | b"log-format") {
            kept.extend_from_slice(&args[start..flags.at]);
        }
        start = flags.at;
    }
    kept
}

/// `args` with crun's `--cgroup-manager=disabled` in front of the subcommand, where it makes a container and no manager is
/// chosen yet; else as they are.
pub fn without_cgroups(args: &[OsString], invocation: &Invocation) -> Vec<OsString> {
    let mut args = args.to_vec();
    if invocation.subcommand.makes_container() && !invocation.cgroup_manager {
        // In front of all: behind `--` no flag is one any more.
        args.insert(0, "--cgroup-manager=disabled".into());
    }
    args
}

/// Flags from `at` on, up to the first argument that is none (`at` is there in the end) or past `--`.
struct Flags<'a> {
    args: &'a [OsString],
    at: usize,
    valued: &'static [&'static str],
}

impl<'a> Iterator for Flags<'a> {
    type Item = (&'a [u8], Option<&'a OsStr>);

    fn next(&mut self) -> Option<Self::Item> {
        let arg = self.args.get(self.at)?.as_bytes();
        let valued = |name: &[u8]| self.valued.iter().any(|known| known.as_bytes() == name);
        let single = arg.strip_prefix(b"-").filter(|rest| !rest.is_empty())?;
        self.at += 1;
        let Some(name) = single.strip_prefix(b"-") else {
            return Some(match split(single) {
                (name, Some(value)) => (name, Some(value)),
                (name, None) if valued(name) => (name, self.take()),
                // `-bDIR`, `-dbDIR`: argp and clap take what follows a short flag for its value, or for more of them.
                (name, None) => {
                    let shorts = name.iter().position(|short| *short != b'd').unwrap_or(0);
                    match name[shorts..].split_at(1) {
                        (short, _) if !valued(short) => (name, None),
                        (short, []) => (short, self.take()),
                        (short, value) => (short, Some(OsStr::from_bytes(value))),
                    }
                }
            });
        };
        if name.is_empty() {
            return None;
        }
        let (name, value) = split(name);
        let (name, takes) = self.whole(name);
        Some((name, value.or_else(|| takes.then(|| self.take())?)))
    }
}

impl<'a> Flags<'a> {
    /// The whole name of a long flag, of which argp takes any beginning that no other has, and whether a value belongs to it.
    fn whole(&self, name: &'a [u8]) -> (&'a [u8], bool) {
        let known = self.valued.iter().chain(PLAIN).map(|known| known.as_bytes());
        let valued = |name: &[u8]| self.valued.iter().any(|known| known.as_bytes() == name);
        if known.clone().any(|known| known == name) {
            return (name, valued(name));
        }
        let begun: Vec<_> = known.filter(|known| known.starts_with(name)).collect();
        match begun[..] {
            [one] => (one, valued(one)),
            // Which of them is for the runtime to say.
            _ => (name, !begun.is_empty() && begun.iter().all(|known| valued(known))),
        }
    }

    fn take(&mut self) -> Option<&'a OsStr> {
        let value = self.args.get(self.at)?;
        self.at += 1;
        Some(value)
    }
}

/// `name=value` at the first `=`.
fn split(flag: &[u8]) -> (&[u8], Option<&OsStr>) {
    match flag.iter().position(|byte| *byte == b'=') {
        Some(at) => (&flag[..at], Some(OsStr::from_bytes(&flag[at + 1..]))),
        None => (flag, None),
    }
}
