//! What one test lies in: a scratch folder, an id of its own, and scripts.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use super::{Runtime, Script, TestResult, binaries};

/// A scratch folder that every user may enter and a container id that no other test has.
pub struct Bed {
    folder: TempDir,
    id: String,
}

impl Bed {
    /// A new bed.
    pub fn new() -> io::Result<Self> {
        Self::within(Path::new("/tmp"))
    }

    /// A new bed whose scratch folder is in `parent`.
    pub fn within(parent: &Path) -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let id = format!(
            "procemu-bed-{}-{}",
            process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let folder = tempfile::Builder::new()
            .prefix(&format!("{id}."))
            .tempdir_in(parent)?;
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
        Ok(Bed { folder, id })
    }

    /// The container id; a second container takes a suffix.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// `name` in the scratch folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into the scratch folder, readable by everyone.
    pub fn file(&self, name: &str, text: impl AsRef<[u8]>) -> io::Result<PathBuf> {
        let path = self.path(name);
        fs::write(&path, text)?;
        Ok(path)
    }

    /// A table that gives `keys`: pairs of a key and the right side of its TOML line, such as `{ value = 7 }`.
    pub fn table(&self, name: &str, keys: &[(&str, &str)]) -> io::Result<PathBuf> {
        let lines = keys.iter().map(|(key, entry)| format!("{key:?} = {entry}\n"));
        self.file(name, format!("[keys]\n{}", lines.collect::<String>()))
    }

    /// A configuration for runtime-bridge that gives every container exactly the keys of `table`.
    pub fn config(&self, table: &Path) -> io::Result<PathBuf> {
        self.config_with(&format!("profiles = []\ntables = [{:?}]\n", table.display()))
    }

    /// A configuration for runtime-bridge: `lines`, and a state folder in the bed, so that nothing is left on the host.
    pub fn config_with(&self, lines: &str) -> io::Result<PathBuf> {
        let state = self.path("bridge-state");
        self.file(
            "bridge.toml",
            format!("state_dir = {:?}\n{lines}", state.display()),
        )
    }

    /// A script (bash, errors end it) in a private mount namespace. It finds `$BED` (the scratch folder), `$ID`, `$NSPREP`,
    /// `$BRIDGE`, `$CONFIG` (a configuration that leaves everything at its default) and the functions of `lib.sh`.
    pub fn script(&self, text: &str) -> TestResult<Script> {
        let state = self.path("bridge-state");
        let config = self.file("default.toml", format!("state_dir = {:?}\n", state.display()))?;
        Ok(Script::new(self, text)?
            .env("CONFIG", config)
            .env("NSPREP", binaries::nsprep()?)
            .env("BRIDGE", binaries::runtime_bridge()?))
    }

    /// A script that also finds `$RUNTIME` and `rt`, which calls it with a state folder of this bed, and where the place
    /// is made right for that runtime.
    pub fn runtime_script(&self, runtime: &Runtime, text: &str) -> TestResult<Script> {
        // First of all, since it may skip the test.
        let path = runtime.path()?;
        let prepare = if runtime.needs_pure_cgroup_v1() {
            "hide_unified\n"
        } else {
            ""
        };
        Ok(self.script(&format!("{prepare}{text}"))?.env("RUNTIME", path))
    }
}
