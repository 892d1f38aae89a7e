//! The OCI hook: prepares one container's `/proc` and `/sys`, in the container's namespaces, before pivot_root.

mod filter;
mod outside;
mod sysctls;

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use tracing::debug;

use procemu::{
    Error, Filesystem, Options, Placement, Plan, Privileges, Probing, Root, Roots, Shared, Table, Templates,
    alone, hide,
};

use outside::{Identity, container, identity, prepare_from_outside};

use crate::bundle;
use crate::config::{Config, ConfigError, MissingSysctls, OnFailure, RefusedSysctls};
use crate::events;
use crate::job::{Job, Log};
use crate::place::{has, is_given, placement, read_only_through_links, without_absent};
use crate::pod::Lending;
use crate::report::{Level, Report, chain};
use crate::spec::Spec;
use crate::sysctl::{Request, namespace};

/// A state is some hundred bytes, and the container's annotations.
const MAX_STATE: u64 = 4 << 20;

/// What any container's preparing may need.
const ALL: Privileges = Privileges::MOUNT
    .and(Privileges::ENTER)
    .and(Privileges::FIND)
    .and(Privileges::SYSCTL)
    .and(Privileges::TEMPLATE);

/// The container's state, as a runtime writes it to a hook's standard input (OCI runtime spec, "State").
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) id: String,
    /// The container's init process, as the runtime sees it; what runtimes put there in the container's own pid
    /// namespace differs (1, 0, nothing).
    pub(crate) pid: Option<i64>,
    pub(crate) bundle: PathBuf,
}

/// Why a container could not be prepared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HookError {
    /// Standard input is not a container's state.
    #[error("state on standard input: {0}")]
    State(String),
    /// The bundle or its configuration cannot be used.
    #[error(transparent)]
    Bundle(#[from] bundle::BundleError),
    /// The configuration is not what the OCI spec says.
    #[error("{path}: {what}", path = .path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// bridge.toml, or a table that it names.
    #[error(transparent)]
    Policy(#[from] ConfigError),
    /// A sysctl that the container may not have.
    #[error("sysctl {0:?}: is not in a namespace of the container's own")]
    NotOwned(String),
    /// A sysctl in a container that has no `/proc/sys` to write it to.
    #[error("sysctl {0:?}: the container has no /proc/sys; give it a whole /proc")]
    NoPlace(String),
    /// The container is not prepared, and the reason has been told where it has to be.
    #[error("the container is not prepared")]
    Reported,
    /// Looking, planning or mounting failed.
    #[error("{}", .0.line())]
    Procemu(Error),
    /// The child in the container's namespaces failed.
    #[error("{0}")]
    Inside(String),
}

impl From<Error> for HookError {
    fn from(error: Error) -> Self {
        Self::Procemu(error)
    }
}

/// What is to be done, all read before any namespace is entered.
struct Order {
    spec: Spec,
    rootfs: PathBuf,
    table: Table,
    sysctl: Vec<Request>,
    missing_sysctls: MissingSysctls,
    refused_sysctls: RefusedSysctls,
    host: Roots,
    lending: Option<Lending>,
    templates: Option<Templates>,
    seccomp: bool,
    on_failure: OnFailure,
    log: Option<Log>,
    events: Option<String>,
    /// What is to be told when this process is where the log is.
    warnings: RefCell<Vec<String>>,
}

impl Order {
    /// Begins to make no other calls than those that are needed, where policy says so.
    fn confine(&self) -> Result<(), Error> {
        if self.seccomp { filter::begin() } else { Ok(()) }
    }

    fn warn(&self, what: String) {
        self.warnings.borrow_mut().push(what);
    }

    /// What is needed of privileges from within the container's namespaces.
    fn privileges(&self) -> Privileges {
        let needed = Privileges::MOUNT.and(Privileges::FIND);
        let parts = [
            (!self.sysctl.is_empty(), Privileges::SYSCTL),
            (
                self.lending.is_some() || self.templates.is_some(),
                Privileges::ENTER,
            ),
            (self.templates.is_some(), Privileges::TEMPLATE),
        ];
        let parts = parts.into_iter().filter(|(is_needed, _)| *is_needed);
        parts.fold(needed, |all, (_, part)| all.and(part))
    }

    /// Where what is told goes.
    fn report(&self) -> Report<'_> {
        self.log.as_ref().map(Log::report).unwrap_or_default()
    }
}

/// Reads the state from `input` and prepares the container. `config` is bridge.toml, for a bundle that carries no order
/// of its own.
///
/// Where the hook was called is seen from the state's pid. A process in another mount namespace is the container's,
/// seen from the runtime (`prestart`, `createRuntime`). In the container (`createContainer`) the pid is the container's
/// init in our own namespace, or what runtimes put there for want of one: 0 or nothing.
///
/// # Errors
/// [`HookError`]; with policy `on_failure = "warn"` it is printed instead.
pub fn run(input: &mut dyn Read, config: Option<&Path>) -> Result<(), HookError> {
    let begun = Instant::now();
    // First of all: a container in the same pid namespace may be looking already.
    hide()?;
    // Before anything is looked at. What it is about is known later, and with that what else is not needed.
    alone()?;
    ALL.keep()?;
    let mut text = Vec::new();
    input
        .take(MAX_STATE)
        .read_to_end(&mut text)
        .map_err(|e| HookError::State(e.to_string()))?;
    let state = parse_state(&text)?;
    let order = order(&state, config)?;
    let report = order.report();
    // Not by the environment, which may be the image's.
    if let Err(error) = events::begin_by(order.events.clone().map(Into::into), &report, begun) {
        report.note(Level::Warning, &format!("{}: {error}", events::VARIABLE));
    }
    let outcome = carry_out(&state, &text, &order);
    for warning in order.warnings.take() {
        report.tell(Level::Warning, &warning);
    }
    match (outcome, order.on_failure) {
        (Ok(()), _) => Ok(()),
        (Err(error), OnFailure::Warn) => {
            report.tell(
                Level::Warning,
                &format!("container {} is not prepared: {}", state.id, chain(&error)),
            );
            Ok(())
        }
        (Err(error), OnFailure::Fail) => {
            report.tell(Level::Error, &chain(&error));
            Err(HookError::Reported)
        }
    }
}

fn carry_out(state: &State, text: &[u8], order: &Order) -> Result<(), HookError> {
    if let Some(Request { spelling, .. }) = order.sysctl.first()
        && !has(&order.spec, Filesystem::Proc)
    {
        return Err(HookError::NoPlace(spelling.clone()));
    }
    if !Filesystem::ALL
        .iter()
        .any(|filesystem| has(&order.spec, *filesystem))
    {
        return Ok(());
    }
    match container(state)? {
        None => {
            debug!(container = state.id, bundle = %state.bundle.display(), "called in the container");
            order.confine()?;
            Ok(prepare(order, None)?)
        }
        Some(target) => prepare_from_outside(&target, state, text, order),
    }
}

pub(crate) fn parse_state(text: &[u8]) -> Result<State, HookError> {
    let wrong = |what: &str| {
        HookError::State(format!(
            "{what}; a runtime calls the hook with the container's state as JSON"
        ))
    };
    if text.is_empty() {
        return Err(wrong("is empty"));
    }
    let state: serde_json::Value = serde_json::from_slice(text).map_err(|e| wrong(&e.to_string()))?;
    let bundle = match state.get("bundle") {
        Some(serde_json::Value::String(path)) if path.contains('\0') => {
            return Err(wrong("has a NUL in bundle"));
        }
        Some(serde_json::Value::String(path)) if !path.is_empty() => path.into(),
        None | Some(serde_json::Value::String(_)) => {
            return Err(wrong("has no bundle, the path of the bundle"));
        }
        Some(_) => return Err(wrong("has a bundle that is no path")),
    };
    Ok(State {
        id: state
            .get("id")
            .and_then(|id| id.as_str())
            .unwrap_or_default()
            .to_owned(),
        pid: state.get("pid").and_then(serde_json::Value::as_i64),
        bundle,
    })
}

fn order(state: &State, config: Option<&Path>) -> Result<Order, HookError> {
    let text = bundle::read(&state.bundle)?;
    let file = state.bundle.join("config.json");
    let wrong = |what: String| HookError::Config {
        path: file.clone(),
        what,
    };
    let spec = Spec::parse(&text).map_err(|e| wrong(e.to_string()))?;
    if spec.root.path.as_os_str().is_empty() {
        return Err(wrong("has no root.path".into()));
    }
    let rootfs = state.bundle.join(&spec.root.path);
    let job = Job::of(&text).map_err(|e| wrong(e.to_string()))?;
    let job = match job {
        Some(job) => job,
        None => {
            let config = Config::load(config)?;
            let mut table = config.table(&spec.annotations)?;
            table.apply_sysctls(&Default::default());
            Job {
                seccomp: config.policy.seccomp_hook,
                events: config.log.level,
                ..Job::new(table, config.policy.on_failure)
            }
        }
    };
    let mut sysctl = Vec::new();
    for (spelling, value) in job.sysctl {
        let request = Request::new(&spelling, &value)
            .filter(|request| namespace(&request.key).is_some_and(|namespace| spec.lists(namespace.name())))
            .ok_or(HookError::NotOwned(spelling))?;
        sysctl.push(request);
    }
    Ok(Order {
        spec,
        rootfs,
        table: job.table,
        sysctl,
        missing_sysctls: job.missing_sysctls,
        refused_sysctls: job.refused_sysctls,
        host: Roots::open(),
        lending: job.lending,
        templates: job.templates,
        seccomp: job.seccomp,
        on_failure: job.on_failure,
        log: job.log,
        events: job.events,
        warnings: RefCell::default(),
    })
}

/// Prepares the container, in whose namespaces the calling process is. `known` is its rootfs as it was seen from outside.
fn prepare(order: &Order, known: Option<Identity>) -> Result<(), Error> {
    order.privileges().keep()?;
    let folder = rootfs(&order.rootfs)?;
    let found = identity(&folder, &order.rootfs)?;
    if known.is_some_and(|known| known != found) {
        return Err(Error::input(format!(
            "rootfs {}: is another folder in the container's mount namespace",
            order.rootfs.display()
        )));
    }
    let roots = without_absent(Roots::beneath(&folder, &order.rootfs), &order.spec);
    // A /proc or /sys bound from a prepared place brings its spare along, which no mask of this container covers. One that
    // is locked here belongs to a user namespace, whose ids protect what it shows.
    for filesystem in Filesystem::ALL
        .into_iter()
        .filter(|filesystem| is_given(&order.spec, *filesystem))
    {
        let _ = roots.drop_spare(filesystem);
    }
    if !roots.has(Filesystem::Proc) {
        return attach(&roots, &folder, &order.table, order);
    }
    let proc = roots.get(Filesystem::Proc)?;
    let (table, written) = sysctls::set(proc, order)?;
    attach(&roots, &folder, &table, order).map_err(|error| written.put_back(error))
}

/// Puts `table` in place.
fn attach(roots: &Roots, folder: &File, table: &Table, order: &Order) -> Result<(), Error> {
    let placed = |root: &Root| {
        let mut placement = placement(&order.spec, root.filesystem());
        if let Placement::Container { read_only, .. } = &mut placement {
            read_only.extend(read_only_through_links(folder, root, &order.spec));
        }
        Ok(placement)
    };
    let plans = roots.plan(table, Probing::Open, placed)?;
    if plans.is_empty() {
        return Ok(());
    }
    let snapshots = plans.compile(table, Some(&order.host))?;
    let shared = borrow(plans.get(Filesystem::Proc), order)?;
    let label = Some(order.spec.linux.mount_label.clone()).filter(|label| !label.is_empty());
    let options = Options {
        label,
        shared,
        templates: order.templates.clone(),
        ..Options::default()
    };
    roots.attach(&plans, &snapshots, &options)?.keep();
    Ok(())
}

/// The keys of the pod that `plan` needs.
fn borrow(plan: &Plan, order: &Order) -> Result<Shared, Error> {
    let Some(lending) = &order.lending else {
        return Ok(Shared::default());
    };
    let shared = match lending.borrow(plan, order.host.get(Filesystem::Proc)?) {
        // An old kernel, or a seccomp filter: nothing can be shared then, and all else is as it should be.
        Err(error) if error.errno() == Some(nix::libc::ENOSYS) => {
            order.warn(format!("nothing is shared with the pod: {}", error.line()));
            return Ok(Shared::default());
        }
        other => other?,
    };
    // It is not this container's to decide for all of them.
    for Request { spelling, key, value } in &order.sysctl {
        let found = shared
            .value(key)
            .map_err(|e| Error::failed_open(Path::new(key.path()), e))?;
        let differs = |found: Vec<u8>| {
            let found = String::from_utf8_lossy(&found).into_owned();
            found.split_whitespace().ne(value.split_whitespace())
        };
        if found.is_some_and(differs) {
            return Err(Error::input(format!(
                "sysctl {spelling}={value}: the pod has another value; ask for it for the whole pod"
            )));
        }
    }
    Ok(shared)
}

fn rootfs(path: &Path) -> Result<File, Error> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .custom_flags(nix::libc::O_PATH | nix::libc::O_DIRECTORY);
    options.open(path).map_err(|e| Error::failed_open(path, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_needs_a_bundle() {
        let line = |text: &[u8]| parse_state(text).unwrap_err().to_string();
        assert!(line(b"").starts_with("state on standard input: is empty"));
        assert!(line(b"{").starts_with("state on standard input: "));
        assert!(line(br#"{"bundle":7}"#).contains("bundle that is no path"));
        assert!(line(br#"[]"#).contains("has no bundle"));
        assert!(line(br#"{"id":"a","pid":7}"#).contains("has no bundle"));
        assert_eq!(parse_state(br#"{"bundle":"/b"}"#).unwrap().pid, None);
    }
}
