//! `--rootfs` and `--pid`: which procfs and sysfs a command is about.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use clap::Args;
use procemu::{
    Both, Filesystem, Placement, Plan, Probing, Root, Roots, Snapshot, Table, Target, Writes, ask_child,
    errno_text, hide, reexec_sealed,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::exit::{Exit, Failure};

/// Where to look or attach; this mount namespace's /proc and /sys where neither is given.
#[derive(Args, Debug, Default)]
pub struct PlaceArgs {
    /// Take the procfs and sysfs mounted at DIR/proc and DIR/sys, a container's before pivot_root say; what is attached
    /// there takes no writes
    #[arg(long, value_name = "DIR", conflicts_with = "pid")]
    pub rootfs: Option<PathBuf>,
    /// Take /proc and /sys as the process PID sees them, from within all of its namespaces
    #[arg(long, value_name = "PID")]
    pub pid: Option<u32>,
}

/// A procfs and a sysfs, and how to attach to them.
pub struct Place {
    /// The two.
    pub roots: Roots,
    /// Around a program, or in a container.
    pub kind: Kind,
}

/// What is at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The programs of this mount namespace.
    Program,
    /// A running container.
    Container,
    /// A container before pivot_root. runc has not made `linux.readonlyPaths` read-only yet, and what it makes so then does
    /// not reach into our mounts: only what is read-only from the start stays so.
    Unfinished,
}

/// What to do at a place, and the values that go with it.
pub struct Prepared {
    /// What to do.
    pub plans: Both<Plan>,
    /// What the tmpfs will hold.
    pub snapshots: Both<Snapshot>,
}

impl PlaceArgs {
    /// To be called before anything else is read: a command that will enter a process's namespaces runs from a
    /// sealed copy of itself, and none that works on a container's folders can be looked into from there.
    pub fn prepare(&self) -> Result<(), Failure> {
        if self.pid.is_some() {
            reexec_sealed(None)?;
        }
        if self.pid.is_some() || self.rootfs.is_some() {
            hide()?;
        }
        Ok(())
    }

    /// In words.
    pub fn shown(&self) -> String {
        match (&self.rootfs, self.pid) {
            (Some(rootfs), _) => format!("rootfs {}", rootfs.display()),
            (None, Some(pid)) => format!("pid {pid}"),
            (None, None) => "here".to_owned(),
        }
    }

    /// Does `work` there. All files that it needs must have been read before.
    pub fn enter(&self, work: impl FnOnce(&Place) -> Result<Exit, Failure>) -> Result<Exit, Failure> {
        let code = self.within(|place| {
            let exit = place.and_then(|place| work(&place)).unwrap_or_else(crate::fail);
            vec![exit as u8]
        })?;
        Ok(Exit::from_code(code.first().copied().unwrap_or_default()))
    }

    /// Gives what `work` finds there. This process stays where it is.
    pub fn fetch<T: Serialize + DeserializeOwned>(
        &self,
        work: impl FnOnce(&Place) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let failed = |why: &dyn std::fmt::Display| Failure {
            exit: Exit::Failed,
            line: format!("look at {}: {why}", self.shown()),
        };
        let told = |found: Result<T, Failure>| {
            let found = found.map_err(|failure| (failure.exit as u8, failure.line));
            serde_json::to_vec(&found).unwrap_or_default()
        };
        let answer = ask_child(|| {
            let answer = self.within(|place| told(place.and_then(|place| work(&place))));
            answer.unwrap_or_else(|failure| told(Err(failure)))
        });
        let answer = answer.map_err(|error| failed(&error))?;
        let found: Result<T, (u8, String)> =
            serde_json::from_slice(&answer).map_err(|error| failed(&error))?;
        found.map_err(|(code, line)| Failure {
            exit: Exit::from_code(code),
            line,
        })
    }

    fn within(&self, work: impl FnOnce(Result<Place, Failure>) -> Vec<u8>) -> Result<Vec<u8>, Failure> {
        match (&self.rootfs, self.pid) {
            (None, None) => Ok(work(Place::here())),
            (Some(rootfs), _) => {
                let folder = OpenOptions::new()
                    .read(true)
                    .custom_flags(nix::libc::O_PATH | nix::libc::O_DIRECTORY)
                    .open(rootfs);
                let folder = folder.map_err(|e| {
                    Failure::usage(format!("rootfs {}: {}", rootfs.display(), errno_text(&e)))
                })?;
                let roots = Roots::beneath(folder, rootfs);
                Ok(work(Place::checked(roots, Kind::Unfinished)))
            }
            (None, Some(pid)) => {
                let target = Target::open(pid)?;
                target.join()?;
                // A joined pid namespace holds for children only.
                let answer = ask_child(|| work(Place::checked(Roots::open(), Kind::Container)));
                answer.map_err(|error| Failure {
                    exit: Exit::Failed,
                    line: format!("in pid {pid}'s namespaces: {error}"),
                })
            }
        }
    }
}

impl Place {
    /// Around the programs of this mount namespace.
    pub fn here() -> Result<Self, Failure> {
        Self::checked(Roots::open(), Kind::Program)
    }

    /// Without a procfs nothing works; a sysfs is needed for keys there only.
    fn checked(roots: Roots, kind: Kind) -> Result<Self, Failure> {
        roots.get(Filesystem::Proc)?;
        Ok(Self { roots, kind })
    }

    /// Looks, plans and asks for the values; those of `host` entries are taken from `host`.
    pub fn prepare(&self, table: &mut Table, host: &Roots) -> Result<Prepared, Failure> {
        table.apply_sysctls(&Default::default());
        let probing = match self.kind {
            Kind::Program => Probing::WriteBack,
            _ => Probing::Open,
        };
        let plans = self.roots.plan(table, probing, |root| self.placement(root))?;
        let snapshots = plans.compile(table, Some(host))?;
        Ok(Prepared { plans, snapshots })
    }

    fn placement(&self, root: &Root) -> procemu::Result<Placement> {
        Ok(match self.kind {
            Kind::Program => Placement::Program { writes: true },
            Kind::Container => Placement::Container {
                read_only: Vec::new(),
                masked: root.mounted_masks()?,
            },
            Kind::Unfinished => Placement::Container {
                read_only: vec![String::new()],
                masked: root.mounted_masks()?,
            },
        })
    }

    /// What `verify` expects of entries with mode 0644.
    pub fn writes(&self) -> Writes {
        match self.kind {
            Kind::Program => Writes::Granted,
            _ => Writes::AsPlaced,
        }
    }
}
