//! The keys that the kernel lacks: all that a runtime has to do with procemu.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use procemu::{
    Attached, Entry, Filesystem, Options, Placement, Plan, Probing, Profile, Root, Snapshot, SysctlKey, Table,
};

use crate::Outcome;
use crate::config::Linux;

/// Sets the container's sysctls and attaches what it lacks to the `/proc` in `rootfs`, a folder that is called `shown`. `host` is the procfs
/// outside.
///
/// The calling process is in all of the container's namespaces, and `/proc` of the rootfs is mounted; what makes parts of it read-only
/// or hides them comes afterwards.
pub fn prepare(rootfs: &File, shown: &Path, linux: &Linux, host: &Root) -> Outcome<Attached> {
    // Of a hostile image: a `proc` that is a link, or no procfs, is refused here.
    let proc = Root::beneath(Filesystem::Proc, rootfs, shown)?;
    let mut table: Table = Profile::get("container")?.clone();
    table.apply_sysctls(&BTreeMap::new());
    // Before the attach: below a read-only path, what is passed through is read-only from then on.
    for (name, value) in &linux.sysctl {
        let key: SysctlKey = name.parse()?;
        match proc.open_for_writing(&key) {
            Ok(mut file) => file
                .write_all(value.as_bytes())
                .map_err(|e| format!("sysctl {name}={value}: {e}"))?,
            // One that the kernel lacks is shown with the value that was asked for.
            Err(error) if error.errno() == Some(nix::libc::ENOENT) => {
                table.insert(key, Entry::literal(value.as_str()));
            }
            Err(error) => return Err(error.into()),
        }
    }
    let below_proc = |paths: &Option<Vec<String>>| {
        let paths = paths.iter().flatten();
        let below = paths.filter_map(|path| path.strip_prefix("/proc/"));
        below.map(str::to_owned).collect()
    };
    let placement = Placement::Container {
        read_only: below_proc(&linux.readonly_paths),
        masked: below_proc(&linux.masked_paths),
    };
    let seen = proc.observe(&table, Probing::Open)?;
    let plan = Plan::new(&table, &seen, &placement)?;
    let snapshot = Snapshot::compile(&plan, &table, Some(host))?;
    Ok(procemu::attach(&proc, &plan, &snapshot, &Options::default())?)
}
