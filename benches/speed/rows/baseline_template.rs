//! The template in C, and what it leaves to be bound.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::Command;

use procemu::{Entry, Placement, Plan, Probing, Root, Step, Table};

use crate::baseline::Baselines;
use crate::helper::Helper;
use crate::{Bench, Outcome};

/// A running `template` of the baselines.
pub struct Template {
    /// It attaches and detaches when it is asked.
    pub helper: Helper,
    scratch: PathBuf,
    namespaced: Vec<String>,
}

impl Template {
    /// Starts one; its template is there then.
    ///
    /// # Errors
    /// If it cannot be started, or cannot attach.
    pub fn start(bench: &Bench, baselines: &Baselines) -> Outcome<Self> {
        let scratch = bench.folder("template.scratch")?;
        let namespaced = namespaced()?;
        let mut command = Command::new(baselines.path("template"));
        let template = Self {
            helper: Helper::start(command.arg(&scratch).args(&namespaced))?,
            scratch,
            namespaced,
        };
        template.helper.costs("attach")?;
        Ok(template)
    }

    /// The same without the program, for whoever waits for all processes to end.
    ///
    /// # Errors
    /// If its mount namespace cannot be opened.
    pub fn held(self) -> Outcome<Held> {
        Ok(Held {
            namespace: File::open(format!("/proc/{}/ns/mnt", self.helper.pid()))?,
            scratch: self.scratch,
            namespaced: self.namespaced,
        })
    }
}

/// A template that an open file keeps.
pub struct Held {
    namespace: File,
    scratch: PathBuf,
    namespaced: Vec<String>,
}

impl Held {
    /// What `template_hook` has to know about it: its mount namespace, where it is there, and what is not in it.
    pub fn arguments(&self) -> impl Iterator<Item = String> {
        let namespace = format!("/proc/{}/fd/{}", std::process::id(), self.namespace.as_raw_fd());
        let scratch = self.scratch.display().to_string();
        [namespace, scratch].into_iter().chain(self.namespaced.clone())
    }
}

/// The names in `/proc/sys/kernel` of what belongs to a namespace: around a program it is what has to be linked.
fn namespaced() -> Outcome<Vec<String>> {
    let table: Table = [("kernel/made_up".parse()?, Entry::literal(7))]
        .into_iter()
        .collect();
    let seen = Root::procfs("/proc")?.observe(&table, Probing::Open)?;
    let plan = Plan::new(&table, &seen, &Placement::Program { writes: true })?;
    let links = plan.steps.iter().filter_map(|step| match step {
        Step::Link { path, .. } => path.strip_prefix("sys/kernel/").map(str::to_owned),
        _ => None,
    });
    Ok(links.collect())
}
