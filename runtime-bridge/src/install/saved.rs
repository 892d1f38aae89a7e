//! Files as they were, to be put back, and files written whole or not at all.

use super::InstallError;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// Beside a file: the one that is written, to be renamed to it. Always by the same name, so that what a killed run left is taken
/// over by the next.
const NEW: &str = ".procemu-new";
/// Beside a file: the old one, to be renamed back where there is no room to write it again.
const OLD: &str = ".procemu-old";

/// An engine's file and the copies beside it, as they were.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Saved {
    /// The engine's file first.
    files: Vec<Was>,
    /// What the engine's file was to be then.
    new: Option<String>,
    /// Whether the engine reads but its file, not all of the folder.
    spare: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Was {
    path: PathBuf,
    text: Option<String>,
    owner: Option<Owner>,
}

/// A file's owner and mode.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Owner {
    uid: u32,
    gid: u32,
    mode: u32,
}

impl Owner {
    /// Those of `path`, where it exists.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let meta = fs::metadata(path).ok()?;
        Some(Self {
            uid: meta.uid(),
            gid: meta.gid(),
            mode: meta.mode() & 0o7777,
        })
    }
}

impl Saved {
    /// `paths`, the engine's file first, as they are before it becomes `new`. With `spare`, they may have others beside them.
    ///
    /// # Errors
    /// For a file that cannot be read.
    pub(super) fn of(
        paths: impl IntoIterator<Item = PathBuf>,
        new: Option<String>,
        spare: bool,
    ) -> Result<Self, InstallError> {
        let was = |path: PathBuf| {
            Ok(Was {
                text: text(&path)?,
                owner: Owner::of(&path),
                path,
            })
        };
        let files = paths.into_iter().map(was).collect::<Result<_, InstallError>>()?;
        Ok(Self { files, new, spare })
    }

    /// Which file of an engine.
    pub(super) fn path(&self) -> Option<&Path> {
        self.files.first().map(|file| file.path.as_path())
    }

    /// The same, with something else that the file was to be.
    pub(super) fn before(self, later: &Self) -> Self {
        let new = later.new.clone();
        Self { new, ..self }
    }

    /// Whether the engine's file is as it was.
    pub(super) fn is_there(&self) -> bool {
        let is = |file: &Was| text(&file.path).is_ok_and(|now| now == file.text);
        self.files.first().is_none_or(is)
    }

    /// Whether nobody but us has changed the engine's file since.
    pub(super) fn is_ours(&self) -> bool {
        let made = self.path().and_then(|path| text(path).ok());
        self.is_there() || made.is_some_and(|now| now == self.new)
    }

    /// Keeps the files themselves beside them. Where that cannot be, they are written again.
    pub(super) fn keep(&self) {
        for file in self.files.iter().filter(|_| self.spare) {
            let old = beside(&file.path, OLD);
            let _ = fs::remove_file(&old);
            let _ = fs::hard_link(&file.path, old);
        }
    }

    /// Puts them back, as many as can be.
    ///
    /// # Errors
    /// For the first that could not.
    pub(super) fn restore(&self) -> Result<(), InstallError> {
        let done: Vec<_> = self.files.iter().map(Was::restore).collect();
        done.into_iter().collect()
    }

    /// They are not needed any more.
    pub(super) fn forget(&self) {
        for file in self.files.iter().filter(|_| self.spare) {
            let _ = fs::remove_file(beside(&file.path, OLD));
        }
    }
}

impl Was {
    fn restore(&self) -> Result<(), InstallError> {
        let old = beside(&self.path, OLD);
        let is_kept = self.text.is_some() && text(&old).is_ok_and(|kept| kept == self.text);
        if is_kept && fs::rename(&old, &self.path).is_ok() {
            return Ok(());
        }
        put(&self.path, self.text.as_deref(), self.owner)
    }
}

pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

pub(super) fn text(path: &Path) -> Result<Option<String>, InstallError> {
    match crate::text::read(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(InstallError::io("read", path, source)),
    }
}

/// Removes `path`, where it exists.
pub(super) fn remove(path: &Path) -> Result<(), InstallError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(InstallError::io("remove", path, error)),
        _ => Ok(()),
    }
}

/// Makes `path` hold `content`, or be no more; by default root's, and readable by all.
pub(super) fn put(path: &Path, content: Option<&str>, owner: Option<Owner>) -> Result<(), InstallError> {
    let Some(content) = content else {
        return remove(path);
    };
    if text(path).is_ok_and(|now| now.as_deref() == Some(content)) {
        return Ok(());
    }
    let owner_ids = owner.map(|owner| (owner.uid, owner.gid));
    replace(
        path,
        content.as_bytes(),
        owner.map_or(0o644, |owner| owner.mode),
        owner_ids,
    )
}

/// Makes `path` hold `content`, whole or not at all, with this mode and owner whatever the umask; what runs from the old file goes on
/// running from it.
///
/// # Errors
/// For a call that failed; the file is as it was then.
pub(crate) fn replace(
    path: &Path,
    content: &[u8],
    mode: u32,
    owner: Option<(u32, u32)>,
) -> Result<(), InstallError> {
    let failed = |step| move |source| InstallError::io(step, path, source);
    let folder = path.parent().unwrap_or(Path::new("/"));
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(folder)
        .map_err(failed("make the folder of"))?;
    let new = beside(path, NEW);
    remove(&new)?;
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)
            .map_err(failed("write"))?;
        file.write_all(content).map_err(failed("write"))?;
        if let Some((uid, gid)) = owner {
            fchown(&file, Some(uid), Some(gid)).map_err(failed("chown"))?;
        }
        file.set_permissions(Permissions::from_mode(mode))
            .map_err(failed("chmod"))?;
        file.sync_all().map_err(failed("write"))?;
        fs::rename(&new, path).map_err(failed("replace"))
    };
    write().inspect_err(|_| {
        // The first error is the one to tell.
        let _ = fs::remove_file(&new);
    })
}
