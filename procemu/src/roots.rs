//! procfs and sysfs of one place together: what a table asks for is done in both, or in none.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::os::fd::AsFd;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::attach::{Attached, Options, attach_as};
use crate::error::{Error, ErrorKind, Result};
use crate::filesystem::Filesystem;
use crate::key::SysctlKey;
use crate::layer::{self, hold, layers, make_layers_read_only, number, take};
use crate::mount_tree;
use crate::mountinfo::Mount;
use crate::namespace::{Ids, private};
use crate::needs::Needs;
use crate::observe::Probing;
use crate::plan::{Placement, Plan, refuse_nested};
use crate::root::Root;
use crate::snapshot::Snapshot;
use crate::spare;
use crate::table::Table;
use crate::verify::{Check, Writes, verify};

/// The procfs and the sysfs of one place, to which one table is attached.
///
/// Only those are needed that a table has keys in.
#[derive(Debug)]
pub struct Roots {
    proc: Opened,
    sys: Opened,
}

#[derive(Debug)]
enum Opened {
    Open(Root),
    /// Why it is not, in one line: an error where a key needs it.
    Unusable(ErrorKind, String),
    /// The place has none; it lacks what a table would put there, and does without.
    Absent,
}

impl From<Result<Root>> for Opened {
    fn from(opened: Result<Root>) -> Self {
        match opened {
            Ok(root) => Self::Open(root),
            Err(error) => Self::Unusable(error.kind(), error.line()),
        }
    }
}

/// One thing for each of the two file systems.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Both<T> {
    /// For procfs.
    pub proc: T,
    /// For sysfs.
    pub sys: T,
}

impl<T> Both<T> {
    /// The one for `filesystem`.
    pub fn get(&self, filesystem: Filesystem) -> &T {
        match filesystem {
            Filesystem::Proc => &self.proc,
            Filesystem::Sys => &self.sys,
        }
    }

    fn each(mut make: impl FnMut(Filesystem) -> Result<T>) -> Result<Self> {
        Ok(Self {
            proc: make(Filesystem::Proc)?,
            sys: make(Filesystem::Sys)?,
        })
    }
}

impl Both<Plan> {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.proc.is_empty() && self.sys.is_empty()
    }

    /// The keys that will hold a value of ours, with whether they take writes.
    pub fn emulated(&self) -> impl Iterator<Item = (&SysctlKey, bool)> {
        self.proc.emulated().chain(self.sys.emulated())
    }

    /// Decides every value, as [`Snapshot::compile`] does.
    ///
    /// # Errors
    /// As [`Snapshot::compile`].
    pub fn compile(&self, table: &Table, host: Option<&Roots>) -> Result<Both<Snapshot>> {
        Both::each(|filesystem| {
            let host = host.and_then(|host| host.get(filesystem).ok());
            Snapshot::compile(self.get(filesystem), table, host)
        })
    }
}

/// A list for a log.
fn text<T: Display>(items: impl Iterator<Item = T>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(" ")
}

impl Roots {
    /// `/proc` and `/sys` of this mount namespace.
    pub fn open() -> Self {
        Self::of(Root::procfs("/proc"), Root::sysfs("/sys"))
    }

    /// `proc` and `sys` directly below the folder `rootfs`, which nobody needs to trust.
    pub fn beneath(rootfs: impl AsFd, shown: impl AsRef<Path>) -> Self {
        let root = |filesystem| Root::beneath(filesystem, rootfs.as_fd(), shown.as_ref());
        Self::of(root(Filesystem::Proc), root(Filesystem::Sys))
    }

    /// These two. One that could not be opened is an error only where a table has a key in it.
    pub fn of(proc: Result<Root>, sys: Result<Root>) -> Self {
        Self {
            proc: proc.into(),
            sys: sys.into(),
        }
    }

    /// Moves the calling process into a mount namespace of its own, as [`private`] does, and opens both there.
    ///
    /// # Errors
    /// As [`private`].
    pub fn private(ids: Ids) -> Result<Self> {
        // In this order: the second is to be of the namespace that the first has made.
        let proc = private(ids)?;
        Ok(Self::of(Ok(proc), Root::sysfs("/sys")))
    }

    /// The same place without one of them: a container that has none. Keys there are passed over.
    #[must_use]
    pub fn without(mut self, filesystem: Filesystem) -> Self {
        match filesystem {
            Filesystem::Proc => self.proc = Opened::Absent,
            Filesystem::Sys => self.sys = Opened::Absent,
        }
        self
    }

    /// One of them.
    ///
    /// # Errors
    /// `Place` if there is none, or what opening it failed with.
    pub fn get(&self, filesystem: Filesystem) -> Result<&Root> {
        match self.root(filesystem) {
            Opened::Open(root) => Ok(root),
            Opened::Unusable(kind, line) => Err(Error::new(*kind, line)),
            Opened::Absent => Err(Error::place(format!("there is no {} here", filesystem.name()))),
        }
    }

    /// Whether the place has it, be it unusable.
    pub fn has(&self, filesystem: Filesystem) -> bool {
        !matches!(self.root(filesystem), Opened::Absent)
    }

    fn root(&self, filesystem: Filesystem) -> &Opened {
        match filesystem {
            Filesystem::Proc => &self.proc,
            Filesystem::Sys => &self.sys,
        }
    }

    /// Those that are there.
    pub fn iter(&self) -> impl Iterator<Item = &Root> {
        Filesystem::ALL
            .into_iter()
            .filter_map(|filesystem| match self.root(filesystem) {
                Opened::Open(root) => Some(root),
                _ => None,
            })
    }

    /// Looks at every key of `table` and plans for `placement`, which may be another one in each.
    ///
    /// # Errors
    /// `Place` where the table has a key in a file system that cannot be used, else as [`Root::observe`] and
    /// [`Plan::new`].
    pub fn plan(
        &self,
        table: &Table,
        probing: Probing,
        placement: impl Fn(&Root) -> Result<Placement>,
    ) -> Result<Both<Plan>> {
        refuse_nested(table)?;
        Both::each(|filesystem| match self.wanted(table, filesystem)? {
            Some(root) => {
                let plan = Plan::new(table, &root.observe(table, probing)?, &placement(root)?)?;
                tracing::debug!(
                    at = %root.shown().display(),
                    keys = table.keys().filter(|key| key.filesystem() == filesystem).count(),
                    emulated = %text(plan.emulated().map(|(key, _)| key)),
                    overmounts = %text(plan.overmounts()),
                    "planned"
                );
                Ok(plan)
            }
            None => Ok(Plan::default()),
        })
    }

    /// What of `table` would be put in place, as [`Roots::plan`] finds out; it takes less to know than what has to be passed through.
    ///
    /// # Errors
    /// As [`Roots::plan`].
    pub fn needs(
        &self,
        table: &Table,
        probing: Probing,
        placement: impl Fn(&Root) -> Result<Placement>,
    ) -> Result<Both<Needs>> {
        Both::each(|filesystem| match self.wanted(table, filesystem)? {
            Some(root) => Needs::new(table, &root.observe_keys(table, probing)?, &placement(root)?),
            None => Ok(Needs::default()),
        })
    }

    /// The file system, if the table has a key in it and the place has it.
    fn wanted(&self, table: &Table, filesystem: Filesystem) -> Result<Option<&Root>> {
        let Some(key) = table.keys().find(|key| key.filesystem() == filesystem) else {
            return Ok(None);
        };
        match self.root(filesystem) {
            Opened::Absent => Ok(None),
            _ => self.get(filesystem).map(Some).map_err(|error| error.during(key)),
        }
    }

    /// Attaches both as one layer, or none of them.
    ///
    /// # Errors
    /// As [`crate::attach`]. What had been done before is undone, in both.
    pub fn attach(
        &self,
        plans: &Both<Plan>,
        snapshots: &Both<Snapshot>,
        options: &Options,
    ) -> Result<Attached> {
        if plans.is_empty() {
            return Ok(Attached::default());
        }
        let mounts = self.mounts()?;
        let points = self.iter().map(|root| root.mountpoint_in(&mounts));
        let points = points.collect::<Result<Vec<_>>>()?;
        let source = layer::next(&mounts, &points)?;
        let part = |filesystem, mounts: &[Mount], options: &Options| match plans.get(filesystem) {
            plan if plan.is_empty() => Ok(Attached::default()),
            plan => attach_as(
                &source,
                mounts,
                self.get(filesystem)?,
                plan,
                snapshots.get(filesystem),
                options,
            ),
        };
        let first = part(Filesystem::Proc, &mounts, options)?;
        if plans.sys.is_empty() {
            return Ok(first);
        }
        // What is lent is of procfs.
        let options = Options {
            shared: Default::default(),
            ..options.clone()
        };
        // The first has changed them.
        match self
            .mounts()
            .and_then(|mounts| part(Filesystem::Sys, &mounts, &options))
        {
            Ok(second) => Ok(first.and(second)),
            Err(error) => Err(first.undo(error)),
        }
    }

    /// Their mounts, and those below.
    fn mounts(&self) -> Result<Vec<Mount>> {
        mount_tree::of(self.iter().map(Root::handle))
    }

    /// Compares every key of `table` with what a reader sees, as [`verify`](crate::verify) does.
    ///
    /// # Errors
    /// `Place` where the table has a key in a file system that cannot be used, else as [`verify`](crate::verify).
    pub fn verify(&self, table: &Table, host: Option<&Self>, writes: Writes) -> Result<Vec<Check>> {
        let mut checks = Vec::new();
        for filesystem in Filesystem::ALL {
            if let Some(root) = self.wanted(table, filesystem)? {
                let host = host.and_then(|host| host.get(filesystem).ok());
                checks.extend(verify(root, table, host, writes)?);
            }
        }
        Ok(checks)
    }

    /// The names of the layers here, the first attached first.
    ///
    /// # Errors
    /// As [`layers`].
    pub fn layers(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for root in self.iter() {
            names.extend(layers(root)?.into_iter().map(|layer| layer.source));
        }
        names.sort_by_key(|name| number(name));
        names.dedup();
        Ok(names)
    }

    /// Which layer gives a reader each of `keys`; those that are the kernel's own, or of somebody else's mount, have none.
    ///
    /// # Errors
    /// As [`layers`].
    pub fn givers(&self, keys: &[&SysctlKey]) -> Result<BTreeMap<SysctlKey, String>> {
        let mut givers = BTreeMap::new();
        for root in self.iter() {
            let own = keys.iter().copied();
            let own = own.filter(|key| key.filesystem() == root.filesystem());
            givers.extend(layer::givers(root, own)?);
        }
        Ok(givers)
    }

    /// Takes the layer of that name off, as [`detach`](crate::detach) does.
    ///
    /// # Errors
    /// As [`detach`](crate::detach); of what lies below a later mount nothing is taken off, in neither of the two.
    pub fn detach(&self, name: &str) -> Result<()> {
        let mut found = Vec::new();
        for root in self.iter() {
            let named = layers(root)?.into_iter().filter(|layer| layer.source == name);
            found.extend(named.map(|layer| (root, layer)));
        }
        let held = found.iter().map(|(root, layer)| Ok((*root, hold(root, layer)?)));
        let held = held.collect::<Result<Vec<_>>>()?;
        held.iter().try_for_each(|(root, handles)| take(root, handles))
    }

    /// Makes every layer over `filesystem` read-only, with all that is mounted on it: keys that take writes, and originals
    /// that were passed through. For a mount namespace that is the caller's own.
    ///
    /// # Errors
    /// `System` or `Denied` if a mount cannot be changed; those before it are read-only then.
    pub fn make_layers_read_only(&self, filesystem: Filesystem) -> Result<()> {
        make_layers_read_only(self.get(filesystem)?)
    }

    /// Takes the spare of `filesystem` off, where there is one: a place without user namespaces has no use for it.
    ///
    /// # Errors
    /// `Denied` or `System` if it cannot be taken off; it is locked in a user namespace that it was inherited by.
    pub fn drop_spare(&self, filesystem: Filesystem) -> Result<()> {
        match self.root(filesystem) {
            Opened::Open(root) => spare::unmount(root),
            _ => Ok(()),
        }
    }
}
