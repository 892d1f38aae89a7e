//! One engine's file changed on disk: whole or not at all, with a way back.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use similar::TextDiff;

use super::{InstallError, Refusal};

/// Beside the file: what was there before us. There is none where there was no file.
const BEFORE: &str = ".procemu-before";
/// Beside the file: what we wrote, to tell whether somebody else has changed it since.
const AFTER: &str = ".procemu-after";

/// A change of one file, not yet made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    path: PathBuf,
    now: Option<String>,
    /// What it will be; `None` = no file.
    new: Option<String>,
    copies: Copies,
}

/// What becomes of the copies beside the file.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Copies {
    /// The file is ours alone and has none.
    None,
    /// What was there without us, for the way back.
    Keep(Option<String>),
    /// They have served.
    Drop,
}

/// A file as it is, and as it was left.
#[derive(Debug)]
pub struct Known {
    path: PathBuf,
    now: Option<String>,
    before: Option<String>,
    after: Option<String>,
}

impl Known {
    /// Reads the file at `path`, links followed, and the copies beside it.
    ///
    /// # Errors
    /// For a file that cannot be read as text.
    pub fn read(path: &Path) -> Result<Self, InstallError> {
        let path = match fs::canonicalize(path) {
            Ok(real) => real,
            Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
            Err(source) => return Err(InstallError::io("read", path, source)),
        };
        Ok(Self {
            now: text(&path)?,
            before: text(&beside(&path, BEFORE))?,
            after: text(&beside(&path, AFTER))?,
            path,
        })
    }

    /// Which file, links followed.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is there now.
    pub fn now(&self) -> Option<&str> {
        self.now.as_deref()
    }

    /// Whether nobody else has changed it since we did.
    fn is_as_left(&self) -> bool {
        self.after.is_some() && self.now == self.after
    }

    /// The change that puts us in: `remove` gives a text without us, `add` one with us.
    ///
    /// # Errors
    /// What `remove` or `add` refuse.
    pub fn install(
        self,
        remove: impl Fn(&str, Option<&str>) -> Result<String, Refusal>,
        add: impl Fn(&str) -> Result<String, Refusal>,
    ) -> Result<Edit, InstallError> {
        let base = match &self.now {
            _ if self.is_as_left() => self.before.clone(),
            Some(now) => Some(self.refused(remove(now, self.before.as_deref()))?),
            None => None,
        };
        let new = self.refused(add(base.as_deref().unwrap_or_default()))?;
        Ok(Edit {
            path: self.path,
            now: self.now,
            new: Some(new),
            copies: Copies::Keep(base),
        })
    }

    /// The change that takes us out: back to what was there before, or, where others have changed it since, out of theirs.
    ///
    /// # Errors
    /// What `remove` refuses.
    pub fn uninstall(
        self,
        remove: impl Fn(&str, Option<&str>) -> Result<String, Refusal>,
    ) -> Result<Edit, InstallError> {
        let new = match &self.now {
            _ if self.is_as_left() => self.before.clone(),
            Some(now) => Some(self.refused(remove(now, self.before.as_deref()))?),
            None => None,
        };
        Ok(Edit {
            path: self.path,
            now: self.now,
            new,
            copies: Copies::Drop,
        })
    }

    /// The change of a file that is ours alone.
    pub fn replace(self, new: Option<String>) -> Edit {
        Edit {
            path: self.path,
            now: self.now,
            new,
            copies: Copies::None,
        }
    }

    fn refused<T>(&self, outcome: Result<T, Refusal>) -> Result<T, InstallError> {
        outcome.map_err(|refusal| InstallError::Refused {
            path: self.path.clone(),
            refusal,
        })
    }
}

impl Edit {
    /// Which file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file is to be another.
    pub fn changes(&self) -> bool {
        self.now != self.new
    }

    /// The change as a unified diff; empty where there is none.
    pub fn diff(&self) -> String {
        let name = |side: &Option<String>| match side {
            Some(_) => self.path.display().to_string(),
            None => "/dev/null".to_owned(),
        };
        let text = |side: &Option<String>| side.clone().unwrap_or_default();
        let (now, new) = (text(&self.now), text(&self.new));
        TextDiff::from_lines(&now, &new)
            .unified_diff()
            .header(&name(&self.now), &name(&self.new))
            .to_string()
    }

    /// Makes it. The way back is written first.
    ///
    /// # Errors
    /// For a call that failed; the file is as it was then.
    pub fn apply(&self) -> Result<(), InstallError> {
        let copy =
            |name, content: &Option<String>| put(&beside(&self.path, name), content.as_deref(), &self.path);
        match &self.copies {
            Copies::Keep(before) if self.changes() => {
                let had = [BEFORE, AFTER].map(|name| (name, text(&beside(&self.path, name))));
                copy(BEFORE, before)
                    .and_then(|()| copy(AFTER, &self.new))
                    .and_then(|()| put(&self.path, self.new.as_deref(), &self.path))
                    .inspect_err(|_| {
                        for (name, had) in had {
                            // The first error is the one to tell.
                            let _ = had.and_then(|had| copy(name, &had));
                        }
                    })
            }
            Copies::Keep(_) => Ok(()),
            Copies::Drop => {
                put(&self.path, self.new.as_deref(), &self.path)?;
                copy(AFTER, &None)?;
                copy(BEFORE, &None)
            }
            Copies::None => put(&self.path, self.new.as_deref(), &self.path),
        }
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

fn text(path: &Path) -> Result<Option<String>, InstallError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(InstallError::io("read", path, source)),
    }
}

/// Makes `path` hold `content`, or be no more; with the owner and mode of `like`, where that exists.
fn put(path: &Path, content: Option<&str>, like: &Path) -> Result<(), InstallError> {
    let failed = |step| move |source| InstallError::io(step, path, source);
    let Some(content) = content else {
        return match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove")(error)),
            _ => Ok(()),
        };
    };
    if text(path).is_ok_and(|now| now.as_deref() == Some(content)) {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder).map_err(failed("make the folder of"))?;
    let mut new = tempfile::NamedTempFile::new_in(folder).map_err(failed("write"))?;
    new.write_all(content.as_bytes()).map_err(failed("write"))?;
    let permissions = match fs::metadata(like) {
        Ok(meta) => {
            chown(new.path(), Some(meta.uid()), Some(meta.gid())).map_err(failed("chown"))?;
            meta.permissions()
        }
        Err(_) => Permissions::from_mode(0o644),
    };
    fs::set_permissions(new.path(), permissions).map_err(failed("chmod"))?;
    new.as_file().sync_all().map_err(failed("write"))?;
    new.persist(path)
        .map_err(|error| failed("replace")(error.error))?;
    Ok(())
}
