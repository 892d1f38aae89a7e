//! One engine's file changed on disk: whole or not at all, with a way back.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use similar::TextDiff;

use super::saved::{Owner, Saved, beside, put, text};
use super::{InstallError, Refusal, lines};

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

/// The changes that make `folder` have these files of ours (a name and a content each) and no other ones of ours.
///
/// # Errors
/// For a file there that somebody else made or changed.
pub fn files_of_ours(folder: &Path, files: &[(OsString, String)]) -> Result<Vec<Edit>, InstallError> {
    let read = |name: &OsString| Known::read(&folder.join(name));
    let mut edits = Vec::new();
    for (name, content) in files {
        let known = read(name)?;
        // By somebody else and the same: as good as ours, and stays theirs.
        if known.now() != Some(content) {
            edits.push(known.own(Some(content))?);
        }
    }
    let there = match fs::read_dir(folder) {
        Ok(entries) => entries.flatten().map(|entry| entry.file_name()).collect(),
        Err(_) => Vec::new(),
    };
    for name in there {
        let ours = name.to_str().and_then(|name| name.strip_suffix(AFTER));
        let Some(name) = ours.map(OsString::from) else {
            continue;
        };
        if !files.iter().any(|(listed, _)| *listed == name) {
            edits.push(read(&name)?.own(None)?);
        }
    }
    Ok(edits)
}

/// What `path` will hold when `edits` are made.
///
/// # Errors
/// For a file that cannot be read or will not be there.
pub fn text_after(edits: &[Edit], path: &Path) -> io::Result<String> {
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    match edits.iter().find(|edit| edit.path == real) {
        Some(edit) => edit.new.clone().ok_or_else(|| io::ErrorKind::NotFound.into()),
        None => crate::text::read(path),
    }
}

/// Makes `edits`, in this order, all or none.
///
/// # Errors
/// For a call that failed.
pub fn apply_all(edits: &[Edit]) -> Result<(), InstallError> {
    let saved = edits.iter().map(Edit::saved).collect::<Result<Vec<_>, _>>()?;
    saved.iter().for_each(Saved::keep);
    let done = edits.iter().try_for_each(Edit::apply).inspect_err(|_| {
        for saved in saved.iter().rev() {
            // The first error is the one to tell.
            let _ = saved.restore();
        }
    });
    saved.iter().for_each(Saved::forget);
    done
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
    /// For a file that cannot be read as [`crate::text::read`] does, and for a link that leads nowhere.
    pub fn read(path: &Path) -> Result<Self, InstallError> {
        let path = match fs::canonicalize(path) {
            Ok(real) => real,
            Err(error) if error.kind() == io::ErrorKind::NotFound => match fs::read_link(path) {
                // To make a file of it would part it from what the administrator keeps elsewhere.
                Ok(to) => {
                    return Err(InstallError::Refused {
                        path: path.to_owned(),
                        refusal: Refusal::new(format!(
                            "leads to {}, which is not there; make that file, or remove the link",
                            to.display()
                        )),
                    });
                }
                Err(_) => path.to_owned(),
            },
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

    /// The same as it is edited, by [`lines`].
    pub fn plain(&self) -> Option<String> {
        self.now.as_deref().map(lines::plain)
    }

    /// What was there before us, in the same way.
    pub fn before(&self) -> Option<String> {
        self.before.as_deref().map(lines::plain)
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
            Some(now) => Some(self.without_us(now, remove)?),
            None => None,
        };
        let new = self.refused(lines::edit(base.as_deref().unwrap_or_default(), add))?;
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
            Some(now) => Some(self.without_us(now, remove)?),
            None => None,
        };
        Ok(Edit {
            path: self.path,
            now: self.now,
            new,
            copies: Copies::Drop,
        })
    }

    fn without_us(
        &self,
        text: &str,
        remove: impl Fn(&str, Option<&str>) -> Result<String, Refusal>,
    ) -> Result<String, InstallError> {
        let before = self.before();
        self.refused(lines::edit(text, |plain| remove(plain, before.as_deref())))
    }

    /// The change of a file that is to be all ours, and is refused where somebody else made or changed it.
    ///
    /// # Errors
    /// That refusal.
    pub fn own(self, content: Option<&str>) -> Result<Edit, InstallError> {
        // Between the writing of the copies and of the file, a run may have been killed.
        let is_interrupted = self.after.is_some() && self.now == self.before;
        if self.now.is_some() && !self.is_as_left() && !is_interrupted {
            return self.refused(Err(Refusal::new(
                "is not as runtime-bridge left it; move it away, or put what it has into the ConfigMap",
            )));
        }
        let copies = match content {
            Some(_) => Copies::Keep(self.now.clone()),
            None => Copies::Drop,
        };
        Ok(Edit {
            path: self.path,
            now: self.now,
            new: content.map(str::to_owned),
            copies,
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

    /// Whether there is to be no file.
    pub fn removes(&self) -> bool {
        self.new.is_none()
    }

    /// Whether the file is to be another.
    pub fn changes(&self) -> bool {
        self.now != self.new
    }

    /// What the file holds now, and what it will.
    pub(super) fn sides(&self) -> (&str, &str) {
        let [now, new] = [&self.now, &self.new].map(|text| text.as_deref().unwrap_or_default());
        (now, new)
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

    /// The file's path and what it will hold: what tells this change from others.
    pub(super) fn outcome(&self) -> String {
        let path = self.path.display();
        match &self.new {
            Some(text) => format!("{path}:\n{text}"),
            None => format!("{path}: none\n"),
        }
    }

    /// What there is now, to be put back later.
    ///
    /// # Errors
    /// For a file that cannot be read.
    pub(super) fn saved(&self) -> Result<Saved, InstallError> {
        let copies = [BEFORE, AFTER].map(|name| beside(&self.path, name));
        let spare = self.copies != Copies::None;
        let copies = copies.into_iter().filter(|_| spare);
        Saved::of(
            [self.path.clone()].into_iter().chain(copies),
            self.new.clone(),
            spare,
        )
    }

    /// Makes it. The way back is written first.
    ///
    /// # Errors
    /// For a call that failed; the file is as it was then.
    pub fn apply(&self) -> Result<(), InstallError> {
        let owner = Owner::of(&self.path);
        let copy = |name, content: &Option<String>| put(&beside(&self.path, name), content.as_deref(), owner);
        match &self.copies {
            Copies::Keep(before) if self.changes() => {
                let had = [BEFORE, AFTER].map(|name| (name, text(&beside(&self.path, name))));
                copy(BEFORE, before)
                    .and_then(|()| copy(AFTER, &self.new))
                    .and_then(|()| put(&self.path, self.new.as_deref(), owner))
                    .inspect_err(|_| {
                        for (name, had) in had {
                            // The first error is the one to tell.
                            let _ = had.and_then(|had| copy(name, &had));
                        }
                    })
            }
            Copies::Keep(_) => Ok(()),
            Copies::Drop => {
                put(&self.path, self.new.as_deref(), owner)?;
                copy(AFTER, &None)?;
                copy(BEFORE, &None)
            }
            Copies::None => put(&self.path, self.new.as_deref(), owner),
        }
    }
}
