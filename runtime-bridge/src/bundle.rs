//! A bundle on disk: its `config.json` read, rewritten and replaced.

use crate::cgroups::{self, Lacking};
use crate::config::{Config, ConfigError, RefusedSysctls};
use crate::document::DocumentError;
use crate::job::Log;
use crate::place::{self, Around};
use crate::pod::{Asking, PodError};
use crate::reach::reaches;
use crate::rewrite::{Change, Draft, Facts, RewriteError, STDERR};
use crate::runtime::{Kind, Runtime, identify};
use crate::spec::Spec;
use nix::fcntl::{AT_FDCWD, OFlag, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};
use procemu::Table;
use std::fs::{File, Metadata};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};

/// The file that makes a folder a bundle.
const FILE: &str = "config.json";

/// The most that is read, in bytes: some thousand times what engines write.
const MAX_BYTES: u64 = 16 << 20;

/// Why a bundle cannot be rewritten.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// A system call on the bundle failed.
    #[error("cannot {step} {}", path.display())]
    Io {
        /// What was to be done.
        step: &'static str,
        /// To which file.
        path: PathBuf,
        /// The error number.
        source: io::Error,
    },
    /// `config.json` is something else than a file.
    #[error("{} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// `config.json` is too large to be one.
    #[error("{} has more than 16 MiB", .0.display())]
    TooLarge(PathBuf),
    /// `config.json` is not text.
    #[error("{} is not UTF-8", path.display())]
    NotText {
        /// Which file.
        path: PathBuf,
        /// Where it stops being text.
        source: std::str::Utf8Error,
    },
    /// The program that is to be the hook cannot be one.
    #[error("{} cannot be a hook, its path has to be absolute, UTF-8, and that of a file", .0.display())]
    Hook(PathBuf),
    /// `bridge.toml`, a table or the pod's choice is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// What the container has in common with its pod cannot be told.
    #[error(transparent)]
    Pod(#[from] PodError),
    /// What the container lacks cannot be told.
    #[error("cannot tell what the container lacks")]
    Place(#[source] procemu::Error),
    /// The content is wrong.
    #[error("cannot rewrite {}", path.display())]
    Rewrite {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        source: RewriteError,
    },
}

/// How a bundle is rewritten.
#[derive(Debug, Clone)]
pub struct Options<'a> {
    /// Tables and policy.
    pub config: &'a Config,
    /// What the container is to have, in place of the tables that the configuration names.
    pub table: Option<&'a Table>,
    /// The runtime that will read it; `None` = one that takes `createContainer` hooks and any `ociVersion`.
    pub runtime: Option<&'a Path>,
    /// Path of `runtime-bridge`, which is the hook.
    pub hook: &'a Path,
    /// Where the runtime writes its log.
    pub log: Option<Log>,
    /// Whether the runtime's standard error will be this process's.
    pub stays: bool,
    /// What the runtime's own `/proc` will have, if it gets one: a sysctl below that is not the runtime's to set.
    pub around: Option<&'a Around>,
    /// Whom to ask for a pod's sandbox; `None` = the container has nothing in common with its pod.
    pub asking: Option<Asking<'a>>,
}

/// A bundle whose `config.json` has been read and compared, and is not yet changed.
#[derive(Debug)]
pub struct Rewriting {
    bundle: Bundle,
    spec: Spec,
    text: String,
    changes: Vec<Change>,
}

impl Rewriting {
    /// What is to be changed.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// The configuration, as it was read.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Replaces the file by one rename, if anything is to be changed.
    ///
    /// # Errors
    /// [`BundleError::Io`]; the file is what it was then.
    pub fn write(&self) -> Result<(), BundleError> {
        if self.changes.is_empty() {
            Ok(())
        } else {
            self.bundle.replace(&self.text)
        }
    }

    /// Puts back what was there before [`Rewriting::write`].
    ///
    /// # Errors
    /// [`BundleError::Io`]; the file is what was written then.
    pub fn undo(&self) -> Result<(), BundleError> {
        if self.changes.is_empty() {
            Ok(())
        } else {
            self.bundle.replace(&self.bundle.text)
        }
    }
}

/// Reads the `config.json` of the bundle `dir` and finds out what has to be changed in it.
///
/// # Errors
/// [`BundleError`] for what is no bundle, a container whose place cannot be looked at, or a wrong table.
pub fn rewrite(dir: &Path, options: &Options<'_>) -> Result<Rewriting, BundleError> {
    let bundle = Bundle::open(dir)?;
    let wrong = |source| BundleError::Rewrite {
        path: bundle.path.clone(),
        source,
    };
    let spec = Spec::parse(&bundle.text).map_err(|source| {
        wrong(
            DocumentError::Syntax {
                at: FILE.to_owned(),
                source,
            }
            .into(),
        )
    })?;
    let mut table = match options.table {
        Some(table) => table.clone(),
        None => options.config.table(&spec.annotations)?,
    };
    let pod = match &options.asking {
        Some(asking) => asking.pod(&spec)?,
        None => None,
    };
    for (key, entry) in pod.iter().flat_map(|pod| &pod.table) {
        table.insert(key.clone(), entry.clone());
    }
    let draft = Draft::read(&bundle.text, spec.owned_namespaces(), &table).map_err(wrong)?;
    let policy = &options.config.policy;
    let written = match policy.refused_sysctls {
        RefusedSysctls::Fail => Default::default(),
        RefusedSysctls::Hook | RefusedSysctls::Emulate => draft.written(),
    };
    let kind = kind(options, !written.is_empty());
    let mut place = place::facts(&spec, &draft.table(policy.missing_sysctls), &written, kind)
        .map_err(BundleError::Place)?;
    place
        .overmounts
        .extend(options.around.iter().flat_map(|around| around.overmounts()));
    let runtime = match options.runtime {
        Some(path) if draft.depends_on_runtime(&place) => identify(path, &options.config.state_dir),
        _ => Runtime::UNKNOWN,
    };
    let hook = match options.hook.to_str() {
        Some(hook) if options.hook.is_absolute() && options.hook.is_file() => hook.to_owned(),
        _ => return Err(BundleError::Hook(options.hook.to_owned())),
    };
    let facts = Facts {
        runtime,
        place,
        cgroups: lacking(options.config, &spec, &draft),
        hook,
        readable: reaches(&spec, &bundle.path),
        lending: pod.map(|pod| pod.lending),
        log: options.log.clone(),
        // With a log of its own, crun's standard error is the engine's to use.
        stderr: options.stays && options.log.is_none() && opens(STDERR),
    };
    let (text, changes) = draft.finish(&facts, policy).map_err(wrong)?;
    Ok(Rewriting {
        bundle,
        spec,
        text,
        changes,
    })
}

/// Which runtime it is. One whose name does not tell is asked where that matters.
fn kind(options: &Options<'_>, matters: bool) -> Kind {
    let Some(path) = options.runtime else {
        return Kind::Unknown;
    };
    match Kind::of_file(path) {
        Kind::Unknown if matters => identify(path, &options.config.state_dir).kind,
        kind => kind,
    }
}

/// What of cgroups cannot be had, of that which the bundle asks for and which may be left out.
fn lacking(config: &Config, spec: &Spec, draft: &Draft) -> Lacking {
    let policy = &config.policy;
    let namespace = config.cures(policy.cgroup_namespace) && spec.lists("cgroup");
    let unified = match config.cures(policy.unified_resources) {
        true => draft.unified(),
        false => Vec::new(),
    };
    Lacking {
        namespace: namespace && cgroups::have_no_namespaces(),
        unified: match unified.is_empty() {
            true => Default::default(),
            false => cgroups::missing_files(&unified),
        },
    }
}

/// Whether `path` is a pipe or a terminal that opens for writing. A socket does not, and a regular file would be written
/// by two descriptors, each with an offset of its own, so that one's text would cover the other's.
fn opens(path: &str) -> bool {
    use std::os::unix::fs::FileTypeExt;
    let stream = |file: File| {
        file.metadata()
            .is_ok_and(|m| m.file_type().is_fifo() || m.file_type().is_char_device())
    };
    std::fs::OpenOptions::new()
        .append(true)
        .open(path)
        .is_ok_and(stream)
}

/// The text of the `config.json` of the bundle `dir`.
///
/// # Errors
/// [`BundleError`] for what is no bundle, or no text.
pub fn read(dir: &Path) -> Result<String, BundleError> {
    Ok(Bundle::open(dir)?.text)
}

/// An open bundle. All access goes through the folder's handle: whoever may rename folders above it cannot make us
/// write elsewhere.
#[derive(Debug)]
struct Bundle {
    dir: OwnedFd,
    /// Of `config.json`, for messages.
    path: PathBuf,
    meta: Metadata,
    text: String,
}

impl Bundle {
    fn open(dir: &Path) -> Result<Self, BundleError> {
        let path = dir.join(FILE);
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOCTTY | OFlag::O_NONBLOCK;
        // O_PATH: the root of a user namespace, as a hook, may enter the bundle that containerd made, and not list it.
        let folder = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let handle = openat(AT_FDCWD, dir, folder, Mode::empty())
            .map_err(|errno| failed("open the bundle", dir)(errno.into()))?;
        let file = File::from(
            openat(&handle, FILE, flags | OFlag::O_NOFOLLOW, Mode::empty())
                .map_err(|errno| failed("open", &path)(errno.into()))?,
        );
        let meta = file.metadata().map_err(failed("stat", &path))?;
        if !meta.is_file() {
            return Err(BundleError::NotAFile(path));
        }
        let mut bytes = Vec::new();
        // Limited by what is read, not by what stat says: the file may still be growing.
        file.take(MAX_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(failed("read", &path))?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(BundleError::TooLarge(path));
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self {
                dir: handle,
                path,
                meta,
                text,
            }),
            Err(error) => Err(BundleError::NotText {
                path,
                source: error.utf8_error(),
            }),
        }
    }

    /// Puts `text` into the place of `config.json`, with its owner and mode.
    fn replace(&self, text: &str) -> Result<(), BundleError> {
        let (name, file) = self.temporary()?;
        let written = self
            .fill(file, text)
            .map_err(|(step, source)| BundleError::Io {
                step,
                path: self.path.with_file_name(&name),
                source,
            })
            .and_then(|()| {
                renameat(&self.dir, name.as_str(), &self.dir, FILE)
                    .map_err(|errno| failed("replace", &self.path)(errno.into()))
            });
        if written.is_err() {
            // The first error is the one to tell.
            let _ = unlinkat(&self.dir, name.as_str(), UnlinkatFlags::NoRemoveDir);
        }
        written
    }

    /// A new file in the bundle, under a name that was free.
    fn temporary(&self) -> Result<(String, File), BundleError> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mut number = 0;
        loop {
            let name = format!(".{FILE}.procemu-{}-{number}", std::process::id());
            match openat(&self.dir, name.as_str(), flags, Mode::S_IRUSR | Mode::S_IWUSR) {
                Ok(file) => return Ok((name, file.into())),
                // Left behind by a process of the same id that was killed.
                Err(nix::errno::Errno::EEXIST) if number < 100 => number += 1,
                Err(errno) => return Err(failed("create", &self.path.with_file_name(name))(errno.into())),
            }
        }
    }

    fn fill(&self, mut file: File, text: &str) -> Result<(), (&'static str, io::Error)> {
        let own = file.metadata().map_err(|error| ("stat", error))?;
        if (own.uid(), own.gid()) != (self.meta.uid(), self.meta.gid()) {
            fchown(&file, Some(self.meta.uid()), Some(self.meta.gid())).map_err(|error| ("chown", error))?;
        }
        file.set_permissions(self.meta.permissions())
            .map_err(|error| ("chmod", error))?;
        file.write_all(text.as_bytes())
            .map_err(|error| ("write", error))?;
        file.sync_all().map_err(|error| ("sync", error))
    }
}

fn failed(step: &'static str, path: &Path) -> impl Fn(io::Error) -> BundleError {
    move |source| BundleError::Io {
        step,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::chain;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn refused(dir: &Path) -> String {
        chain(&Bundle::open(dir).expect_err("refused")).replace(&dir.display().to_string(), "B")
    }

    #[test]
    fn the_file_is_replaced_with_its_mode_and_nothing_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        std::fs::write(&path, "{}").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let before = std::fs::metadata(&path).unwrap();
        let bundle = Bundle::open(dir.path()).unwrap();
        assert_eq!(bundle.text, "{}");
        bundle.replace("{\"a\":1}").unwrap();
        let after = std::fs::metadata(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"a\":1}");
        assert_eq!(
            (after.mode(), after.uid(), after.gid()),
            (before.mode(), before.uid(), before.gid())
        );
        assert_ne!(after.ino(), before.ino());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_left_behind_is_no_obstacle() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), "{}").unwrap();
        let left = dir
            .path()
            .join(format!(".{FILE}.procemu-{}-0", std::process::id()));
        std::fs::write(&left, "left").unwrap();
        Bundle::open(dir.path()).unwrap().replace("[]").unwrap();
        assert_eq!(std::fs::read_to_string(dir.path().join(FILE)).unwrap(), "[]");
        assert_eq!(std::fs::read_to_string(left).unwrap(), "left");
    }

    #[test]
    fn a_failed_replacement_leaves_all_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        std::fs::write(&path, "{}").unwrap();
        let bundle = Bundle::open(dir.path()).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir_all(path.join("full")).unwrap();
        let message = chain(&bundle.replace("[]").unwrap_err());
        assert!(
            message.starts_with("cannot replace ") && message.contains("config.json: "),
            "{message}"
        );
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_config_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        assert_eq!(
            refused(dir.path()),
            "cannot open B/config.json: no such file or directory"
        );
        std::fs::create_dir(&path).unwrap();
        assert_eq!(refused(dir.path()), "B/config.json is not a regular file");
        std::fs::remove_dir(&path).unwrap();
        symlink("/etc/passwd", &path).unwrap();
        assert_eq!(
            refused(dir.path()),
            "cannot open B/config.json: too many levels of symbolic links"
        );
        std::fs::remove_file(&path).unwrap();
        File::create(&path).unwrap().set_len(MAX_BYTES + 1).unwrap();
        assert_eq!(refused(dir.path()), "B/config.json has more than 16 MiB");
        std::fs::write(&path, b"{\"a\":\"\xff\"}").unwrap();
        assert!(refused(dir.path()).starts_with("B/config.json is not UTF-8: invalid utf-8 sequence"));
        assert_eq!(refused(&path), "cannot open the bundle B: not a directory");
    }
}
