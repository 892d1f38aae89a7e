//! What sockets tell about the network namespace.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};

use caps::{CapSet, Capability};
use nix::errno::Errno;
use rustix::io;
use rustix::net::{AddressFamily, Protocol, SocketFlags, SocketType, ipproto, listen, socket_with};

use super::limits::last_that;
use crate::sys;

pub(super) fn somaxconn() -> Option<u64> {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
    listen(&socket, i32::MAX).ok()?;
    // gVisor answers 0 here, which no listening socket has.
    sys::backlog(socket.as_fd())
        .filter(|&backlog| backlog > 0)
        .map(u64::from)
}

pub(super) fn ip_unprivileged_port_start() -> Option<u64> {
    let _aside = PutAside::capability(Capability::CAP_NET_BIND_SERVICE)?;
    let refused = |port: u32| match UdpSocket::bind((Ipv4Addr::UNSPECIFIED, u16::try_from(port).ok()?)) {
        Ok(_) => Some(false),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Some(false),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Some(true),
        Err(_) => None,
    };
    // Asked first where the answer is expected, so that few ports are touched.
    if !refused(1)? {
        return Some(0);
    }
    if refused(1023)? && !refused(1024)? {
        return Some(1024);
    }
    let last_refused = last_that(1 << 16, refused)?;
    Some(u64::from(last_refused) + 1)
}

/// A capability that this thread does without until the value is dropped.
struct PutAside(Option<Capability>);

impl PutAside {
    /// `None` if the thread's capabilities cannot be read or changed.
    fn capability(capability: Capability) -> Option<Self> {
        if !caps::has_cap(None, CapSet::Effective, capability).ok()? {
            return Some(Self(None));
        }
        caps::drop(None, CapSet::Effective, capability).ok()?;
        Some(Self(Some(capability)))
    }
}

impl Drop for PutAside {
    fn drop(&mut self) {
        if let Some(capability) = self.0 {
            // It is still permitted, so the kernel has no reason to refuse; and a drop could not say so.
            let _ = caps::raise(None, CapSet::Effective, capability);
        }
    }
}

pub(super) fn ping_group_range() -> Option<String> {
    match open(SocketType::DGRAM, ipproto::ICMP) {
        Ok(_) => Some("0\t2147483647".to_owned()),
        Err(io::Errno::ACCESS | io::Errno::PERM) => Some("1\t0".to_owned()),
        Err(_) => None,
    }
}

pub(super) fn mptcp_enabled() -> Option<u64> {
    match open(SocketType::STREAM, ipproto::MPTCP) {
        Ok(_) => Some(1),
        // Switched off; compiled out; or from before MPTCP.
        Err(io::Errno::NOPROTOOPT | io::Errno::PROTONOSUPPORT | io::Errno::INVAL) => Some(0),
        Err(_) => None,
    }
}

fn open(kind: SocketType, protocol: Protocol) -> io::Result<OwnedFd> {
    socket_with(AddressFamily::INET, kind, SocketFlags::CLOEXEC, Some(protocol))
}

pub(super) fn disable_ipv6() -> Option<u64> {
    match UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)) {
        Ok(_) => Some(0),
        Err(error) => match error.raw_os_error().map(Errno::from_raw)? {
            Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL => Some(1),
            _ => None,
        },
    }
}
