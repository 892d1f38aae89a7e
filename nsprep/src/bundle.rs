//! `bundle`: hook and rewrite in a bundle's config.json, so that a plain runtime runs it.

use std::path::{Path, PathBuf};

use clap::Args;
use runtime_bridge::bundle::{Options, rewrite};
use runtime_bridge::config::{Config, NO_STATE_DIR};
use runtime_bridge::report::chain;
use runtime_bridge::runtime::Kind;

use crate::exit::Exit;
use crate::exit::Failure;
use crate::output::print;
use crate::tables::Tables;

/// Options of `bundle`.
#[derive(Args, Debug)]
pub struct Bundle {
    /// Folder with the config.json
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    #[command(flatten)]
    tables: Tables,
    /// Rewrite for this runtime [default: any that takes createContainer hooks and every ociVersion]
    #[arg(long, value_name = "PATH")]
    runtime: Option<PathBuf>,
    /// Make this program the hook [default: runtime-bridge beside nsprep, or on PATH]
    #[arg(long, value_name = "PATH")]
    hook: Option<PathBuf>,
    /// Print the changes only
    #[arg(long)]
    dry_run: bool,
}

impl Bundle {
    /// `nsprep bundle`.
    pub fn run(&self) -> Result<Exit, Failure> {
        let table = self.tables.load_for_bundle()?;
        let config = Config {
            preset: self.tables.preset()?,
            // A bundle is made once: there is no next time to remember anything for.
            state_dir: NO_STATE_DIR.into(),
            ..Config::default()
        };
        let hook = match &self.hook {
            Some(path) => std::path::absolute(path).map_err(|e| Failure::usage(format!("--hook: {e}")))?,
            None => installed()?,
        };
        let options = Options {
            config: &config,
            table: Some(&table),
            compiled: None,
            runtime: self.runtime.as_deref().map(meant).transpose()?,
            hook: &hook,
            log: None,
            events: None,
            stays: false,
            around: None,
            container: None,
            asking: None,
        };
        let rewriting = rewrite(&self.dir, &options).map_err(|error| Failure::usage(chain(&error)))?;
        if !self.dry_run {
            rewriting.write().map_err(|error| Failure {
                exit: Exit::Failed,
                line: chain(&error),
            })?;
        }
        let mut lines: Vec<String> = rewriting.changes().iter().map(ToString::to_string).collect();
        if lines.is_empty() {
            lines.push("nothing to change".to_owned());
        }
        let said = print(&(lines.join("\n") + "\n"));
        if said.is_err() && !self.dry_run {
            // Who is told of a failure has the bundle as it was.
            rewriting.undo().map_err(|error| Failure {
                exit: Exit::Failed,
                line: chain(&error),
            })?;
        }
        said.map(|()| Exit::Done)
    }
}

/// The runtime that is named, by its path or, for a machine that has it elsewhere, by a name that tells which it is. For a path that is
/// wrong the bundle would be made as for any.
fn meant(runtime: &Path) -> Result<&Path, Failure> {
    let is_name = runtime.components().count() == 1 && Kind::of_file(runtime) != Kind::Unknown;
    match is_name || runtime.is_file() {
        true => Ok(runtime),
        false => Err(Failure::usage(format!(
            "--runtime {}: no such program; give its path",
            runtime.display()
        ))),
    }
}

/// `runtime-bridge`: beside this program, else on PATH.
fn installed() -> Result<PathBuf, Failure> {
    const NAME: &str = "runtime-bridge";
    let own = std::env::current_exe().ok();
    let beside = own
        .as_deref()
        .and_then(Path::parent)
        .map(|folder| folder.join(NAME));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join(NAME));
    let mut found = beside
        .into_iter()
        .chain(on_path)
        .filter(|path| path.is_absolute());
    found.find(|path| path.is_file()).ok_or_else(|| {
        Failure::usage("no runtime-bridge beside nsprep or on PATH to be the hook; name it with --hook")
    })
}
