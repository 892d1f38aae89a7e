//! What containers hold of the kernel's memory: a cgroup counts it, whatever else the machine does.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Outcome;

/// A memory cgroup, v1 or v2. What is in it has to have ended before it is dropped.
pub struct Cgroup(PathBuf);

/// In KiB.
pub struct Held {
    /// Everything, the kernel's own structures among it.
    pub all: f64,
    /// Pages of tmpfs.
    pub tmpfs: f64,
}

impl Cgroup {
    /// A new one beside that of this process; none where there is no such controller.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn new(name: &str) -> Outcome<Option<Self>> {
        let root = Path::new("/sys/fs/cgroup");
        let v1 = root.join("memory");
        let above = if v1.join("memory.usage_in_bytes").exists() {
            v1
        } else if fs::read_to_string(root.join("cgroup.subtree_control"))
            .is_ok_and(|text| text.split_whitespace().any(|controller| controller == "memory"))
        {
            root.to_owned()
        } else {
            return Ok(None);
        };
        let path = above.join(name);
        fs::create_dir(&path)?;
        Ok(Some(Self(path)))
    }

    /// The file that a process writes its number to.
    pub fn entrance(&self) -> PathBuf {
        self.0.join("cgroup.procs")
    }

    /// What is held now, after what can be had back was taken back.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn held(&self) -> Outcome<Held> {
        // Fails where not all of it can be had, which is so.
        let _ = fs::write(self.0.join("memory.force_empty"), "0");
        let _ = fs::write(self.0.join("memory.reclaim"), "1G");
        let all =
            ["memory.usage_in_bytes", "memory.current"].map(|name| fs::read_to_string(self.0.join(name)));
        let all = all.into_iter().find_map(Result::ok).unwrap_or_default();
        let stat = fs::read_to_string(self.0.join("memory.stat"))?;
        let tmpfs = stat.lines().find_map(|line| line.strip_prefix("shmem "));
        Ok(Held {
            all: all.trim().parse::<f64>()? / 1024.0,
            tmpfs: tmpfs.unwrap_or("0").parse::<f64>()? / 1024.0,
        })
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}
