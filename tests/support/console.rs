//! The far ends of what an engine gives a runtime: a console socket, which gets a terminal, and a notify socket.

use std::fs::{self, File};
use std::io::{self, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

/// How long anything is waited for.
const LIMIT: Duration = Duration::from_secs(60);

/// Waits at `socket` for the terminal that a runtime sends, types `line` there once something is said on it, and gives all that is.
pub fn terminal(socket: &Path, line: &'static str) -> io::Result<JoinHandle<io::Result<String>>> {
    let _ = fs::remove_file(socket);
    let listener = UnixListener::bind(socket)?;
    listener.set_nonblocking(true)?;
    Ok(thread::spawn(move || {
        let mut master = File::from(received(&listener)?);
        let (mut said, mut part) = (Vec::new(), [0; 4096]);
        // Reading fails with EIO once nobody has the other end.
        while let Ok(count @ 1..) = master.read(&mut part) {
            if said.is_empty() {
                master.write_all(line.as_bytes())?;
            }
            said.extend_from_slice(&part[..count]);
        }
        Ok(String::from_utf8_lossy(&said).replace('\r', ""))
    }))
}

/// What [`notices`] ends with.
pub const END: &str = "END";

/// Waits at `socket` for what services say about themselves, until somebody says [`END`] there.
pub fn notices(socket: &Path) -> io::Result<JoinHandle<io::Result<String>>> {
    let _ = fs::remove_file(socket);
    let listener = UnixDatagram::bind(socket)?;
    Ok(thread::spawn(move || {
        let mut said = String::new();
        loop {
            // Descriptors that come along are closed unseen, which is what a barrier waits for.
            let mut part = [0; 4096];
            let count = listener.recv(&mut part)?;
            match std::str::from_utf8(&part[..count]) {
                Ok(END) => return Ok(said),
                Ok(text) => said = said + text + "|",
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }))
}

fn received(listener: &UnixListener) -> io::Result<OwnedFd> {
    let start = Instant::now();
    let stream = loop {
        match listener.accept() {
            Ok((stream, _)) => break stream,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && start.elapsed() < LIMIT => {
                sleep(Duration::from_millis(10));
            }
            Err(error) => return Err(error),
        }
    };
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(LIMIT))?;
    let mut name = [0; 256];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut messages = RecvAncillaryBuffer::new(&mut space);
    recvmsg(
        &stream,
        &mut [IoSliceMut::new(&mut name)],
        &mut messages,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let rights = messages.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    rights.ok_or_else(|| io::Error::other("no descriptor came over the socket"))
}
