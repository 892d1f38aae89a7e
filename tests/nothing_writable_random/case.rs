//! Random tables, and random containers to attach them in.

use std::collections::BTreeMap;
use std::fmt::Write;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

/// Folders of most kernels, and some that none has, below `/proc`.
const FOLDERS: [&str; 27] = [
    "sys",
    "sys/kernel",
    "sys/kernel/keys",
    "sys/kernel/random",
    "sys/kernel/pty",
    "sys/vm",
    "sys/fs",
    "sys/fs/inotify",
    "sys/fs/mqueue",
    "sys/net",
    "sys/net/core",
    "sys/net/ipv4",
    "sys/net/ipv4/conf/all",
    "sys/net/ipv4/neigh/lo",
    "sys/net/ipv6/conf/lo",
    "sys/user",
    "sys/dev",
    "sys/debug",
    "sys/abi",
    "sys/lacking",
    "sys/kernel/lacking",
    "sys/net/lacking/deep/er",
    "sys/vm/lacking",
    "driver",
    "tty",
    "bus/pci",
    "irq/lacking",
];

/// Keys of most kernels.
const KEYS: [&str; 20] = [
    "sys/kernel/panic",
    "sys/kernel/core_pattern",
    "sys/kernel/cap_last_cap",
    "sys/kernel/shmmax",
    "sys/kernel/msgmni",
    "sys/kernel/pid_max",
    "sys/kernel/hostname",
    "sys/kernel/random/poolsize",
    "sys/kernel/keys/maxkeys",
    "sys/vm/swappiness",
    "sys/vm/overcommit_memory",
    "sys/fs/file-max",
    "sys/fs/mqueue/msg_max",
    "sys/net/core/somaxconn",
    "sys/net/ipv4/ip_forward",
    "sys/net/ipv4/conf/all/forwarding",
    "sys/user/max_user_namespaces",
    "uptime",
    "swaps",
    "irq/default_smp_affinity",
];

/// What engines protect, and more; some of it in other words, some of it not there.
const READ_ONLY: [&str; 17] = [
    "/proc/sys",
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sysrq-trigger",
    "/proc/sys/kernel",
    "/proc/sys/kernel/keys",
    "/proc/sys/net",
    "/proc/sys/net/ipv4",
    "/proc/sys/vm/swappiness",
    "/proc/sys/kernel/made_0",
    "/proc/sys/lacking",
    "/proc/lacking",
    "/proc//sys/fs/",
    "/proc/sys/../sys/vm",
    "/proc",
    "/sys/firmware",
];

/// The same of what they hide.
const MASKED: [&str; 16] = [
    "/proc/kcore",
    "/proc/keys",
    "/proc/timer_list",
    "/proc/acpi",
    "/proc/driver",
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/random",
    "/proc/sys/kernel/made_1",
    "/proc/sys/lacking",
    "/proc/sys/fs/inotify",
    "/proc/sys/vm",
    "/proc/sys/net/ipv4/ip_forward",
    "/proc/sys/net/core",
    "/proc/sys/user/",
    "/proc/irq/../sysrq-trigger",
    "/proc/uptime",
];

/// Where a case may mount a tmpfs of its own, as no runtime does but mounts of an image's author may.
const COVERED: [&str; 6] = [
    "/proc/sys/kernel/keys",
    "/proc/sys/fs",
    "/proc/sys/net/ipv4/conf",
    "/proc/driver",
    "/proc/tty/ldisc",
    "/proc/acpi",
];

/// One key of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whether its mode is 0644.
    pub writable: bool,
    /// As tables spell it.
    pub when: &'static str,
}

/// What is mounted at the container's `/proc`.
#[derive(Clone, Debug)]
pub enum Proc {
    /// A procfs of its own, with these options.
    New(&'static [&'static str]),
    /// The one outside.
    Bound(&'static [&'static str]),
}

/// One table and one container.
#[derive(Clone, Debug)]
pub struct Case {
    /// By path below `/proc`.
    pub table: BTreeMap<String, Entry>,
    /// What is there.
    pub proc: Proc,
    /// Another one at `/mnt`.
    pub spare: Option<Proc>,
    /// A tmpfs in it.
    pub covered: Option<&'static str>,
    /// `readonlyPaths`.
    pub read_only: Vec<&'static str>,
    /// `maskedPaths`.
    pub masked: Vec<&'static str>,
    /// Whether it has a user namespace.
    pub user: bool,
    /// Whether it has CAP_SYS_ADMIN.
    pub admin: bool,
    /// Whether `/proc` is made in crun's order, where no real runtime makes it; else which stage and which way.
    pub way: usize,
}

impl Case {
    /// Any; with `covers` also such as real runtimes refuse to make.
    pub fn any(covers: bool) -> BoxedStrategy<Self> {
        let proc = prop_oneof![
            6 => Just(Proc::New(&["nosuid", "noexec", "nodev"])),
            2 => Just(Proc::New(&["nosuid", "noexec", "nodev", "ro"])),
            1 => Just(Proc::New(&[])),
            1 => Just(Proc::Bound(&["rbind"])),
            1 => Just(Proc::Bound(&["rbind", "ro"])),
        ];
        let spare = prop_oneof![
            5 => Just(None),
            1 => Just(Some(Proc::New(&["nosuid"]))),
            1 => Just(Some(Proc::Bound(&["rbind", "ro"]))),
            1 => Just(Some(Proc::Bound(&["rbind"]))),
        ];
        let covered = match covers {
            true => prop_oneof![3 => Just(None), 1 => select(&COVERED[..]).prop_map(Some)].boxed(),
            false => Just(None).boxed(),
        };
        (
            table(),
            proc,
            spare,
            covered,
            some(&READ_ONLY),
            some(&MASKED),
            prop::bool::weighted(0.25),
            prop::bool::weighted(0.3),
            any::<prop::sample::Index>(),
        )
            .prop_map(
                |(table, proc, spare, covered, read_only, masked, user, admin, way)| Case {
                    table,
                    proc,
                    spare,
                    covered,
                    read_only,
                    masked,
                    user,
                    admin,
                    way: way.index(64),
                },
            )
            .boxed()
    }

    /// The table, as a file.
    pub fn toml(&self) -> String {
        let mut text = "[keys]\n".to_owned();
        for (path, Entry { writable, when }) in &self.table {
            let mode = if *writable { "0644" } else { "0444" };
            let line = format!(r#""/proc/{path}" = {{ value = 7, mode = "{mode}", when = "{when}" }}"#);
            let _ = writeln!(text, "{line}");
        }
        text
    }

    /// Makes `config` the container's.
    pub fn configure(&self, config: &mut Value) {
        let mounts = config["mounts"].as_array_mut();
        for mount in mounts.into_iter().flatten() {
            if mount["destination"] == "/proc" {
                *mount = self.proc.mount("/proc");
            }
        }
        let spare = self.spare.as_ref().map(|spare| spare.mount("/mnt"));
        let covered = self
            .covered
            .map(|path| json!({"destination": path, "type": "tmpfs", "source": "tmpfs", "options": []}));
        if let Some(mounts) = config["mounts"].as_array_mut() {
            mounts.extend(spare.into_iter().chain(covered));
        }
        config["linux"]["readonlyPaths"] = json!(self.read_only);
        config["linux"]["maskedPaths"] = json!(self.masked);
        config["read"] = json!(
            self.table
                .keys()
                .map(|path| format!("/proc/{path}"))
                .collect::<Vec<_>>()
        );
        if self.admin {
            for set in ["bounding", "effective", "permitted"] {
                let list = config["process"]["capabilities"][set].as_array_mut();
                list.into_iter()
                    .for_each(|list| list.push(json!("CAP_SYS_ADMIN")));
            }
        }
    }
}

impl Proc {
    fn mount(&self, destination: &str) -> Value {
        match self {
            Proc::New(options) => {
                json!({"destination": destination, "type": "proc", "source": "proc", "options": options})
            }
            Proc::Bound(options) => {
                json!({"destination": destination, "type": "bind", "source": "/proc", "options": options})
            }
        }
    }
}

fn table() -> impl Strategy<Value = BTreeMap<String, Entry>> {
    let entry = || {
        let when = prop_oneof![
            3 => Just("missing"),
            2 => Just("always"),
            1 => Just("unwritable"),
        ];
        (any::<bool>(), when).prop_map(|(writable, when)| Entry { writable, when })
    };
    let lacking = (select(&FOLDERS[..]), 0..4).prop_map(|(folder, number)| format!("{folder}/made_{number}"));
    let path = prop_oneof![3 => lacking, 2 => select(&KEYS[..]).prop_map(str::to_owned)];
    // A table of many keys has them in one folder.
    let many = (select(&FOLDERS[..]), 0_usize..60, entry()).prop_map(|(folder, count, entry)| {
        let pair = move |number| (format!("{folder}/many_{number}"), entry.clone());
        (0..count).map(pair).collect::<Vec<_>>()
    });
    let many = prop_oneof![4 => Just(Vec::new()), 1 => many];
    (prop::collection::btree_map(path, entry(), 1..7), many).prop_map(|(mut table, many)| {
        table.extend(many);
        table
    })
}

/// None, the first few (which are the engines' own), or any.
fn some<const COUNT: usize>(all: &'static [&'static str; COUNT]) -> impl Strategy<Value = Vec<&'static str>> {
    prop_oneof![
        1 => Just(Vec::new()),
        1 => Just(all[..5].to_vec()),
        2 => subsequence(&all[..], 0..6),
    ]
}
