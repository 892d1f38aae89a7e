//! System calls that look for a file or write one, in the registers of a tracee.

use nix::libc;
use nix::sys::ptrace;
use nix::unistd::Pid;

use super::files::word_at;

/// What a system call is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// A path at this address, relative to this descriptor.
    Path {
        /// Of a folder, or AT_FDCWD.
        folder: i32,
        /// In the tracee.
        address: u64,
        /// Whether it is to be written.
        writes: bool,
    },
    /// An open file, that is written.
    Written {
        /// Its descriptor.
        file: i32,
    },
}

/// The number and the arguments of a system call.
struct Call {
    number: i64,
    arguments: [u64; 3],
}

/// What the call at whose entry the tracee is stopped is about, if that is any matter here.
pub fn entered(pid: Pid) -> Option<About> {
    let Call { number, arguments } = call(pid)?;
    let [first, second, third] = arguments;
    // Descriptors are ints: the kernel looks at the lower half only.
    let folder = first as u32 as i32;
    match number {
        libc::SYS_openat
        | libc::SYS_openat2
        | libc::SYS_faccessat
        | libc::SYS_faccessat2
        | libc::SYS_newfstatat
        | libc::SYS_statx => Some(About::Path {
            folder,
            address: second,
            writes: match number {
                libc::SYS_openat => opens_to_write(third),
                // The first member of `struct open_how`.
                libc::SYS_openat2 => word_at(pid, third).is_some_and(opens_to_write),
                libc::SYS_faccessat | libc::SYS_faccessat2 => asks_to_write(third),
                _ => false,
            },
        }),
        libc::SYS_write | libc::SYS_pwrite64 | libc::SYS_writev => Some(About::Written { file: folder }),
        other => Some(About::Path {
            folder: libc::AT_FDCWD,
            address: first,
            writes: by_path(other, second)?,
        }),
    }
}

/// Of a call whose first argument is a path, whether the file is to be written.
#[cfg(target_arch = "x86_64")]
fn by_path(number: i64, second: u64) -> Option<bool> {
    match number {
        libc::SYS_open => Some(opens_to_write(second)),
        libc::SYS_access => Some(asks_to_write(second)),
        libc::SYS_creat | libc::SYS_truncate => Some(true),
        libc::SYS_stat | libc::SYS_lstat => Some(false),
        _ => None,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn by_path(number: i64, _: u64) -> Option<bool> {
    (number == libc::SYS_truncate).then_some(true)
}

/// The flags of open(2).
fn opens_to_write(flags: u64) -> bool {
    // As int, which they are but in openat2(2), where the others do not tell of writing.
    let flags = flags as u32 as i32;
    flags & libc::O_ACCMODE != libc::O_RDONLY || flags & libc::O_TRUNC != 0
}

/// The mode of access(2).
fn asks_to_write(mode: u64) -> bool {
    mode as u32 as i32 & libc::W_OK != 0
}

#[cfg(target_arch = "x86_64")]
fn call(pid: Pid) -> Option<Call> {
    /// `__USER32_CS`: a 32-bit program has other numbers, and is not looked at.
    const OF_32_BITS: u64 = 0x23;
    let registers = ptrace::getregs(pid).ok()?;
    (registers.cs != OF_32_BITS).then_some(Call {
        number: registers.orig_rax.cast_signed(),
        arguments: [registers.rdi, registers.rsi, registers.rdx],
    })
}

/// The errno with which the call at whose exit the tracee is stopped has failed.
#[cfg(target_arch = "x86_64")]
pub fn failed(pid: Pid) -> Option<i32> {
    errno(ptrace::getregs(pid).ok()?.rax)
}

#[cfg(target_arch = "aarch64")]
fn call(pid: Pid) -> Option<Call> {
    let registers = ptrace::getregs(pid).ok()?.regs;
    Some(Call {
        number: registers[8].cast_signed(),
        arguments: [registers[0], registers[1], registers[2]],
    })
}

/// The errno with which the call at whose exit the tracee is stopped has failed.
#[cfg(target_arch = "aarch64")]
pub fn failed(pid: Pid) -> Option<i32> {
    errno(ptrace::getregs(pid).ok()?.regs[0])
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn call(_: Pid) -> Option<Call> {
    None
}

/// Nothing on machines whose registers are not known here.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub fn failed(_: Pid) -> Option<i32> {
    None
}

/// Whether the registers of this machine are known.
pub const ARE_KNOWN: bool = cfg!(any(target_arch = "x86_64", target_arch = "aarch64"));

/// The kernel returns errors as -4095 to -1.
fn errno(result: u64) -> Option<i32> {
    let result = result.cast_signed();
    (-4095..0)
        .contains(&result)
        .then(|| i32::try_from(-result).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_tell_of_writing() {
        let opens = |flags: i32| opens_to_write(u64::from(flags.cast_unsigned()));
        assert!(!opens(libc::O_RDONLY | libc::O_CLOEXEC));
        assert!(opens(libc::O_WRONLY) && opens(libc::O_RDWR | libc::O_CLOEXEC) && opens(libc::O_TRUNC));
        assert!(!asks_to_write(4) && !asks_to_write(0) && asks_to_write(6));
    }

    #[test]
    fn errors_are_the_last_page_of_results() {
        for (result, expected) in [
            (0, None),
            (3, None),
            (-1, Some(1)),
            (-2, Some(2)),
            (-4095, Some(4095)),
            (-4096, None),
        ] {
            assert_eq!(errno(i64::cast_unsigned(result)), expected);
        }
    }
}
