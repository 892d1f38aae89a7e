//! What is read of a bundle's config.json (OCI runtime specification). All else is left alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::Outcome;

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Config {
    pub root: Root,
    pub process: Process,
    pub hostname: String,
    pub mounts: Vec<Mount>,
    pub linux: Linux,
}

#[derive(Deserialize, Default)]
pub struct Root {
    pub path: PathBuf,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Process {
    pub args: Vec<String>,
    pub env: Vec<String>,
    pub cwd: PathBuf,
    /// By set.
    pub capabilities: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Mount {
    pub destination: PathBuf,
    pub r#type: String,
    pub source: PathBuf,
    pub options: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub struct Linux {
    pub sysctl: BTreeMap<String, String>,
    // `null` is as good as none.
    pub readonly_paths: Option<Vec<String>>,
    pub masked_paths: Option<Vec<String>>,
}

impl Config {
    pub fn read(bundle: &Path) -> Outcome<Self> {
        let path = bundle.join("config.json");
        let config = serde_json::from_reader(fs::File::open(&path)?);
        config.map_err(|e| format!("{}: {e}", path.display()).into())
    }
}
