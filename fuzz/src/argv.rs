//! A runtime's command line. One argument per line.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use runtime_bridge::argv::{self, Subcommand};

/// What is put in is found again and changes the meaning of nothing else; all that was there stays, in its order.
pub fn check(data: &[u8]) {
    let args: Vec<OsString> = data
        .split(|byte| *byte == b'\n')
        .map(|arg| OsString::from_vec(arg.to_vec()))
        .collect();
    let found = argv::parse(&args);
    for value in [
        &found.id,
        &found.bundle,
        &found.config,
        &found.root,
        &found.log,
        &found.log_format,
    ]
    .into_iter()
    .flatten()
    {
        let is_given = |arg: &OsString| arg.as_encoded_bytes().ends_with(value.as_encoded_bytes());
        assert!(args.iter().any(is_given), "{value:?} is from nowhere");
    }

    let longer = argv::with_no_new_keyring(&args, &found);
    let mut again = argv::parse(&longer);
    if longer == args {
        assert!(found.no_new_keyring || !found.subcommand.takes_no_new_keyring());
    } else {
        assert!(again.no_new_keyring && found.subcommand.takes_no_new_keyring());
        is_one_more(&args, &longer, "--no-new-keyring");
    }
    again.no_new_keyring = found.no_new_keyring;
    assert_eq!(again, found);

    let longer = argv::without_cgroups(&args, &found);
    let again = argv::parse(&longer);
    if longer == args {
        assert!(found.cgroup_manager || !found.subcommand.makes_container());
    } else {
        assert!(again.cgroup_manager);
        is_one_more(&args, &longer, "--cgroup-manager=disabled");
        assert_eq!(
            (
                again.subcommand,
                &again.id,
                &again.bundle,
                &again.config,
                &again.root,
                &again.log,
                &again.log_format,
                again.no_new_keyring
            ),
            (
                found.subcommand,
                &found.id,
                &found.bundle,
                &found.config,
                &found.root,
                &found.log,
                &found.log_format,
                found.no_new_keyring
            ),
        );
    }

    // Another call about the same containers looks for them where this one does, and writes no log.
    let mut global = argv::global_flags(&args, &found);
    let mut rest = args.iter();
    assert!(
        global.iter().all(|flag| rest.any(|arg| arg == flag)),
        "{global:?} is no part of {args:?}"
    );
    if found.subcommand != Subcommand::Other {
        global.push("state".into());
        let again = argv::parse(&global);
        assert_eq!(
            (&again.root, &again.log, &again.log_format),
            (&found.root, &None, &None),
            "{global:?}"
        );
    }
}

fn is_one_more(args: &[OsString], longer: &[OsString], new: &str) {
    let mut without = longer.to_vec();
    let at = without
        .iter()
        .zip(args)
        .take_while(|(one, other)| one == other)
        .count();
    // One that was there already may stand right before it.
    assert!(
        without[..=at].iter().any(|arg| arg == new),
        "{longer:?} has no new {new}"
    );
    without.remove(at);
    assert_eq!(without, args);
}
