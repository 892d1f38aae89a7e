//! A file that is written whole or not at all, in a folder that others may write to.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};
use std::process;

use procemu::errno_text;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, openat, renameat, statat, unlinkat};
use rustix::io::Errno;

use crate::exit::{Exit, Failure};

/// Where it is to be.
pub struct Target {
    path: PathBuf,
    folder: PathBuf,
    name: OsString,
}

impl Target {
    /// Refuses what could not be replaced, before anything else is done.
    pub fn new(path: &Path) -> Result<Self, Failure> {
        let wrong = |what: &str| Failure::usage(format!("output {}: {what}", path.display()));
        let Some(name) = path.file_name() else {
            return Err(wrong("names no file"));
        };
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let target = Self {
            path: path.to_owned(),
            folder: parent.unwrap_or(Path::new(".")).to_owned(),
            name: name.to_owned(),
        };
        let folder = target.open();
        folder
            .and_then(|folder| target.check(&folder))
            .map_err(|what| wrong(&what))?;
        Ok(target)
    }

    /// Its folder, reached through no link: in a container's rootfs those lead wherever its root likes.
    fn open(&self) -> Result<OwnedFd, String> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let first = match self.folder.is_absolute() {
            true => "/",
            false => ".",
        };
        let enter = |(folder, shown): (OwnedFd, PathBuf), name: Component<'_>| {
            let shown = shown.join(name);
            match openat(&folder, Path::new(&name), flags, Mode::empty()) {
                Ok(next) => Ok((next, shown)),
                Err(Errno::NOTDIR) => Err(format!(
                    "{} is no folder; name one without symlinks",
                    shown.display()
                )),
                Err(errno) => Err(format!("{}: {}", shown.display(), errno_text(&errno.into()))),
            }
        };
        let start = openat(CWD, first, flags, Mode::empty());
        let start = start.map_err(|errno| errno_text(&errno.into()))?;
        let mut names = self
            .folder
            .components()
            .filter(|part| !matches!(part, Component::RootDir));
        let (folder, _) = names.try_fold((start, PathBuf::from(first)), enter)?;
        Ok(folder)
    }

    /// A device, such as /dev/null, would be replaced as well; of a link it is not known what is meant.
    fn check(&self, folder: &OwnedFd) -> Result<(), String> {
        let kind = match statat(folder, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => FileType::from_raw_mode(stat.st_mode),
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(errno_text(&errno.into())),
        };
        match kind {
            FileType::RegularFile => Ok(()),
            FileType::Symlink => Err("is a symlink; name the file itself".to_owned()),
            FileType::Directory => Err("is a folder; name a file".to_owned()),
            _ => Err("is no regular file; `-o -` writes to standard output".to_owned()),
        }
    }

    /// Writes it, with the mode that a new file gets here.
    pub fn write(&self, text: &str) -> Result<(), Failure> {
        let failed = |error: io::Error| Failure {
            exit: Exit::Failed,
            line: format!("output {}: {}", self.path.display(), errno_text(&error)),
        };
        let moved = |what| Failure {
            exit: Exit::Failed,
            line: format!("output {}: {what}", self.path.display()),
        };
        let folder = self.open().map_err(moved)?;
        self.check(&folder).map_err(moved)?;
        let mut new = OsString::from(format!(".{}.", process::id()));
        new.push(&self.name);
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&folder, &new, flags, Mode::from_raw_mode(0o644));
        let mut file = File::from(file.map_err(|errno| failed(errno.into()))?);
        let written = file
            .write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .and_then(|()| Ok(renameat(&folder, &new, &folder, &self.name)?));
        if written.is_err() {
            // The first error is the one to tell.
            let _ = unlinkat(&folder, &new, AtFlags::empty());
        }
        written.map_err(failed)
    }
}
