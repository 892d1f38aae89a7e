//! What was moved out of `linux.sysctl`, written to the kernel's own keys while they can still be written.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use procemu::{Entry, Error, Mode, Root, SysctlKey, Table, When, errno_text};

use super::Order;
use crate::config::{MissingSysctls, RefusedSysctls};
use crate::rewrite::requested;
use crate::sysctl::{Request, is_refusal};

/// What has been written, to be put back where something fails later: the namespace may be another's as well.
pub(super) struct Written<'a> {
    /// As spelled, the open key, and its value before.
    keys: Vec<(&'a str, File, Vec<u8>)>,
}

impl Written<'_> {
    /// Undoes it because of `error`, and gives that with what could not be undone.
    pub(super) fn put_back(self, error: Error) -> Error {
        let back = |error: Error, (spelling, file, value): (&str, File, Vec<u8>)| match file
            .write_all_at(&value, 0)
        {
            Ok(()) => error,
            Err(errno) => error.during(format!(
                "sysctl {spelling} is not back to its value ({})",
                errno_text(&errno)
            )),
        };
        self.keys.into_iter().rev().fold(error, back)
    }
}

/// Writes the sysctls of `order`, all or none. What is not the kernel's gets a key of ours; gives the table with those.
///
/// # Errors
/// The first that is refused, or that the kernel lacks, unless policy emulates such a one; nothing has another value then.
pub(super) fn set<'a>(proc: &Root, order: &'a Order) -> Result<(Table, Written<'a>), Error> {
    let mut table = order.table.clone();
    let mut written = Written { keys: Vec::new() };
    if order.sysctl.is_empty() {
        return Ok((table, written));
    }
    // crun has made keys read-only already; in a runtime that has not, both are the same.
    let clear = proc.unshadowed().ok();
    let mut own = Vec::new();
    for request @ Request { spelling, key, value } in &order.sysctl {
        tracing::debug!(sysctl = spelling, value, "is to be set");
        if !proc.has_own(key)? {
            if order.missing_sysctls == MissingSysctls::Fail && !table.contains_key(key) {
                return Err(Error::input(format!(
                    "sysctl {spelling}={value}: the kernel lacks it"
                )));
            }
            table.insert(key.clone(), emulated(value, Mode::ReadWrite));
            continue;
        }
        match open(clear.as_ref(), proc, key) {
            Ok(file) => own.push((request, file)),
            Err(_) if is_replaced(&table, key) => {}
            Err(error) => refused(request, error, &mut table, order)?,
        }
    }
    for (request @ Request { spelling, key, value }, file) in own {
        // Of the file that is written: what is mounted over it has another.
        let before = fs::read(format!("/proc/self/fd/{}", file.as_raw_fd())).ok();
        match file.write_all_at(value.as_bytes(), 0) {
            // A key that cannot be read is an order and has no value.
            Ok(()) => written
                .keys
                .extend(before.map(|before| (spelling.as_str(), file, before))),
            Err(_) if is_replaced(&table, key) => {}
            Err(errno) => {
                let error = Error::failed_write(Path::new(&proc.show(key.path())), errno);
                if let Err(error) = refused(request, error, &mut table, order) {
                    return Err(written.put_back(error));
                }
            }
        }
    }
    Ok((table, written))
}

/// Whether what replaces the key has the value, whether the kernel takes it or not.
fn is_replaced(table: &Table, key: &SysctlKey) -> bool {
    table.get(key).is_some_and(|entry| entry.when == When::Always)
}

/// Opens a key for writing: in `clear`, the procfs without what is mounted over it, or where there is none, or it is refused,
/// in the mounted `proc`. (A security module may take what is mounted nowhere for something else.) There it is to be that
/// procfs's own, since what is mounted over it, a volume of the container's, might lead to a key of the host.
fn open(clear: Option<&Root>, proc: &Root, key: &SysctlKey) -> Result<File, Error> {
    let Some(clear) = clear else {
        return proc.open_own_for_writing(key);
    };
    match clear.open_for_writing(key) {
        Err(refusal) if is_refusal(&refusal) => proc.open_own_for_writing(key).map_err(|_| refusal),
        other => other,
    }
}

/// What policy makes of a key that cannot be written: an error, or a key of ours in its place.
fn refused(
    Request { spelling, key, value }: &Request,
    error: Error,
    table: &mut Table,
    order: &Order,
) -> Result<(), Error> {
    let error = error.during(format!("sysctl {spelling}={value}"));
    if order.refused_sysctls != RefusedSysctls::Emulate || !is_refusal(&error) {
        return Err(error);
    }
    order.warn(format!(
        "{}: emulated, the kernel's own value is another",
        error.line()
    ));
    // Nobody could write it before.
    table.insert(key.clone(), emulated(value, Mode::ReadOnly));
    Ok(())
}

fn emulated(value: &str, mode: Mode) -> Entry {
    requested(value).with_mode(mode).with_when(When::Always)
}
