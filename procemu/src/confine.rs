//! Giving up what a process that prepares a container does not need: privileges, ways to get them back, open files of others.

use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs};

use crate::error::{Error, Result};
use crate::sys;

/// Capabilities, by what they are needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Privileges(CapabilitySet);

impl Privileges {
    /// Mounts, and namespaces that are made: CAP_SYS_ADMIN.
    pub const MOUNT: Self = Self(CapabilitySet::SYS_ADMIN);
    /// To look at another user's or a more privileged process, and to enter its namespaces: CAP_SYS_PTRACE, CAP_SYS_CHROOT;
    /// with [`Privileges::MOUNT`].
    pub const ENTER: Self = Self(CapabilitySet::SYS_PTRACE.union(CapabilitySet::SYS_CHROOT));
    /// To find a bundle and a rootfs whose folders belong to another user: CAP_DAC_READ_SEARCH.
    pub const FIND: Self = Self(CapabilitySet::DAC_READ_SEARCH);
    /// To write a key of a network namespace that belongs to a user namespace: CAP_NET_ADMIN.
    pub const SYSCTL: Self = Self(CapabilitySet::NET_ADMIN);
    /// To make a template's files immutable: CAP_LINUX_IMMUTABLE.
    pub const TEMPLATE: Self = Self(CapabilitySet::LINUX_IMMUTABLE);

    /// These and those.
    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0.union(others.0))
    }

    /// Gives up all other capabilities of the calling thread, and of the threads and processes that it makes.
    ///
    /// Who joins a user namespace has all of them there: it is to be called again then.
    ///
    /// # Errors
    /// `System` where capset(2) is refused, by a seccomp filter.
    pub fn keep(self) -> Result<()> {
        let failed =
            |call: &str, errno: rustix::io::Errno| Error::call(format!("give up privileges: {call}"), errno);
        let has = capabilities(None).map_err(|e| failed("capget()", e))?;
        let left = CapabilitySets {
            effective: has.effective & self.0,
            permitted: has.permitted & self.0,
            inheritable: CapabilitySet::empty(),
        };
        set_capabilities(None, left).map_err(|e| failed("capset()", e))
    }
}

/// Makes sure that no program that this process becomes gets a privilege back (prctl(2), PR_SET_NO_NEW_PRIVS), and closes every
/// descriptor but the standard ones: nothing that this process opened itself may be open yet.
///
/// Not for a process that becomes another program on behalf of its caller.
///
/// # Errors
/// `System` where one of the calls is refused.
pub fn alone() -> Result<()> {
    set_no_new_privs(true).map_err(|e| Error::call("give up privileges: prctl(PR_SET_NO_NEW_PRIVS)", e))?;
    sys::close_inherited().map_err(|e| Error::call("close_range(3, ~0U)", e))
}
