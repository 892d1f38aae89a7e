//! System calls that no crate offers a safe function for; all of the library's `unsafe`.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_int, c_uint, c_ulong};
use std::io;
use std::num::NonZeroU32;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr::{null, without_provenance_mut};

use nix::errno::Errno;

// Its kernel's unsigned long is longer than C's: the structures here would be too short.
#[cfg(all(target_arch = "x86_64", target_pointer_width = "32"))]
compile_error!("x32 is not supported");

/// Whether setgroups(2) would take that many groups. No group is ever set: none can be read from the given address.
/// `None` if the caller may not set groups.
pub(crate) fn setgroups_would_take(count: NonZeroU32) -> Option<bool> {
    // The last page. Nothing is ever mapped there, on no machine: its addresses are those that stand for errors in the kernel
    // (include/linux/err.h, `IS_ERR_VALUE`). One page more, and 32-bit Arm has code there that everybody may read.
    let nowhere = without_provenance_mut::<libc::gid_t>(usize::MAX & !0xfff);
    // SAFETY: the kernel itself reads the groups, before it sets any, and answers EFAULT for an address that nothing is mapped at.
    // A count of 0, for which it would read nothing and succeed, is excluded by type. Called without libc, whose setgroups acts on
    // every thread.
    let answer = unsafe { libc::syscall(libc::SYS_setgroups, libc::c_long::from(count.get()), nowhere) };
    match Errno::result(answer) {
        Err(Errno::EFAULT) => Some(true),
        Err(Errno::EINVAL) => Some(false),
        _ => None,
    }
}

/// The IPC namespace's shared memory limits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ShmLimits {
    /// Bytes of one segment.
    pub max: u64,
    /// Pages of all segments.
    pub all: u64,
    /// Segments.
    pub mni: u64,
}

/// shmctl(0, IPC_INFO, ...).
pub(crate) fn shm_limits() -> Option<ShmLimits> {
    /// include/uapi/linux/shm.h `struct shminfo64`.
    #[repr(C)]
    #[derive(Default)]
    struct ShmInfo64 {
        max: c_ulong,
        min: c_ulong,
        mni: c_ulong,
        seg: c_ulong,
        all: c_ulong,
        unused: [c_ulong; 4],
    }
    let mut info = ShmInfo64::default();
    // SAFETY: for IPC_INFO the kernel writes a `struct shminfo64` and no more, nine of its unsigned longs; `info` is one, and a local
    // variable. It is the longer of two structures, which C libraries ask for (IPC_64).
    let answer = unsafe { libc::shmctl(0, libc::IPC_INFO, (&raw mut info).cast()) };
    Errno::result(answer).ok()?;
    // c_ulong is u32 on 32-bit machines.
    #[allow(clippy::useless_conversion)]
    Some(ShmLimits {
        max: info.max.into(),
        all: info.all.into(),
        mni: info.mni.into(),
    })
}

/// The IPC namespace's message queue limits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MsgLimits {
    /// Bytes of one message.
    pub max: i32,
    /// Bytes of one queue.
    pub mnb: i32,
    /// Queues.
    pub mni: i32,
}

/// msgctl(0, IPC_INFO, ...).
pub(crate) fn msg_limits() -> Option<MsgLimits> {
    /// include/uapi/linux/msg.h `struct msginfo`.
    #[repr(C)]
    #[derive(Default)]
    struct MsgInfo {
        pool: c_int,
        map: c_int,
        max: c_int,
        mnb: c_int,
        mni: c_int,
        ssz: c_int,
        tql: c_int,
        seg: u16,
    }
    let mut info = MsgInfo::default();
    // SAFETY: for IPC_INFO the kernel writes a `struct msginfo` and no more, with the padding at its end; `info` is one, and a local
    // variable.
    let answer = unsafe { libc::msgctl(0, libc::IPC_INFO, (&raw mut info).cast()) };
    Errno::result(answer).ok()?;
    Some(MsgLimits {
        max: info.max,
        mnb: info.mnb,
        mni: info.mni,
    })
}

/// The IPC namespace's semaphore limits: per set, in all, per call, and sets.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub(crate) struct SemLimits {
    map: c_int,
    pub mni: c_int,
    pub mns: c_int,
    mnu: c_int,
    pub msl: c_int,
    pub opm: c_int,
    ume: c_int,
    usz: c_int,
    vmx: c_int,
    aem: c_int,
}

/// semctl(0, 0, IPC_INFO, ...).
pub(crate) fn sem_limits() -> Option<SemLimits> {
    let mut info = SemLimits::default();
    // SAFETY: for IPC_INFO the kernel writes a `struct seminfo` (include/uapi/linux/sem.h) and no more, ten ints; `info` is one, and a
    // local variable. C has a union there, which is passed as the pointer in it is; but by its address on 32-bit PowerPC, whose C library
    // takes the first bytes of `info` for the pointer then: null, and EFAULT.
    let answer = unsafe { libc::semctl(0, 0, libc::IPC_INFO, &raw mut info) };
    Errno::result(answer).ok()?;
    Some(info)
}

/// Pid 1's soft RLIMIT_NPROC; `None` if it is unlimited or the caller may not know. (rustix's prlimit always sets, too.)
pub(crate) fn init_process_limit() -> Option<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: a null pointer gives no new limit; the old one is written to a local variable of the C library's own type.
    let answer = unsafe { libc::prlimit(1, libc::RLIMIT_NPROC, null(), &raw mut limit) };
    Errno::result(answer).ok()?;
    #[allow(clippy::useless_conversion)]
    (limit.rlim_cur != libc::RLIM_INFINITY).then(|| limit.rlim_cur.into())
}

/// The backlog of a listening TCP socket, which the kernel tells in `tcpi_sacked` (net/ipv4/tcp.c `tcp_get_info`).
pub(crate) fn backlog(socket: BorrowedFd<'_>) -> Option<u32> {
    /// The beginning of include/uapi/linux/tcp.h `struct tcp_info`, whose end the kernel leaves out for short buffers.
    #[repr(C)]
    #[derive(Default)]
    struct TcpInfo {
        bytes: [u8; 8],
        rto: u32,
        ato: u32,
        snd_mss: u32,
        rcv_mss: u32,
        unacked: u32,
        sacked: u32,
    }
    let mut info = TcpInfo::default();
    let size = libc::socklen_t::try_from(size_of::<TcpInfo>()).expect("the structure has 32 bytes");
    let mut length = size;
    // SAFETY: the kernel writes `length` bytes at most, which `info` has, and to `length` how many; both are local variables, of
    // integers, for which all bytes are valid.
    let answer = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut length,
        )
    };
    Errno::result(answer).ok()?;
    (length == size).then_some(info.sacked)
}

/// `struct mount_attr` of linux/mount.h.
#[repr(C)]
#[derive(Default)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns_fd: u64,
}

/// Sets attributes (`MOUNT_ATTR_*`) and the propagation (`MS_PRIVATE`, `MS_SLAVE`) of the mount whose root `mount` is;
/// `recursive` for all mounts below it too. mount_setattr(2), Linux 5.12.
pub(crate) fn mount_setattr(mount: impl AsFd, set: u64, propagation: u64, recursive: bool) -> io::Result<()> {
    let attr = MountAttr {
        set,
        propagation,
        ..MountAttr::default()
    };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a literal that ends with NUL; of `attr` the kernel reads as many bytes as it is told; both, and the descriptor
    // that `mount` holds, outlive the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// `struct mnt_id_req` of linux/mount.h, as it was first.
#[repr(C)]
struct MountRequest {
    size: u32,
    spare: u32,
    mount: u64,
    param: u64,
}

impl MountRequest {
    fn new(mount: u64, param: u64) -> Self {
        Self {
            size: 24,
            spare: 0,
            mount,
            param,
        }
    }
}

/// On every architecture its number is as far from that one's as on the first (scripts/syscall.tbl of the kernel).
const STATMOUNT: libc::c_long = libc::SYS_mount_setattr + 15;

/// As above.
const LISTMOUNT: libc::c_long = libc::SYS_mount_setattr + 16;

/// The unique ids of the mounts below `mount`, from the first that is larger than `after`: how many were written to `ids`, which has more
/// where it is full. listmount(2), Linux 6.8.
pub(crate) fn listmount(mount: u64, after: u64, ids: &mut [u64]) -> io::Result<usize> {
    let request = MountRequest::new(mount, after);
    // SAFETY: of `request` the kernel reads the bytes that it says it has; to `ids` it writes as many numbers as it is told there is
    // room for, and any number is a `u64`. Both outlive the call.
    let found = unsafe { libc::syscall(LISTMOUNT, &raw const request, ids.as_mut_ptr(), ids.len(), 0) };
    usize::try_from(Errno::result(found)?).map_err(io::Error::other)
}

/// Writes a `struct statmount` about `mount`, a unique id, with what `mask` asks for to `buffer`; EOVERFLOW where that is too short.
/// statmount(2), Linux 6.8.
pub(crate) fn statmount(mount: u64, mask: u64, buffer: &mut [u8]) -> io::Result<()> {
    let request = MountRequest::new(mount, mask);
    // SAFETY: of `request` the kernel reads the bytes that it says it has; to `buffer` it writes no more than it is told there is room
    // for, at any address, and any byte is a `u8`. Both outlive the call.
    let answer = unsafe {
        libc::syscall(
            STATMOUNT,
            &raw const request,
            buffer.as_mut_ptr(),
            buffer.len(),
            0,
        )
    };
    Errno::result(answer)?;
    Ok(())
}

/// Runs `work` in a forked child and waits for it: gives the child's wait status.
///
/// The child has one thread only, the caller's. It leaves by `_exit` with what `work` returns, so nothing of the
/// parent's is flushed or dropped twice; a panic in it is an abort of the child alone.
///
/// # Errors
/// The errno of fork or waitpid.
pub(crate) fn in_child(work: impl FnOnce() -> i32) -> io::Result<nix::sys::wait::WaitStatus> {
    use nix::unistd::ForkResult;
    // Dropped by a panic alone, which must not unwind into what the parent does.
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            leave(101)
        }
    }
    // SAFETY: in a child of a process with several threads only the calling one lives on; a lock that another thread held stays
    // locked for ever. Those of malloc the C library's fork puts in order. All others are the caller's
    // promise: the programs have one thread, or all but the calling one wait for it to end; the public functions that fork ask a
    // library's user for the same. To break it is to wait for ever, in the child.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => loop {
            match nix::sys::wait::waitpid(child, None) {
                Err(nix::errno::Errno::EINTR) => {}
                other => return Ok(other?),
            }
        },
        ForkResult::Child => {
            let _leave = Leave;
            leave(work())
        }
    }
}

/// _exit(2): nothing is flushed, and nothing else runs that was to run at the end.
fn leave(code: i32) -> ! {
    // SAFETY: _exit takes a number, reads no memory and does not return.
    unsafe { libc::_exit(code) }
}

/// Closes every descriptor but the standard ones. close_range(2), Linux 5.9; before, and where a seccomp filter is older than that
/// call, one by one.
///
/// For a process that has opened none itself: who owns a descriptor here would have somebody else's later. `confine::alone` asks its
/// callers for that.
pub(crate) fn close_inherited() -> io::Result<()> {
    // SAFETY: close_range takes numbers and reads no memory. What it closes was opened by another program, before this one: nothing
    // here owns it or has borrowed it.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, 3, c_uint::MAX, 0) };
    match Errno::result(closed) {
        Err(Errno::ENOSYS | Errno::EPERM) => {}
        other => return Ok(other.map(drop)?),
    }
    let listed = std::fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<c_int>().ok());
    // The list itself is closed by then, and its number is nobody's.
    for fd in listed.filter(|fd| *fd > 2).collect::<Vec<_>>() {
        // SAFETY: close takes a number; the rest as above.
        unsafe { libc::close(fd) };
    }
    Ok(())
}

/// keyctl(KEYCTL_JOIN_SESSION_KEYRING, name): the keyring of that name, or a new one, for the calling thread.
pub(crate) fn join_session_keyring(name: &CStr) -> nix::Result<()> {
    // SAFETY: `name` ends with NUL and outlives the call, which only reads it.
    let serial = unsafe { libc::syscall(libc::SYS_keyctl, libc::KEYCTL_JOIN_SESSION_KEYRING, name.as_ptr()) };
    Errno::result(serial).map(drop)
}

/// Whether the same is refused for nothing but its name, which cannot be read: no filter and no module is against it.
pub(crate) fn may_join_session_keyring() -> bool {
    let nowhere = std::ptr::without_provenance::<libc::c_char>(usize::MAX);
    // SAFETY: the kernel alone looks at the address, which is none of a process's, and says EFAULT.
    let serial = unsafe { libc::syscall(libc::SYS_keyctl, libc::KEYCTL_JOIN_SESSION_KEYRING, nowhere) };
    Errno::result(serial) == Err(Errno::EFAULT)
}

/// keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0): the calling thread's session keyring.
#[cfg(test)]
pub(crate) fn session_keyring() -> nix::Result<libc::c_long> {
    // SAFETY: both arguments are numbers; no memory is read.
    let serial = unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            libc::KEYCTL_GET_KEYRING_ID,
            libc::KEY_SPEC_SESSION_KEYRING,
            0 as c_ulong,
        )
    };
    Errno::result(serial)
}

/// signal(2): ignored, or the default.
pub(crate) fn set_ignored(signal: c_int, ignored: bool) {
    let action = if ignored { libc::SIG_IGN } else { libc::SIG_DFL };
    // SAFETY: neither action is a function, so nothing of ours runs in a handler; a number that is no signal's is refused.
    unsafe { libc::signal(signal, action) };
}

/// ptrace(PTRACE_SYSCALL, pid, 0, signal): on to the next entry to or exit from a system call.
#[cfg(feature = "trace")]
pub(crate) fn trace_syscall(pid: nix::unistd::Pid, signal: c_int) -> nix::Result<()> {
    let nowhere = without_provenance_mut::<libc::c_void>(0);
    // SAFETY: the request takes numbers and reads or writes none of our memory.
    let answer = unsafe {
        libc::ptrace(
            libc::PTRACE_SYSCALL,
            pid.as_raw(),
            nowhere,
            c_ulong::from(signal.unsigned_abs()),
        )
    };
    Errno::result(answer).map(drop)
}

/// ptrace(PTRACE_LISTEN, pid, 0, 0): stopped, as job control has it.
#[cfg(feature = "trace")]
pub(crate) fn trace_listen(pid: nix::unistd::Pid) -> nix::Result<()> {
    let nowhere = without_provenance_mut::<libc::c_void>(0);
    // SAFETY: as above.
    let answer = unsafe { libc::ptrace(libc::PTRACE_LISTEN, pid.as_raw(), nowhere, nowhere) };
    Errno::result(answer).map(drop)
}

#[cfg(feature = "inherited")]
pub(crate) use before_main::{Started, started};

/// What is seen before `main`.
#[cfg(feature = "inherited")]
mod before_main {
    use std::mem::MaybeUninit;
    use std::ptr::null;
    use std::sync::OnceLock;

    /// How the caller of this program left what Rust's runtime changes.
    #[derive(Debug, Clone, Copy, Default)]
    pub(crate) struct Started {
        /// Standard input, output and error.
        pub closed: [bool; 3],
        pub pipe_ignored: bool,
    }

    static STARTED: OnceLock<Started> = OnceLock::new();

    /// As seen before `main`; nothing out of the ordinary where the linker knows no such section.
    pub(crate) fn started() -> Started {
        STARTED.get().copied().unwrap_or_default()
    }

    // SAFETY: the section is an array of C functions without a result, which the C library calls before `main`, one after the other
    // and in one thread; what they are given they may leave alone. This one makes calls that change nothing, cannot panic, and needs
    // nothing of Rust's runtime, which is not there yet.
    #[used]
    // Miri knows no sigaction(2).
    #[cfg_attr(not(miri), unsafe(link_section = ".init_array"))]
    static LOOK: extern "C" fn() = look;

    extern "C" fn look() {
        // SAFETY: F_GETFD takes numbers alone, and answers EBADF for one that is no descriptor's.
        let closed = [0, 1, 2].map(|fd| unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0);
        let mut pipe = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: a null pointer gives no new action; the old one is written to a local variable of the C library's own type, for which
        // all zeroes are valid as well, should the call be refused.
        let pipe = unsafe {
            libc::sigaction(libc::SIGPIPE, null(), pipe.as_mut_ptr());
            pipe.assume_init()
        };
        let pipe_ignored = pipe.sa_sigaction == libc::SIG_IGN;
        // Set by nobody else.
        let _ = STARTED.set(Started { closed, pipe_ignored });
    }
}
