//! Standing where the runtime is expected.
//!
//! Whatever the engine asks for, the real runtime is what this process becomes: its pid, its descriptors, its exit code.

use crate::argv::{self, Invocation, Subcommand};
use crate::bundle::{self, BundleError, Options, Rewriting};
use crate::cgroups;
use crate::changes::Changes;
use crate::compiled::Compiled;
use crate::config::{Config, ConfigError, NoNewKeyring, OnFailure};
use crate::events;
use crate::job::Log;
use crate::keyring;
use crate::locate::{self, LocateError};
use crate::place::Around;
use crate::pod::Asking;
use crate::report::{Level, Report, chain};
use crate::rewrite::Change;
use crate::runtime::{Kind, identify};
use crate::templates;
use procemu::{Inherited, ValueSource, wait_for_children};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tracing::debug;

/// Which runtime is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// The one that `bridge.toml` names so, else the one of that name on PATH.
    Named(OsString),
    /// This one.
    At(PathBuf),
}

/// Why the runtime is not executed.
#[derive(Debug, thiserror::Error)]
enum WrapperError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Locate(#[from] LocateError),
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error("cannot prepare a mount namespace for the runtime")]
    Namespace(#[source] procemu::Error),
    #[error("--config {}: not supported, the hook reads its job in the bundle's config.json", .0.display())]
    OtherConfig(PathBuf),
    #[error("cannot execute {}", path.display())]
    Exec { path: PathBuf, source: io::Error },
}

/// Prepares what `args` asks for and becomes `program`.
///
/// Returns only where that fails; what to do then is exit with 1, as runc does. It has been reported.
pub fn run(program: &Program, args: &[OsString], config: Option<&Path>) {
    let inherited = Inherited::look();
    let begun = Instant::now();
    let exec = |path: &Path, args: &[OsString]| exec(&inherited, path, args);
    let invocation = argv::parse(args);
    let report = Report {
        log: invocation.log.as_deref(),
        log_format: invocation.log_format.as_deref(),
    };
    let found = find(program, &invocation, config);
    let configured = match &found {
        Ok((_, Some(config))) => config.log.level.as_deref(),
        _ => None,
    };
    let events = events::begin(configured, &report, begun).unwrap_or_else(|error| {
        report.note(Level::Warning, &format!("{}: {error}", events::VARIABLE));
        None
    });
    if let Ok((path, _)) = &found {
        debug!(runtime = %path.display(), command = ?invocation.subcommand, "the runtime is found");
    }
    let error = match found {
        Ok((path, None)) => exec(&path, args),
        Ok((path, Some(config))) if invocation.subcommand == Subcommand::Delete => {
            // Whatever is wrong with it, the container has to go.
            let container = templates::state_of(&path, invocation.root.as_deref(), invocation.id.as_deref());
            if config.policy.templates
                && let Err(error) = templates::end_with(container.as_deref(), &config.state_dir)
            {
                report.tell(Level::Warning, &chain(&error));
            }
            exec(&path, args)
        }
        Ok((path, Some(config))) => {
            let changes = Changes {
                state_dir: config.log.changes.then_some(&config.state_dir),
                container: invocation.id.as_deref().unwrap_or_default(),
                runtime: &path,
                bundle: bundle_of(&invocation),
            };
            match prepare(&path, args, &invocation, &config, events.as_deref()) {
                Ok(prepared) => {
                    changes.note_all(&prepared.changes);
                    let mut args = args.to_vec();
                    if prepared.no_new_keyring {
                        args = argv::with_no_new_keyring(&args, &invocation);
                    }
                    if prepared.without_cgroups {
                        args = argv::without_cgroups(&args, &invocation);
                    }
                    debug!(arguments = ?args, "becoming the runtime");
                    let error = exec(&path, &args);
                    if !prepared.changes.is_empty() {
                        changes.note(Level::Error, &format!("all is taken back: {}", chain(&error)));
                    }
                    // No runtime has seen the new config.json, and none will.
                    if let Some(Err(error)) = prepared.rewriting.map(|rewriting| rewriting.undo()) {
                        report.tell(Level::Warning, &chain(&error));
                    }
                    error
                }
                Err(error) if config.policy.on_failure == OnFailure::Warn => {
                    let line = format!("not prepared: {}", chain(&error));
                    changes.note(Level::Warning, &line);
                    report.tell(Level::Warning, &line);
                    exec(&path, args)
                }
                // It has changed nothing, and the engine is told.
                Err(error) => error,
            }
        }
        Err(error) => error,
    };
    report.tell(Level::Error, &chain(&error));
}

/// What has been done before the runtime runs.
#[derive(Default)]
struct Prepared {
    /// Whether the runtime is to have `--no-new-keyring`.
    no_new_keyring: bool,
    /// Whether it is to have `--cgroup-manager=disabled`.
    without_cgroups: bool,
    /// What was done to the bundle.
    rewriting: Option<Rewriting>,
    /// All that is done otherwise than the engine has asked for.
    changes: Vec<Change>,
}

/// The runtime, and the configuration where something is to be prepared. Nothing is read that is not needed.
fn find(
    program: &Program,
    invocation: &Invocation,
    config: Option<&Path>,
) -> Result<(PathBuf, Option<Config>), WrapperError> {
    let load = || match invocation.subcommand {
        Subcommand::Delete | Subcommand::Other => Ok(Config::load_runtimes(config)),
        _ => Config::load(config),
    };
    let needed = invocation.subcommand != Subcommand::Other;
    Ok(match program {
        Program::At(path) => (locate::at(path)?, needed.then(load).transpose()?),
        Program::Named(name) => {
            let config = load()?;
            (locate::named(name, &config)?, needed.then_some(config))
        }
    })
}

/// Does all that has to be done before the runtime runs.
fn prepare(
    path: &Path,
    args: &[OsString],
    invocation: &Invocation,
    config: &Config,
    events: Option<&str>,
) -> Result<Prepared, WrapperError> {
    // Ours, and for a runtime that runs hooks.
    wait_for_children();
    if invocation.subcommand == Subcommand::Exec {
        if identify(path, &config.state_dir).reads_keys_on_exec() {
            around(path, Compiled::of(config)?)?
                .enter(None)
                .map_err(WrapperError::Namespace)?;
        }
        return Ok(Prepared::default());
    }
    if let Some(other) = &invocation.config {
        return Err(WrapperError::OtherConfig(other.into()));
    }
    let dir = bundle_of(invocation);
    let hook = locate::own()?;
    // Looked at while this process still sees the kernel's own procfs, and written when nothing else can fail any more.
    let compiled = Compiled::of(config)?;
    let around = around(path, compiled.clone())?;
    let container = templates::state_of(path, invocation.root.as_deref(), invocation.id.as_deref());
    let options = Options {
        config,
        table: None,
        compiled: Some(&compiled.containers),
        runtime: Some(path),
        hook: &hook,
        log: log(invocation),
        events,
        stays: true,
        around: Some(&around),
        container: container.as_deref(),
        asking: Some(Asking {
            runtime: path,
            flags: &argv::global_flags(args, invocation),
        }),
    };
    let rewriting = bundle::rewrite(dir, &options)?;
    let mut changes = rewriting.changes().to_vec();
    changes.extend(
        around
            .enter(Some(rewriting.spec()))
            .map_err(WrapperError::Namespace)?,
    );
    rewriting.write()?;
    let given = |flag: &str, why: &str| Change {
        what: format!("{flag}: given to the runtime"),
        why: why.to_owned(),
    };
    let wants_flag = invocation.subcommand.takes_no_new_keyring() && !invocation.no_new_keyring;
    let no_new_keyring = match config.policy.no_new_keyring {
        _ if !wants_flag => None,
        NoNewKeyring::Always => Some("policy no_new_keyring is \"always\""),
        NoNewKeyring::Never => None,
        NoNewKeyring::Auto => {
            let refused = keyring::is_refused(rewriting.spec().root_uid());
            debug!(refused, "a new session keyring");
            refused.then_some("a new session keyring is refused here")
        }
    };
    changes.extend(no_new_keyring.map(|why| given("--no-new-keyring", why)));
    // What the engine says about cgroups stands: a manager like systemd makes them where this process cannot.
    let without_cgroups = config.cures(config.policy.crun_cgroups)
        && !invocation.cgroup_manager
        && identify(path, &config.state_dir).kind == Kind::Crun
        && cgroups::fail_crun();
    if without_cgroups {
        changes.push(given(
            "--cgroup-manager=disabled",
            "no cgroup can be made, or none frozen",
        ));
    }
    Ok(Prepared {
        no_new_keyring: no_new_keyring.is_some(),
        without_cgroups,
        rewriting: Some(rewriting),
        changes,
    })
}

fn bundle_of(invocation: &Invocation) -> &Path {
    Path::new(invocation.bundle.as_deref().unwrap_or(OsStr::new(".")))
}

/// The runtime's log, for the hook: with an absolute path, since the hook runs in another folder.
fn log(invocation: &Invocation) -> Option<Log> {
    let given = invocation.log.as_deref()?.to_str()?;
    // runc takes `file:PATH` too; `journald:` and `syslog:` are no paths.
    let path = match given.strip_prefix("file:").unwrap_or(given) {
        journal if journal.starts_with("journald:") || journal.starts_with("syslog:") => journal.to_owned(),
        path => std::path::absolute(path).ok()?.to_str()?.to_owned(),
    };
    let format = invocation
        .log_format
        .as_deref()
        .and_then(OsStr::to_str)
        .unwrap_or_default()
        .to_owned();
    Some(Log { path, format })
}

/// What the runtime's own `/proc` lacks of the keys that runtimes read there; of a runtime that nobody knows, of all keys.
/// The values are the administrator's choice, not the pod's; `linux.sysctl` is about the container.
fn around(path: &Path, compiled: Compiled) -> Result<Around, WrapperError> {
    let mut table = match Kind::of_file(path) {
        Kind::Unknown => compiled.containers,
        _ => compiled.runtimes,
    };
    table.retain(|_, entry| entry.source != ValueSource::Sysctl);
    Around::look(&table).map_err(WrapperError::Namespace)
}

/// Becomes `path`; returns why not.
fn exec(inherited: &Inherited, path: &Path, args: &[OsString]) -> WrapperError {
    let arguments = [path.as_os_str()]
        .into_iter()
        .chain(args.iter().map(OsString::as_os_str));
    let source = inherited.exec(path, arguments);
    WrapperError::Exec {
        path: path.to_owned(),
        source,
    }
}
