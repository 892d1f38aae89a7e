//! The name of a key.

use procemu::{Filesystem, SysctlKey};

/// A key that is read is a file below `/proc` or `/sys`, and every spelling that it gives of itself is read as itself.
pub fn check(data: &[u8]) {
    let Some(text) = super::text(data) else { return };
    let key: SysctlKey = match text.parse() {
        Ok(key) => key,
        Err(error) => return super::one_line(&format!("{error}")),
    };
    let path = key.path();
    assert!(!path.starts_with('/') && path.len() < 4096, "{path:?}");
    for name in key.components() {
        assert!(!["", ".", ".."].contains(&name) && name.len() < 256, "{path:?}");
        assert!(
            !name.contains(|c: char| c == '/' || c.is_control() || c.is_whitespace()),
            "{path:?}"
        );
    }
    if key.filesystem() == Filesystem::Proc {
        let first = key.components().next().unwrap_or_default();
        assert!(
            !first.bytes().all(|byte| byte.is_ascii_digit()),
            "{path:?} is of one process"
        );
        assert!(
            !["self", "thread-self", "net", "mounts"].contains(&first),
            "{path:?} is of one process"
        );
    }
    assert_eq!(key.parent().is_empty(), !path.contains('/'));
    assert!(path.ends_with(key.name()));

    assert_eq!(key.to_string().parse().as_ref(), Ok(&key), "as it is displayed");
    assert_eq!(
        SysctlKey::from_path(key.filesystem(), path).as_ref(),
        Ok(&key),
        "as a path"
    );
    let absolute = format!("{}/{path}", key.filesystem().mountpoint());
    assert_eq!(absolute.parse().as_ref(), Ok(&key), "as an absolute path");
    if let Some(dotted) = key.dotted() {
        assert_eq!(dotted.parse().as_ref(), Ok(&key), "with dots");
    }
    assert_eq!(
        key.below_sys().is_some(),
        key.filesystem() == Filesystem::Proc && path.starts_with("sys/")
    );
}
