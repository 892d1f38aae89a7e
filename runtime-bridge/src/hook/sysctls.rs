//! What was moved out of `linux.sysctl`, written to the kernel's own keys while they can still be written.

use procemu::{Entry, Error, Mode, Root, SysctlKey, Table, When};

use super::Order;
use crate::config::{MissingSysctls, RefusedSysctls};
use crate::job::Log;
use crate::report::Level;
use crate::sysctl::is_refusal;

/// What has been written, to be put back where something fails later: the namespace may be another's as well.
#[derive(Default)]
pub(super) struct Written<'a> {
    /// As spelled, the key, and its value before.
    keys: Vec<(&'a str, &'a SysctlKey, String)>,
    places: Places<'a>,
}

/// Where a key is written: the first place that takes it.
#[derive(Default)]
struct Places<'a> {
    /// The procfs without what is mounted over it: crun has made keys read-only already.
    clear: Option<Root>,
    /// The procfs as it is mounted: a security module may refuse what is mounted nowhere.
    mounted: Option<&'a Root>,
}

impl Places<'_> {
    /// Does `call` where it is not refused. A refusal everywhere is told as the first place has it.
    fn each<T>(&self, call: impl Fn(&Root) -> Result<T, Error>) -> Result<T, Error> {
        let mut places = self.clear.iter().chain(self.mounted);
        let first = places
            .next()
            .map_or_else(|| Err(Error::input("there is no procfs")), &call);
        match first {
            Err(error) if is_refusal(&error) => places.find_map(|root| call(root).ok()).ok_or(error),
            other => other,
        }
    }
}

impl Written<'_> {
    /// Undoes it because of `error`, and gives that with what could not be undone.
    pub(super) fn put_back(self, error: Error) -> Error {
        let Self { keys, places } = self;
        keys.into_iter()
            .rev()
            .fold(error, |error, (spelling, key, value)| {
                match places.each(|root| root.write(key, &value)) {
                    Ok(()) => error,
                    Err(left) => error.during(format!(
                        "sysctl {spelling} is not back to its value ({})",
                        left.line()
                    )),
                }
            })
    }
}

/// Writes the sysctls of `order`, all or none. What is not the kernel's gets a key of ours; gives the table with those.
///
/// # Errors
/// The first that is refused, or that the kernel lacks, unless policy emulates such a one; nothing has another value then.
pub(super) fn set<'a>(proc: &'a Root, order: &'a Order) -> Result<(Table, Written<'a>), Error> {
    let mut table = order.table.clone();
    let mut written = Written::default();
    if order.sysctl.is_empty() {
        return Ok((table, written));
    }
    written.places.clear = proc.unshadowed().ok();
    written.places.mounted = Some(proc);
    let mut own = Vec::new();
    for request @ (spelling, key, value) in &order.sysctl {
        if !proc.has_own(key)? {
            if order.missing_sysctls == MissingSysctls::Fail && !table.contains_key(key) {
                return Err(Error::input(format!(
                    "sysctl {spelling}={value}: the kernel lacks it"
                )));
            }
            table.insert(key.clone(), emulated(value, Mode::ReadWrite));
            continue;
        }
        // What replaces the key has the value, whether the kernel takes it or not.
        if table.get(key).is_some_and(|entry| entry.when == When::Always) {
            let _ = written.places.each(|root| root.write(key, value));
            continue;
        }
        match written.places.each(|root| root.open_for_writing(key)) {
            Ok(_) => own.push(request),
            Err(error) => refused(request, error, &mut table, order)?,
        }
    }
    for request @ (spelling, key, value) in own {
        let before = proc
            .read(key.path())
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok());
        match written.places.each(|root| root.write(key, value)) {
            // A key that cannot be read is an order and has no value.
            Ok(()) => written
                .keys
                .extend(before.map(|before| (spelling.as_str(), key, before))),
            Err(error) => {
                if let Err(error) = refused(request, error, &mut table, order) {
                    return Err(written.put_back(error));
                }
            }
        }
    }
    Ok((table, written))
}

/// What policy makes of a key that cannot be written: an error, or a key of ours in its place.
fn refused(
    (spelling, key, value): &(String, SysctlKey, String),
    error: Error,
    table: &mut Table,
    order: &Order,
) -> Result<(), Error> {
    let error = error.during(format!("sysctl {spelling}={value}"));
    if order.refused_sysctls != RefusedSysctls::Emulate || !is_refusal(&error) {
        return Err(error);
    }
    let report = order.log.as_ref().map(Log::report).unwrap_or_default();
    report.tell(
        Level::Warning,
        &format!("{}: emulated, the kernel's own value is another", error.line()),
    );
    // Nobody could write it before.
    table.insert(key.clone(), emulated(value, Mode::ReadOnly));
    Ok(())
}

fn emulated(value: &str, mode: Mode) -> Entry {
    Entry::literal(value)
        .with_mode(mode)
        .with_when(When::Always)
        .with_doc("requested by linux.sysctl")
}
