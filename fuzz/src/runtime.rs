//! What a runtime prints for `--version`.

use runtime_bridge::runtime::{Kind, Runtime};

/// Only the first line counts, and nothing is known of what is not known.
pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let found = Runtime::parse(&text);
    let first = text.lines().next().unwrap_or_default();
    assert_eq!(found, Runtime::parse(first));
    if found.kind == Kind::Unknown {
        assert_eq!(found, Runtime::UNKNOWN);
    }
    // A crun that may refuse later versions of the spec may be told of them by no other rule.
    assert!(found.kind == Kind::Crun || !(found.refuses_later_spec() || found.reads_keys_on_exec()));
    if found.version.is_none() {
        assert!(found.takes_create_container());
    }
}
