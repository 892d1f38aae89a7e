//! Another container's process that looks into all that has a certain name, all the time.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::uio::{RemoteIoVec, process_vm_writev};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// What can be done to a process of another container, as [`trace`] names it.
pub const CALLS: [&str; 4] = ["attached", "seized", "wrote", "opened mem"];

/// Tries [`CALLS`] at each process whose name begins with one of `names`, until the file `over` is there, and says how often each was
/// allowed. Zeroes are written to its stack and its heap if it `writes`, else nothing is.
///
/// # Errors
/// `/proc` cannot be read.
pub fn trace(writes: bool, over: &Path, names: &str) -> io::Result<()> {
    let mut counts = BTreeMap::new();
    fs::write(over.with_file_name("begun"), "")?;
    while !over.exists() {
        for pid in processes(names)? {
            let allowed = [
                ("found", true),
                (CALLS[0], ptrace::attach(pid).map(|()| leave(pid)).is_ok()),
                (
                    CALLS[1],
                    ptrace::seize(pid, Options::empty())
                        .map(|()| leave_seized(pid))
                        .is_ok(),
                ),
                (CALLS[2], write(pid, writes)),
                (CALLS[3], open_mem(pid, writes)),
            ];
            for (call, _) in allowed.iter().filter(|(_, allowed)| *allowed) {
                *counts.entry(*call).or_insert(0) += 1;
            }
        }
    }
    counts
        .iter()
        .for_each(|(call, count)| println!("{call}: {count}"));
    Ok(())
}

/// Those whose name begins with one of `names`.
///
/// # Errors
/// `/proc` cannot be read.
pub fn processes(names: &str) -> io::Result<Vec<Pid>> {
    let named = |pid: &i32| {
        let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        names.split(',').any(|name| comm.starts_with(name))
    };
    let numbers = fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    Ok(numbers.filter(named).map(Pid::from_raw).collect())
}

/// Lets a process go that is about to stop for its tracer, by a signal that it must not keep.
fn leave(pid: Pid) {
    // It may have ended.
    while let Ok(WaitStatus::Stopped(_, signal)) = waitpid(pid, Some(WaitPidFlag::__WALL)) {
        if signal == Signal::SIGSTOP {
            break;
        }
        let _ = ptrace::cont(pid, Some(signal).filter(|signal| *signal != Signal::SIGTRAP));
    }
    let _ = ptrace::detach(pid, None);
}

fn leave_seized(pid: Pid) {
    let _ = ptrace::interrupt(pid);
    let _ = waitpid(pid, Some(WaitPidFlag::__WALL));
    let _ = ptrace::detach(pid, None);
}

/// Whether its memory takes writes, by process_vm_writev(2).
fn write(pid: Pid, writes: bool) -> bool {
    let zeroes = [0; 4096];
    let at = |base| {
        let there = RemoteIoVec {
            base,
            len: zeroes.len(),
        };
        process_vm_writev(pid, &[IoSlice::new(&zeroes)], &[there])
    };
    // Nothing lies at the first address, and who may not write is told so first.
    match at(0) {
        Err(Errno::EFAULT) => {}
        Err(_) => return false,
        Ok(_) => return true,
    }
    if writes {
        for base in places(pid) {
            let _ = at(base);
        }
    }
    true
}

fn open_mem(pid: Pid, writes: bool) -> bool {
    let Ok(mem) = OpenOptions::new()
        .read(true)
        .write(true)
        .open(format!("/proc/{pid}/mem"))
    else {
        return false;
    };
    if writes {
        for place in places(pid) {
            let _ = mem.write_at(&[0; 4096], place as u64);
        }
    }
    true
}

/// The last pages of the stack and the first ones of the heap.
fn places(pid: Pid) -> Vec<usize> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    let place = |line: &str| {
        let (first, end) = line.split_once(' ')?.0.split_once('-')?;
        let number = |text| usize::from_str_radix(text, 16).ok();
        match line.rsplit_once(' ')?.1 {
            "[stack]" => number(end)?.checked_sub(3 * 4096),
            "[heap]" => number(first),
            _ => None,
        }
    };
    maps.lines().filter_map(place).collect()
}
