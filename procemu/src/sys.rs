//! System calls that no crate offers a safe function for; all of the library's `unsafe`.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_int, c_uint, c_ulong};
use std::io;
use std::num::NonZeroU32;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::{null, without_provenance_mut};

use nix::errno::Errno;

/// Whether the kernel knows the capability numbered `n`: prctl(PR_CAPBSET_READ, n) is EINVAL for others.
pub(crate) fn is_capability(n: u8) -> bool {
    // SAFETY: PR_CAPBSET_READ takes a number and reads no memory.
    let answer = unsafe {
        libc::prctl(
            libc::PR_CAPBSET_READ,
            c_ulong::from(n),
            0 as c_ulong,
            0 as c_ulong,
            0 as c_ulong,
        )
    };
    answer >= 0
}

/// Whether setgroups(2) would take that many groups. No group is ever set: none can be read from the given address.
/// `None` if the caller may not set groups.
pub(crate) fn setgroups_would_take(count: NonZeroU32) -> Option<bool> {
    let nowhere = without_provenance_mut::<libc::gid_t>(usize::MAX & !0xffff);
    // SAFETY: the kernel itself reads the groups, and answers EFAULT for an address that is its own. A count of 0, for which it
    // would read nothing and succeed, is excluded by type. Called without libc, whose setgroups acts on every thread.
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
    // SAFETY: for IPC_INFO the buffer is a `struct shminfo64`, which `info` is, and it is valid for the call.
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
    // SAFETY: for IPC_INFO the buffer is a `struct msginfo`, which `info` is, and it is valid for the call.
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
    // SAFETY: for IPC_INFO the fourth argument is the address of a `struct seminfo` (include/uapi/linux/sem.h), which `info` has
    // the layout of, and it is valid for the call.
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
    // SAFETY: no new limit is given, and `limit` is valid for the call.
    let answer = unsafe { libc::prlimit(1, libc::RLIMIT_NPROC, null(), &raw mut limit) };
    Errno::result(answer).ok()?;
    #[allow(clippy::useless_conversion)]
    (limit.rlim_cur != libc::RLIM_INFINITY).then(|| limit.rlim_cur.into())
}

/// socket(2), close-on-exec.
pub(crate) fn open_socket(domain: c_int, kind: c_int, protocol: c_int) -> Result<OwnedFd, Errno> {
    // SAFETY: socket takes numbers and reads no memory.
    let fd = Errno::result(unsafe { libc::socket(domain, kind | libc::SOCK_CLOEXEC, protocol) })?;
    // SAFETY: the kernel has just given us this descriptor, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// listen(2).
pub(crate) fn listen(socket: BorrowedFd<'_>, backlog: c_int) -> Result<(), Errno> {
    // SAFETY: listen takes numbers and reads no memory.
    Errno::result(unsafe { libc::listen(socket.as_raw_fd(), backlog) }).map(drop)
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
    // SAFETY: `info` has `length` bytes, all of which may be written, and both are valid for the call.
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
    // SAFETY: the path is a NUL-terminated literal, `attr` lives across the call and its size is passed with it.
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

/// Runs `work` in a forked child and waits for it: gives the child's wait status.
///
/// The child has one thread only, the caller's. It leaves by `_exit` with what `work` returns, so nothing of the
/// parent's is flushed or dropped twice; a panic in it is an abort of the child alone.
///
/// # Errors
/// The errno of fork or waitpid.
pub(crate) fn in_child(work: impl FnOnce() -> i32) -> io::Result<nix::sys::wait::WaitStatus> {
    use nix::unistd::ForkResult;
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            // SAFETY: _exit takes no pointer and does not return; reached only by a panic unwinding in the child.
            unsafe { libc::_exit(101) }
        }
    }
    // SAFETY: in a child of a multi-threaded process only the calling thread lives on; a lock that another thread
    // held stays locked for ever. The callers are single-threaded programs or, in a library user's hands, run
    // closures that take no lock shared with other threads (documented at the public functions that fork).
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => loop {
            match nix::sys::wait::waitpid(child, None) {
                Err(nix::errno::Errno::EINTR) => {}
                other => return Ok(other?),
            }
        },
        ForkResult::Child => {
            let _leave = Leave;
            let code = work();
            // SAFETY: _exit takes no pointer and does not return.
            unsafe { libc::_exit(code) }
        }
    }
}

/// Closes every descriptor but the standard ones. close_range(2), Linux 5.9; before, one by one.
///
/// For a process that has opened none itself.
pub(crate) fn close_inherited() -> io::Result<()> {
    // SAFETY: close_range takes numbers. What it closes was opened by another program, before this one: nothing here knows of it.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, 3, c_uint::MAX, 0) };
    match Errno::result(closed) {
        Err(Errno::ENOSYS) => {}
        other => return Ok(other.map(drop)?),
    }
    let listed = std::fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<c_int>().ok());
    // The list itself is closed by then, and its number is nobody's.
    for fd in listed.filter(|fd| *fd > 2).collect::<Vec<_>>() {
        // SAFETY: as above.
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
    // SAFETY: neither action is a function of ours, and both are valid for the signals that are given here.
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

    // SAFETY: the section is an array of C functions without a result, which the C library calls before `main`, one after the other;
    // what they are given they may leave alone. This one makes calls that change nothing.
    #[used]
    // Miri knows no sigaction(2).
    #[cfg_attr(not(miri), unsafe(link_section = ".init_array"))]
    static LOOK: extern "C" fn() = look;

    extern "C" fn look() {
        // SAFETY: F_GETFD takes numbers alone.
        let closed = [0, 1, 2].map(|fd| unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0);
        let mut pipe = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: no new action is given, `pipe` is valid for the call, and all zeroes are a valid `sigaction`.
        let pipe = unsafe {
            libc::sigaction(libc::SIGPIPE, null(), pipe.as_mut_ptr());
            pipe.assume_init()
        };
        let pipe_ignored = pipe.sa_sigaction == libc::SIG_IGN;
        // Set by nobody else.
        let _ = STARTED.set(Started { closed, pipe_ignored });
    }
}
