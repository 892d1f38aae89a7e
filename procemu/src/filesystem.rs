//! The two file systems whose files are keys.

use rustix::fs::StatFs;
use serde::{Deserialize, Serialize};

/// Which file system a key lies in. Each is planned and attached by itself; [`crate::Roots`] does both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filesystem {
    /// procfs, mounted at `/proc`.
    #[default]
    Proc,
    /// sysfs, mounted at `/sys`, and what is mounted below it, such as cgroupfs.
    Sys,
}

impl Filesystem {
    /// Both, in the order in which keys are sorted.
    pub const ALL: [Self; 2] = [Self::Proc, Self::Sys];

    /// Where it is mounted: `/proc`.
    #[must_use]
    pub fn mountpoint(self) -> &'static str {
        match self {
            Self::Proc => "/proc",
            Self::Sys => "/sys",
        }
    }

    /// As people call it: `procfs`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Proc => "procfs",
            Self::Sys => "sysfs",
        }
    }

    /// As mountinfo calls it.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Proc => "proc",
            Self::Sys => "sysfs",
        }
    }

    /// Whether that is what statfs(2) tells of it.
    pub(crate) fn is(self, found: &StatFs) -> bool {
        // PROC_SUPER_MAGIC and SYSFS_MAGIC in linux/magic.h.
        let magic = match self {
            Self::Proc => 0x9fa0,
            Self::Sys => 0x6265_6572,
        };
        found.f_type as u64 == magic
    }

    /// Whether a file with that statfs(2) is a key of the kernel's own. Below `/sys` other file systems have theirs; an
    /// overmount is a tmpfs, or an overlayfs of one.
    pub(crate) fn is_kernels(self, found: &StatFs) -> bool {
        // TMPFS_MAGIC and OVERLAYFS_SUPER_MAGIC in linux/magic.h.
        match self {
            Self::Proc => self.is(found),
            Self::Sys => !matches!(found.f_type as u64, 0x0102_1994 | 0x794c_7630),
        }
    }

    pub(crate) fn is_proc(&self) -> bool {
        *self == Self::Proc
    }
}
