//! What is read in the command lines of engines, and what is added to them.

use runtime_bridge::argv::{Subcommand, global_flags, parse, with_no_new_keyring, without_cgroups};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;

fn words(line: &str) -> Vec<OsString> {
    line.split_whitespace().map(OsString::from).collect()
}

/// A command line; subcommand, bundle, log, log format; the line with the keyring flag.
type Case = (
    &'static str,
    Subcommand,
    Option<&'static str>,
    Option<&'static str>,
    Option<&'static str>,
    &'static str,
);

const CASES: &[Case] = &[
    // containerd's shim, 1.6 and 2.2.
    (
        "--root /run/containerd/runc/k8s.io --log /run/b/log.json --log-format json create --bundle /run/b --pid-file /run/b/init.pid ID",
        Subcommand::Create,
        Some("/run/b"),
        Some("/run/b/log.json"),
        Some("json"),
        "--root /run/containerd/runc/k8s.io --log /run/b/log.json --log-format json create --no-new-keyring --bundle /run/b --pid-file /run/b/init.pid ID",
    ),
    // The same with the shim's NoNewKeyring option.
    (
        "--root /r --log /l --log-format json create --bundle /b --pid-file /p --no-new-keyring ID",
        Subcommand::Create,
        Some("/b"),
        Some("/l"),
        Some("json"),
        "--root /r --log /l --log-format json create --bundle /b --pid-file /p --no-new-keyring ID",
    ),
    (
        "--root /r --log /l --log-format json start ID",
        Subcommand::Other,
        None,
        Some("/l"),
        Some("json"),
        "--root /r --log /l --log-format json start ID",
    ),
    (
        "--root /r --log /l --log-format json exec --process /p --detach --pid-file /f ID",
        Subcommand::Exec,
        None,
        Some("/l"),
        Some("json"),
        "--root /r --log /l --log-format json exec --process /p --detach --pid-file /f ID",
    ),
    (
        "--root /r --log /l --log-format json kill --all ID 9",
        Subcommand::Other,
        None,
        Some("/l"),
        Some("json"),
        "--root /r --log /l --log-format json kill --all ID 9",
    ),
    ("features", Subcommand::Other, None, None, None, "features"),
    // dockerd's probe, and its containers with a systemd cgroup driver.
    ("--version", Subcommand::Other, None, None, None, "--version"),
    (
        "--root /var/run/docker/runtime-runc/moby --log /l --log-format json --systemd-cgroup create --bundle /b --pid-file /p ID",
        Subcommand::Create,
        Some("/b"),
        Some("/l"),
        Some("json"),
        "--root /var/run/docker/runtime-runc/moby --log /l --log-format json --systemd-cgroup create --no-new-keyring --bundle /b --pid-file /p ID",
    ),
    // conmon for podman with crun; then a restore.
    (
        "--cgroup-manager cgroupfs --log-format=json --log=/c/oci-log create --bundle /c/userdata --pid-file /c/pidfile ID",
        Subcommand::Create,
        Some("/c/userdata"),
        Some("/c/oci-log"),
        Some("json"),
        "--cgroup-manager cgroupfs --log-format=json --log=/c/oci-log create --no-new-keyring --bundle /c/userdata --pid-file /c/pidfile ID",
    ),
    (
        "--systemd-cgroup --log-format=json --log /c/oci-log restore --bundle /c/u --pid-file /p --image-path /i --work-path /w --detach ID",
        Subcommand::Restore,
        Some("/c/u"),
        Some("/c/oci-log"),
        Some("json"),
        "--systemd-cgroup --log-format=json --log /c/oci-log restore --bundle /c/u --pid-file /p --image-path /i --work-path /w --detach ID",
    ),
    // conmon for CRI-O.
    (
        "--root=/run/runc --systemd-cgroup create --bundle /b --no-pivot --pid-file /p ID",
        Subcommand::Create,
        Some("/b"),
        None,
        None,
        "--root=/run/runc --systemd-cgroup create --no-new-keyring --bundle /b --no-pivot --pid-file /p ID",
    ),
    // By hand: Go's single dashes, flags behind the name, attached short values, the last one counts.
    (
        "-log /l -debug run ID -b /b",
        Subcommand::Run,
        Some("/b"),
        Some("/l"),
        None,
        "-log /l -debug run --no-new-keyring ID -b /b",
    ),
    (
        "-l/l run -b/b ID",
        Subcommand::Run,
        Some("/b"),
        Some("/l"),
        None,
        "-l/l run --no-new-keyring -b/b ID",
    ),
    (
        "run -b=/a --bundle=/b ID",
        Subcommand::Run,
        Some("/b"),
        None,
        None,
        "run --no-new-keyring -b=/a --bundle=/b ID",
    ),
    // argp: beginnings of names, and short flags in one.
    (
        "--ro /r --log-f json --lo /x create --bun /b --pid /p ID",
        Subcommand::Create,
        Some("/b"),
        None,
        Some("json"),
        "--ro /r --log-f json --lo /x create --no-new-keyring --bun /b --pid /p ID",
    ),
    (
        "run -db /b --no-n ID",
        Subcommand::Run,
        Some("/b"),
        None,
        None,
        "run -db /b --no-n ID",
    ),
    (
        "run -db/b -detach ID",
        Subcommand::Run,
        Some("/b"),
        None,
        None,
        "run --no-new-keyring -db/b -detach ID",
    ),
    // A value that looks like a flag, a name that looks like a subcommand, and what stands behind `--`.
    (
        "--root --log run ID",
        Subcommand::Run,
        None,
        None,
        None,
        "--root --log run --no-new-keyring ID",
    ),
    (
        "create --pid-file --bundle create",
        Subcommand::Create,
        None,
        None,
        None,
        "create --no-new-keyring --pid-file --bundle create",
    ),
    (
        "create -- --bundle",
        Subcommand::Create,
        None,
        None,
        None,
        "create --no-new-keyring -- --bundle",
    ),
    (
        "-- create --bundle /b ID",
        Subcommand::Create,
        Some("/b"),
        None,
        None,
        "-- create --no-new-keyring --bundle /b ID",
    ),
    // Unknown flags pass.
    (
        "--unknown --strange=1 create --new --bundle /b ID",
        Subcommand::Create,
        Some("/b"),
        None,
        None,
        "--unknown --strange=1 create --no-new-keyring --new --bundle /b ID",
    ),
    // Only a question.
    (
        "create --help",
        Subcommand::Other,
        None,
        None,
        None,
        "create --help",
    ),
    (
        "--version create",
        Subcommand::Other,
        None,
        None,
        None,
        "--version create",
    ),
    ("", Subcommand::Other, None, None, None, ""),
    ("--log", Subcommand::Other, None, None, None, "--log"),
    (
        "create --bundle",
        Subcommand::Create,
        None,
        None,
        None,
        "create --no-new-keyring --bundle",
    ),
];

#[test]
fn engines_command_lines() {
    for (line, subcommand, bundle, log, format, with_flag) in CASES {
        let args = words(line);
        let found = parse(&args);
        assert_eq!(found.subcommand, *subcommand, "{line}");
        assert_eq!(found.bundle.as_deref(), bundle.map(OsStr::new), "{line}");
        assert_eq!(found.log.as_deref(), log.map(OsStr::new), "{line}");
        assert_eq!(found.log_format.as_deref(), format.map(OsStr::new), "{line}");
        assert_eq!(with_no_new_keyring(&args, &found), words(with_flag), "{line}");
    }
}

#[test]
fn names_of_containers_are_found() {
    for (line, id) in [
        ("--root /r create --bundle /b ID", Some("ID")),
        ("run -b /b ID", Some("ID")),
        ("delete ID", Some("ID")),
        (
            "--root /r --log /l --log-format json delete --force ID",
            Some("ID"),
        ),
        ("delete -f ID", Some("ID")),
        ("delete ID --force", Some("ID")),
        ("delete -- ID", Some("ID")),
        ("delete --force", None),
        ("kill ID", None),
    ] {
        assert_eq!(parse(&words(line)).id.as_deref(), id.map(OsStr::new), "{line}");
    }
}

#[test]
fn another_call_gets_the_global_flags_but_the_log() {
    for (line, flags) in [
        (
            "--root /r --log /l --log-format json --systemd-cgroup create --bundle /b ID",
            "--root /r --systemd-cgroup",
        ),
        (
            "--root=/r --log=/l -l/l -l /l --cgroup-manager cgroupfs run ID",
            "--root=/r --cgroup-manager cgroupfs",
        ),
        ("-- create ID", ""),
        ("create ID", ""),
    ] {
        let args = words(line);
        assert_eq!(global_flags(&args, &parse(&args)), words(flags), "{line}");
    }
}

#[test]
fn cgroups_are_disabled_only_where_nobody_chose() {
    for (line, want) in [
        (
            "--root /r create ID",
            "--cgroup-manager=disabled --root /r create ID",
        ),
        ("-- run ID", "--cgroup-manager=disabled -- run ID"),
        (
            "--cgroup-manager cgroupfs create ID",
            "--cgroup-manager cgroupfs create ID",
        ),
        ("--systemd-cgroup run ID", "--systemd-cgroup run ID"),
        ("exec ID true", "exec ID true"),
        ("create --help", "create --help"),
    ] {
        let args = words(line);
        assert_eq!(without_cgroups(&args, &parse(&args)), words(want), "{line}");
    }
}

#[test]
fn crun_config_is_found() {
    assert_eq!(parse(&words("run --config=/c -b /b ID")).config.unwrap(), "/c");
    assert_eq!(parse(&words("run -f /c ID")).config.unwrap(), "/c");
}

#[test]
fn bytes_that_are_no_text_pass_through() {
    let odd = OsString::from_vec(b"/b/\xff\xfe".to_vec());
    let mut attached = OsString::from("--bundle=");
    attached.push(&odd);
    for args in [
        vec!["create".into(), attached, odd.clone()],
        vec!["create".into(), "-b".into(), odd.clone()],
    ] {
        let found = parse(&args);
        assert_eq!(found.bundle.as_deref(), Some(odd.as_os_str()));
        let with_flag = with_no_new_keyring(&args, &found);
        assert_eq!(with_flag[2..], args[1..]);
    }
}
