//! The state that a runtime writes to a hook's standard input.

use std::path::Path;

use runtime_bridge::fuzzing;
use runtime_bridge::report::chain;
use serde_json::Value;

/// What is found is what the text has, and a state without a bundle is refused.
pub fn check(data: &[u8]) {
    let (id, pid, bundle) = match fuzzing::state(data) {
        Ok(found) => found,
        Err(error) => return super::one_line(&chain(&error)),
    };
    let value: Value = serde_json::from_slice(data).expect("it was read");
    assert_eq!(value["bundle"].as_str().map(Path::new), Some(bundle.as_path()));
    assert!(!bundle.as_os_str().is_empty() && !bundle.as_os_str().as_encoded_bytes().contains(&0));
    assert_eq!(value["id"].as_str().unwrap_or_default(), id);
    assert_eq!(value["pid"].as_i64(), pid);
}
