//! Stands where an OCI runtime is expected and gives its containers the `/proc/sys` keys that their kernel lacks.

pub mod argv;
pub mod document;
pub mod report;
pub mod runtime;
