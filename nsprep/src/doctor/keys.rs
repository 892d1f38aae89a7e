//! Which keys of which profile are missing or stuck here. The library's plan and verification tell it.

use std::collections::BTreeMap;

use nix::sched::{CloneFlags, unshare};
use procemu::{
    Entry, Filesystem, Origin, Placement, Probing, Profile, Root, Roots, SysctlKey, Table, When, Writes,
    ask_child,
};
use serde::{Deserialize, Serialize};

/// Which `/proc` was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum View {
    /// The one that programs have here.
    Here,
    /// A new one, as a container mounts it, in a network namespace of its own.
    Container,
}

/// What is the matter with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is not there.
    Missing,
    /// It is there and does not take what is written.
    Stuck,
    /// It is there and counts nothing.
    Zero,
}

impl State {
    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Stuck => "stuck",
            Self::Zero => "zero",
        }
    }
}

/// A key that a profile has an entry for, and that does not do here what it is to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyState {
    /// The key.
    pub key: SysctlKey,
    /// What is the matter.
    pub state: State,
    /// Who reads it.
    pub doc: String,
}

/// What was found of one profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileState {
    /// Its name.
    pub profile: String,
    /// Where its keys were looked for.
    pub view: View,
    /// How many keys it has.
    pub keys: usize,
    /// Those that are missing or stuck.
    pub lacking: Vec<KeyState>,
    /// Why that could not be found out, or would not be cured, in one line.
    pub problem: Option<String>,
}

/// The keys that containerd 2 writes into every pod with a network of its own (pkg/cri, `enable_unprivileged_ports`, `..._icmp`).
const OF_PODS: [&str; 2] = ["net/ipv4/ip_unprivileged_port_start", "net/ipv4/ping_group_range"];

/// All profiles, looked for where their programs look. runc is the one that reads in the container. Only for those that are
/// `asked` about anything is written, which is each key's own value.
pub fn profiles(asked: &[&str]) -> Vec<ProfileState> {
    let states = Profile::ALL.iter().map(|profile| {
        let view = match profile.name() {
            "runc" => View::Container,
            _ => View::Here,
        };
        let probing = match asked.contains(&profile.name()) {
            true => Probing::WriteBack,
            false => Probing::Open,
        };
        look(profile.name(), profile.table(), view, probing)
    });
    states.collect()
}

/// The keys of pods that a container lacks.
pub fn missing_of_pods() -> Vec<SysctlKey> {
    let keys = OF_PODS.iter().filter_map(|key| key.parse().ok());
    let table: Table = keys.map(|key| (key, Entry::literal(0))).collect();
    let state = look("", table, View::Container, Probing::Open);
    state.lacking.into_iter().map(|lacking| lacking.key).collect()
}

/// Whether this place has the key; nothing if that cannot be found out.
pub fn is_here(key: &SysctlKey) -> Option<bool> {
    let root = match key.filesystem() {
        Filesystem::Proc => Root::procfs("/proc"),
        Filesystem::Sys => Root::sysfs("/sys"),
    };
    match root.ok()?.walk(key.path()) {
        Ok(_) => Some(true),
        Err(error) => match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => Some(false),
            _ => None,
        },
    }
}

fn look(profile: &str, mut table: Table, view: View, probing: Probing) -> ProfileState {
    let keys = table.len();
    let found = match view {
        View::Here => here(&mut table, probing),
        View::Container => in_container(&table),
    };
    let (lacking, problem) = match found {
        Ok(lacking) => (lacking, None),
        Err(line) => (Vec::new(), Some(line)),
    };
    ProfileState {
        profile: profile.to_owned(),
        view,
        keys,
        lacking,
        problem,
    }
}

/// What `nsprep exec` would attach.
fn here(table: &mut Table, probing: Probing) -> Result<Vec<KeyState>, String> {
    table.apply_sysctls(&Default::default());
    let roots = Roots::open();
    let placement = |_: &Root| Ok(Placement::Program { writes: true });
    let plans = roots.plan(table, probing, placement);
    let plans = plans.map_err(|error| error.line())?;
    // A value that cannot be had would be found out too late.
    plans.compile(table, Some(&roots)).map_err(|error| error.line())?;
    let wanted = plans.emulated().map(|(key, _)| key.clone()).collect();
    states(&roots, table, wanted)
}

/// The same in a container that is being made: in a child, for its network namespace.
fn in_container(table: &Table) -> Result<Vec<KeyState>, String> {
    let look = || {
        // Without one the keys are those of this network namespace: the best there is to know.
        let _ = unshare(CloneFlags::CLONE_NEWNET);
        // Where no new procfs can be made, a container's is taken for this one.
        let proc = Root::fresh_procfs().or_else(|_| Root::procfs("/proc"));
        let roots = Roots::of(proc, Root::sysfs("/sys"));
        let open = |_: &Root| {
            Ok(Placement::Container {
                read_only: Vec::new(),
                masked: Vec::new(),
            })
        };
        let plans = roots.plan(table, Probing::Open, open);
        let plans = plans.map_err(|error| error.line())?;
        let wanted = plans.emulated().map(|(key, _)| key.clone()).collect();
        states(&roots, table, wanted)
    };
    let answer = ask_child(|| serde_json::to_vec(&look()).unwrap_or_default());
    let answer = answer.map_err(|error| error.to_string())?;
    serde_json::from_slice(&answer).unwrap_or_else(|error| Err(error.to_string()))
}

/// What is the matter with the keys that the plan would put there.
fn states(roots: &Roots, table: &Table, wanted: Vec<SysctlKey>) -> Result<Vec<KeyState>, String> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let checks = roots.verify(table, None, Writes::AsPlaced);
    let checks = checks.map_err(|error| error.line())?;
    let origins: BTreeMap<_, _> = checks
        .into_iter()
        .map(|check| (check.key, check.origin))
        .collect();
    let states = wanted.into_iter().filter_map(|key| {
        let entry = table.get(&key)?;
        let state = match (origins.get(&key), entry.when) {
            (Some(Origin::Missing), _) => State::Missing,
            (_, When::Zero) => State::Zero,
            _ => State::Stuck,
        };
        let doc = entry.doc.clone();
        Some(KeyState { key, state, doc })
    });
    Ok(states.collect())
}
