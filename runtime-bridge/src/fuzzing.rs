//! What of the bridge reads text from outside and cannot be reached by the API, for `fuzz/`.
//!
//! No part of the API: may change or go at any time.

use std::path::PathBuf;

use crate::hook::{self, HookError};
use crate::install::{self, Handler, Refusal, Target};

/// The id, pid and bundle of a container's state.
///
/// # Errors
/// As the hook refuses it.
pub fn state(text: &[u8]) -> Result<(String, Option<i64>, PathBuf), HookError> {
    let state = hook::parse_state(text)?;
    Ok((state.id, state.pid, state.bundle))
}

/// `text` of `target`'s file with our handler, as `install` writes it. `fresh` is what a file that says nothing begins with.
///
/// # Errors
/// As `install` refuses it.
pub fn with_us(target: Target, text: &str, fresh: &str, handler: &Handler) -> Result<String, Refusal> {
    install::edited(text, |plain| install::added(target, plain, fresh, handler))
}

/// `text` without it, as `uninstall` writes it where others have changed the file; `before` is what it was before us.
///
/// # Errors
/// As `uninstall` refuses it.
pub fn without_us(target: Target, text: &str, before: Option<&str>) -> Result<String, Refusal> {
    install::edited(text, |plain| install::removed(target, plain, before))
}

/// Our handler in it, as `status` tells.
///
/// # Errors
/// As `status` refuses it.
pub fn handler(target: Target, text: &str) -> Result<Option<Handler>, Refusal> {
    install::found(target, &install::plain(text))
}

/// A file that is all ours, for a target whose file is.
pub fn own_file(target: Target, handler: &Handler, bridge: &str) -> Option<String> {
    install::own_content(target, handler, bridge)
}
