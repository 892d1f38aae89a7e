//! Spellings of keys: what they mean, and which are refused.

use procemu::{Filesystem, KeyError, SysctlKey};
use proptest::prelude::*;

fn key(text: &str) -> SysctlKey {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn spellings_of_one_key_are_equal() {
    for (spelling, path, shown) in [
        ("kernel.panic", "sys/kernel/panic", "kernel/panic"),
        ("kernel/panic", "sys/kernel/panic", "kernel/panic"),
        ("/proc/sys/kernel/panic", "sys/kernel/panic", "kernel/panic"),
        (
            "net.ipv4.conf.eth0/100.forwarding",
            "sys/net/ipv4/conf/eth0.100/forwarding",
            "net/ipv4/conf/eth0.100/forwarding",
        ),
        (
            "net/ipv4/conf/eth0.100/forwarding",
            "sys/net/ipv4/conf/eth0.100/forwarding",
            "net/ipv4/conf/eth0.100/forwarding",
        ),
        ("panic", "sys/panic", "panic"),
        ("a/b.c", "sys/a/b.c", "a/b.c"),
        ("/proc/sys/a.b/c", "sys/a.b/c", "/proc/sys/a.b/c"),
        ("/proc/stat", "stat", "/proc/stat"),
        ("/proc/fs/nfsd/x", "fs/nfsd/x", "/proc/fs/nfsd/x"),
        ("/proc/sysrq-trigger", "sysrq-trigger", "/proc/sysrq-trigger"),
        ("/proc/1a", "1a", "/proc/1a"),
        ("net.self", "sys/net/self", "net/self"),
    ] {
        let key = key(spelling);
        assert_eq!(key.path(), path, "{spelling}");
        assert_eq!(key.to_string(), shown, "{spelling}");
        assert_eq!(key, SysctlKey::from_proc_path(path).unwrap(), "{spelling}");
    }
}

#[test]
fn a_key_of_sysfs_is_absolute() {
    for (spelling, path, parent) in [
        (
            "/sys/module/nf_conntrack/parameters/hashsize",
            "module/nf_conntrack/parameters/hashsize",
            "module/nf_conntrack/parameters",
        ),
        ("/sys/x", "x", ""),
        // Names that mean something in /proc only.
        ("/sys/sys", "sys", ""),
        ("/sys/sys/kernel/panic", "sys/kernel/panic", "sys/kernel"),
        ("/sys/self/1", "self/1", "self"),
        ("/sys/1", "1", ""),
    ] {
        let of_sysfs = key(spelling);
        assert_eq!(of_sysfs.filesystem(), Filesystem::Sys, "{spelling}");
        assert_eq!((of_sysfs.path(), of_sysfs.parent()), (path, parent), "{spelling}");
        assert_eq!(of_sysfs.to_string(), spelling);
        assert_eq!(
            (of_sysfs.below_sys(), of_sysfs.dotted()),
            (None, None),
            "{spelling}"
        );
    }
    assert_ne!(key("/sys/sys/kernel/panic"), key("kernel/panic"));
    assert!(key("/proc/zoneinfo") < key("/sys/block"));
}

#[test]
fn a_key_knows_its_parts() {
    let forwarding = key("net.ipv4.conf.eth0/100.forwarding");
    assert_eq!(forwarding.name(), "forwarding");
    assert_eq!(forwarding.parent(), "sys/net/ipv4/conf/eth0.100");
    assert_eq!(forwarding.below_sys(), Some("net/ipv4/conf/eth0.100/forwarding"));
    assert_eq!(
        forwarding.dotted().as_deref(),
        Some("net.ipv4.conf.eth0/100.forwarding")
    );
    assert_eq!(forwarding.components().next_back(), Some("forwarding"));
    let stat = key("/proc/stat");
    assert_eq!(
        (stat.name(), stat.parent(), stat.below_sys(), stat.dotted()),
        ("stat", "", None, None)
    );
    assert_eq!(key("/proc/sys/a.b/c").dotted(), None);
}

#[test]
fn what_is_no_key_is_refused_with_the_reason() {
    let long_name = format!("kernel/{}", "x".repeat(256));
    let long_path = format!("kernel/{}", "abcdefg/".repeat(511));
    let is_refused = |text: &str, expected: fn(&KeyError) -> bool| {
        let error = text.parse::<SysctlKey>().expect_err(text);
        assert!(expected(&error), "{text:?}: {error:?}");
        let message = error.to_string();
        assert!(
            !message.contains('\n') && !message.ends_with('.') && message.len() < 300,
            "{message}"
        );
        assert!(message.starts_with(char::is_lowercase), "{message}");
    };
    for text in ["", "/proc", "/proc/", "/proc/sys", "/proc/sys/", "/sys", "/sys/"] {
        is_refused(text, |error| matches!(error, KeyError::Empty(_)));
    }
    for text in [
        "kernel//panic",
        "kernel..panic",
        ".kernel.panic",
        "/proc//stat",
        "//proc/stat/x/",
    ] {
        is_refused(text, |error| {
            matches!(error, KeyError::EmptyComponent(_) | KeyError::OutsideProc(_))
        });
    }
    for text in [
        "kernel/",
        "/sys/sys/",
        "kernel.",
        "kernel.panic.",
        "/proc/stat/",
        "/proc/sys/kernel/",
    ] {
        is_refused(text, |error| matches!(error, KeyError::TrailingSeparator(_)));
    }
    for text in [
        "kernel/../panic",
        "kernel/.",
        "kernel.//.x",
        "x./.y",
        "/proc/..",
        "/sys/../proc/stat",
        "/proc/sys/../stat",
    ] {
        is_refused(text, |error| matches!(error, KeyError::DotComponent(..)));
    }
    for text in [
        "kernel/pa nic",
        "kernel/panic\n",
        "kernel\0panic",
        "kernel\u{7f}x",
        "a\u{a0}b",
        "\tkernel.panic",
    ] {
        is_refused(text, |error| matches!(error, KeyError::Character(..)));
    }
    for text in ["/", "/etc/passwd", "/procfs/stat", "/processes", "/system/x"] {
        is_refused(text, |error| matches!(error, KeyError::OutsideProc(_)));
    }
    for text in [
        "/proc/1/status",
        "/proc/1",
        "/proc/self/status",
        "/proc/thread-self",
        "/proc/net/dev",
        "/proc/mounts",
    ] {
        is_refused(text, |error| matches!(error, KeyError::PerProcess(_)));
    }
    is_refused(&long_name, |error| {
        matches!(error, KeyError::LongComponent(_, 256))
    });
    is_refused(
        &format!("{long_path}xx"),
        |error| matches!(error, KeyError::LongPath(_, length) if *length > 4095),
    );
}

#[test]
fn a_path_may_have_just_4095_bytes() {
    // "/proc/sys/" has 10 bytes.
    let of = |bytes: usize| format!("{}{}", "abcdefg/".repeat(bytes / 8), "x".repeat(bytes % 8));
    assert!(of(4085).parse::<SysctlKey>().is_ok());
    assert!(matches!(
        of(4086).parse::<SysctlKey>(),
        Err(KeyError::LongPath(_, 4096))
    ));
}

#[test]
fn keys_are_strings_to_serde() {
    let json = serde_json::to_string(&key("kernel.panic")).unwrap();
    assert_eq!(json, "\"kernel/panic\"");
    assert_eq!(
        serde_json::from_str::<SysctlKey>(&json).unwrap(),
        key("kernel/panic")
    );
    assert!(serde_json::from_str::<SysctlKey>("\"/etc/passwd\"").is_err());
}

/// Names along a path, as they can stand in any place of it.
fn names() -> impl Strategy<Value = Vec<String>> {
    let name = "[a-z0-9_.:@é-]{1,9}".prop_filter("no way up", |name| name != "." && name != "..");
    prop::collection::vec(name, 1..6)
}

proptest! {
    #[test]
    fn every_key_is_read_back_from_both_spellings(names in names(), in_sysfs: bool) {
        let filesystem = Filesystem::ALL[usize::from(in_sysfs)];
        let Ok(key) = SysctlKey::from_path(filesystem, &names.join("/")) else {
            // Processes' folders and the like, which the refusals above cover.
            prop_assert!(!in_sysfs);
            return Ok(());
        };
        let json = serde_json::to_string(&key).unwrap();
        prop_assert_eq!(&serde_json::from_str::<SysctlKey>(&json).unwrap(), &key);
        prop_assert_eq!(&key.to_string().parse::<SysctlKey>().unwrap(), &key);
        if let Some(dotted) = key.dotted() {
            prop_assert_eq!(&dotted.parse::<SysctlKey>().unwrap(), &key);
        }
        prop_assert_eq!(key.components().collect::<Vec<_>>().join("/"), key.path());
        let parent = if key.parent().is_empty() { String::new() } else { format!("{}/", key.parent()) };
        prop_assert_eq!(parent + key.name(), key.path());
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,40}") {
        if let Ok(key) = text.parse::<SysctlKey>() {
            prop_assert_eq!(key.to_string().parse::<SysctlKey>().unwrap(), key);
        }
    }
}
