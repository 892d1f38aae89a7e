//! Stands where an OCI runtime is expected and gives its containers the `/proc/sys` keys that their kernel lacks.

pub mod argv;
pub mod bundle;
pub mod cgroups;
mod changes;
pub mod cli;
mod compiled;
pub mod config;
pub mod document;
pub mod events;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub mod hook;
pub mod hooks;
pub mod install;
pub mod job;
pub mod keyring;
pub mod locate;
mod network;
pub mod node;
pub mod place;
pub mod pod;
pub mod progress;
mod reach;
mod refused;
pub mod report;
pub mod rewrite;
pub mod runtime;
pub mod shim;
pub mod spec;
mod state_file;
pub mod sysctl;
pub mod templates;
pub mod text;
pub mod wrapper;
