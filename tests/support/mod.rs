//! What the tests share: a suite whose skips are visible, a bed (scratch folder and scripts in a mount namespace of their own),
//! bundles, runtimes, and the check that a test leaves the host as it found it.
#![allow(dead_code, unused_imports, reason = "each test file uses a part of it")]

mod bed;
mod binaries;
mod bundle;
mod console;
mod denial;
mod engine;
mod faults;
mod host;
mod kubelet;
mod kubelet_pods;
mod machine;
mod made_up;
pub mod need;
mod node;
mod owed;
mod page;
mod pod;
mod refused;
mod runtime;
mod sandbox;
mod script;
mod stop;
mod suite;
mod text;
mod transcript;

pub use bed::Bed;
pub use binaries::{built, minimal_runtime, nsprep, packaging, runtime_bridge};
pub use bundle::{Bundle, edit_config, move_hook};
pub use console::{END, notices, terminal};
pub use denial::{DETACHED, with_denial};
pub use faults::{
    FAULTS_PRINTED, FAULTS_RUN, FAULTS_TABLE, Faults, MOUNTS, all_faults, faults_bundle, run_faults,
    run_kills,
};
pub use kubelet::kubelet_keys;
pub use kubelet_pods::{KUBELET_PODS, kubelet_pods};
pub use made_up::{MADE_UP, MADE_UP_WRITABLE, made_up_table, made_up_values, print_made_up};
pub use node::{CONTAINERD_1_6, CONTAINERD_2_2, CONTAINERDS, CRI_PODS, Containerd, node_client};
pub use owed::{Page, RUN_BY, run_by};
pub use page::{Block, CHECKOUT, blocks, blocks_print, line_alike, parsed, typed_blocks};
pub use pod::Pod;
pub use refused::refused;
pub use runtime::{CRUN, RUNC_1_1, RUNC_1_5, RUNTIMES, Runtime, YOUKI};
pub use sandbox::{GVISOR, GVISOR_LACKING, GVISOR_LACKING_V2, GVISOR_V2, Gvisor};
pub use script::{Output, Propagation, Script};
pub use stop::{Stop, TestResult, equal, fail};
pub use suite::Suite;
pub use text::{same_lines, section};
pub use transcript::{Form, same, same_by, same_transcript};
