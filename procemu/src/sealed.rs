//! Running from a sealed copy of the program: what enters a container cannot be overwritten from there.

use std::ffi::{CString, OsStr};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use memfd::{FileSeal, Memfd, MemfdOptions};

use crate::error::{Error, Result};

/// Name of the copy, as `/proc/<pid>/exe` shows it.
const NAME: &str = "procemu";

/// Runs the calling program again, same arguments and environment, from a sealed memfd with `stdin` (sealed too) as
/// its standard input where given. Returns at once in a process that is such a copy already.
///
/// A process inside a container can open `/proc/<pid>/exe` of one that enters it, and write to the file behind it
/// once that has ended (CVE-2019-5736); a sealed memfd takes no writes.
///
/// # Errors
/// `System` where no executable memfd can be made (`vm.memfd_noexec` = 2) or the program cannot be read.
pub fn reexec_sealed(stdin: Option<&[u8]>) -> Result<()> {
    let failed = |call: &str, e: io::Error| Error::call(format!("run from a sealed copy: {call}"), e);
    let exe = fs::read_link("/proc/self/exe").map_err(|e| failed("readlink(/proc/self/exe)", e))?;
    if exe
        .as_os_str()
        .as_bytes()
        .starts_with(format!("/memfd:{NAME}").as_bytes())
    {
        return Ok(());
    }
    let program = fs::read("/proc/self/exe").map_err(|e| failed("read(/proc/self/exe)", e))?;
    let program = sealed(NAME, &program).map_err(|e| failed("memfd_create(MFD_ALLOW_SEALING)", e))?;
    if let Some(bytes) = stdin {
        let input =
            sealed("procemu-input", bytes).map_err(|e| failed("memfd_create(MFD_ALLOW_SEALING)", e))?;
        nix::unistd::dup2_stdin(input.as_file()).map_err(|e| failed("dup2(stdin)", e.into()))?;
    }
    let arguments = c_strings(std::env::args_os().map(|arg| arg.as_bytes().to_vec()));
    let environment = c_strings(std::env::vars_os().map(|(name, value)| join(&name, &value)));
    match nix::unistd::fexecve(program.as_file().as_fd(), &arguments, &environment) {
        Ok(never) => match never {},
        Err(errno) => Err(failed("fexecve(memfd)", errno.into())),
    }
}

/// Keeps the processes of a container that this program runs beside from looking into it: who has no CAP_SYS_PTRACE can neither
/// trace it nor open its `/proc/<pid>/exe`, `root` or `fd`, whatever other capabilities it has. prctl(PR_SET_DUMPABLE), undone by the
/// next execve(2).
///
/// # Errors
/// None that Linux has.
pub fn hide() -> Result<()> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|e| Error::call("prctl(PR_SET_DUMPABLE, 0)", e))
}

/// A memfd that holds `bytes` and can never be changed again, its offset at the start.
fn sealed(name: &str, bytes: &[u8]) -> io::Result<Memfd> {
    let other = |e: memfd::Error| io::Error::other(e.to_string());
    let memfd = MemfdOptions::default()
        .allow_sealing(true)
        .close_on_exec(true)
        .create(name)
        .map_err(other)?;
    let mut file: &File = memfd.as_file();
    file.write_all(bytes)?;
    io::Seek::rewind(&mut file)?;
    memfd
        .add_seals(&[
            FileSeal::SealShrink,
            FileSeal::SealGrow,
            FileSeal::SealWrite,
            FileSeal::SealSeal,
        ])
        .map_err(other)?;
    Ok(memfd)
}

fn join(name: &OsStr, value: &OsStr) -> Vec<u8> {
    [name.as_bytes(), b"=", value.as_bytes()].concat()
}

/// Arguments and environment come from the kernel as C strings, so none has a NUL inside.
fn c_strings(texts: impl Iterator<Item = Vec<u8>>) -> Vec<CString> {
    texts.filter_map(|text| CString::new(text).ok()).collect()
}
