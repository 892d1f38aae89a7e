//! What is fuzzed: one function for each kind of text from outside. It panics where a promise is broken.
//!
//! `fuzz_targets/` gives them to libFuzzer, and `tests/corpus.rs` of the main workspace runs them over `corpus/` and `regressions/`.

pub mod argv;
pub mod bridge;
pub mod document;
pub mod engines;
pub mod job;
pub mod key;
pub mod mountinfo;
pub mod rewrite;
pub mod runtime;
pub mod state;
pub mod table;

/// A target: panics where a promise is broken.
pub type Target = fn(&[u8]);

/// Every target, by the name of its folder in `corpus/`.
pub const TARGETS: [(&str, Target); 14] = [
    ("argv", argv::check),
    ("bridge", bridge::check),
    ("containerd", engines::containerd),
    ("docker", engines::docker),
    ("document", document::check),
    ("job", job::check),
    ("k3s", engines::k3s),
    ("key", key::check),
    ("mountinfo", mountinfo::check),
    ("own", engines::own),
    ("rewrite", rewrite::check),
    ("runtime", runtime::check),
    ("state", state::check),
    ("table", table::check),
];

/// The bytes as text; what is none is refused before all that is fuzzed here.
fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}

/// An error is one line, which names something: it stands in an engine's log.
fn one_line(error: &str) {
    assert!(!error.is_empty(), "an error that says nothing");
    assert!(!error.contains('\n'), "an error of several lines: {error:?}");
}
