//! `--rootfs` and `--pid`: which procfs a command is about.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use clap::Args;
use procemu::{Placement, Probing, Procfs, Target, Writes, ask_child, errno_text, reexec_sealed};

use crate::exit::{Exit, Failure};

/// Where to look or attach; this mount namespace's /proc where neither is given.
#[derive(Args, Debug, Default)]
pub struct PlaceArgs {
    /// Take the procfs mounted at DIR/proc, a container's before pivot_root say; what is attached there takes no writes
    #[arg(long, value_name = "DIR", conflicts_with = "pid")]
    pub rootfs: Option<PathBuf>,
    /// Take /proc as the process PID sees it, from within all of its namespaces
    #[arg(long, value_name = "PID")]
    pub pid: Option<u32>,
}

/// All of procfs. Before pivot_root runc has not made `linux.readonlyPaths` read-only yet, and what it makes so then does
/// not reach into our mounts: only what is read-only from the start stays so.
const PROTECTED: &[&str] = &[""];

/// A procfs and how to attach to it.
pub struct Place {
    /// The procfs.
    pub proc: Procfs,
    /// Around a program, or in a container.
    pub placement: Placement,
    /// How writability is found out there.
    pub probing: Probing,
    /// What `verify` expects of entries with mode 0644.
    pub writes: Writes,
}

impl PlaceArgs {
    /// To be called before anything else is read: a command that will enter a process's namespaces runs from a
    /// sealed copy of itself.
    pub fn prepare(&self) -> Result<(), Failure> {
        if self.pid.is_some() {
            reexec_sealed(None)?;
        }
        Ok(())
    }

    /// Does `work` there. All files that it needs must have been read before.
    pub fn enter(&self, work: impl FnOnce(&Place) -> Result<Exit, Failure>) -> Result<Exit, Failure> {
        match (&self.rootfs, self.pid) {
            (None, None) => work(&Place::here()?),
            (Some(rootfs), _) => {
                let folder = OpenOptions::new()
                    .read(true)
                    .custom_flags(nix::libc::O_PATH | nix::libc::O_DIRECTORY)
                    .open(rootfs);
                let folder = folder.map_err(|e| {
                    Failure::usage(format!("rootfs {}: {}", rootfs.display(), errno_text(&e)))
                })?;
                let place = Place::container(Procfs::beneath(folder, rootfs)?, PROTECTED)?;
                work(&place)
            }
            (None, Some(pid)) => {
                let target = Target::open(pid)?;
                target.join()?;
                // A joined pid namespace holds for children only.
                let answer = ask_child(|| {
                    let place = Procfs::open("/proc")
                        .map_err(Failure::from)
                        .and_then(|proc| Place::container(proc, &[]));
                    let exit = place.and_then(|place| work(&place)).unwrap_or_else(crate::fail);
                    vec![exit as u8]
                });
                match answer {
                    Ok(code) => Ok(Exit::from_code(code.first().copied().unwrap_or_default())),
                    Err(error) => Err(Failure {
                        exit: Exit::Failed,
                        line: format!("in pid {pid}'s namespaces: {error}"),
                    }),
                }
            }
        }
    }
}

impl Place {
    /// Around the programs of this mount namespace.
    pub fn here() -> Result<Self, Failure> {
        let proc = Procfs::open("/proc")?;
        Ok(Self {
            proc,
            placement: Placement::Program { writes: true },
            probing: Probing::WriteBack,
            writes: Writes::Granted,
        })
    }

    /// `read_only`: what has to be protected besides what is seen to be read-only on the mounts there.
    fn container(proc: Procfs, read_only: &[&str]) -> Result<Self, Failure> {
        let placement = Placement::Container {
            read_only: read_only.iter().map(|path| (*path).to_owned()).collect(),
            masked: proc.mounted_masks()?,
        };
        Ok(Self {
            proc,
            placement,
            probing: Probing::Open,
            writes: Writes::AsPlaced,
        })
    }
}
