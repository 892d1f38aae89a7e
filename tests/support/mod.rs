//! What the tests share: a suite whose skips are visible, a bed (scratch folder and scripts in a mount namespace of their own),
//! bundles, runtimes, and the check that a test leaves the host as it found it.
#![allow(dead_code, unused_imports, reason = "each test file uses a part of it")]

mod bed;
mod binaries;
mod bundle;
mod host;
pub mod need;
mod runtime;
mod script;
mod stop;
mod suite;

pub use bed::Bed;
pub use binaries::{nsprep, runtime_bridge};
pub use bundle::Bundle;
pub use runtime::{CRUN, RUNC_1_1, RUNC_1_5, RUNTIMES, Runtime};
pub use script::{Output, Propagation, Script};
pub use stop::{Stop, TestResult, equal, fail};
pub use suite::Suite;
