//! The program under the names that engines call it by, in front of a runtime that only notes how it was called.

mod place;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use place::{BRIDGE, Place, error_line};

#[test]
fn other_commands_pass_verbatim_and_nothing_is_read() {
    for line in [
        &b"--root /r --log /nonexistent/l start ID"[..],
        b"kill --all ID 9",
        b"--version",
        b"features",
        b"\xff\xfe --\xff",
    ] {
        let place = Place::new();
        let args: Vec<OsString> = line
            .split(|byte| *byte == b' ')
            .map(|arg| OsString::from_vec(arg.to_vec()))
            .collect();
        // Were the file read, it would be refused.
        let output = place.run(Some("nonsense"), &args);
        assert_eq!(output.status.code(), Some(7), "{}", error_line(&output));
        assert_eq!(place.called().unwrap(), args);
    }
}

#[test]
fn under_another_name_it_finds_the_runtime_behind_itself() {
    for name in ["runc", "procemu-runc"] {
        let place = Place::new();
        std::fs::create_dir(place.at("front")).unwrap();
        symlink(BRIDGE, place.at("front").join(name)).unwrap();
        let path = std::env::join_paths([
            place.at("front"),
            place.at("bin"),
            "/usr/bin".into(),
            "/bin".into(),
        ])
        .unwrap();
        let output = Command::new(place.at("front").join(name))
            .args(["state", "ID"])
            .env("PATH", path)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(7), "{}", error_line(&output));
        assert_eq!(place.called().unwrap(), ["state", "ID"]);
    }
}

#[test]
fn it_never_executes_itself() {
    let place = Place::new();
    let link = place.at("crun");
    symlink(BRIDGE, &link).unwrap();
    let alone = Command::new(&link)
        .arg("state")
        .env("PATH", place.dir.path())
        .output()
        .unwrap();
    assert_eq!(alone.status.code(), Some(1));
    assert!(
        error_line(&alone).starts_with("runtime-bridge: no runtime \"crun\" in [runtimes]"),
        "{}",
        error_line(&alone)
    );
    let named = Command::new(BRIDGE)
        .args(["runtime", "--exec"])
        .arg(&link)
        .args(["--", "state"])
        .output()
        .unwrap();
    assert_eq!(named.status.code(), Some(1));
    assert!(
        error_line(&named).contains("is runtime-bridge itself, name the real one"),
        "{}",
        error_line(&named)
    );
}

#[test]
fn a_container_that_cannot_be_prepared_is_not_made_and_the_log_says_why() {
    let place = Place::new();
    let log = place.at("log.json");
    std::fs::write(&log, "{\"level\":\"debug\",\"msg\":\"before\"}\n").unwrap();
    let bundle = place.at("");
    for (config, want) in [
        (
            "",
            format!(
                "cannot open {}config.json: no such file or directory",
                bundle.display()
            ),
        ),
        (
            "state = 1",
            format!(
                "{}:2: unknown field `state`, expected one of `preset`, `profiles`, `tables`, `allowed_profiles`, `policy`, `runtimes`, `state_dir`, `log`",
                place.at("bridge.toml").display()
            ),
        ),
    ] {
        let args = [
            "--log".as_ref(),
            log.as_os_str(),
            "--log-format=json".as_ref(),
            "create".as_ref(),
            "-b".as_ref(),
            bundle.as_os_str(),
            "ID".as_ref(),
        ];
        let output = place.run(Some(config), &args);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(place.called(), None);
        assert_eq!(error_line(&output), format!("runtime-bridge: {want}\n"));
        let text = std::fs::read_to_string(&log).unwrap();
        assert!(text.starts_with("{\"level\":\"debug\""));
        let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!(
            (last["level"].as_str(), last["msg"].as_str()),
            (Some("error"), Some(want.as_str()))
        );
    }
}

#[test]
fn policy_can_make_it_nevertheless() {
    let place = Place::new();
    let args = ["--log", "LOG", "run", "--bundle", "/nonexistent", "ID"].map(|arg| {
        if arg == "LOG" {
            place.at("log").into_os_string()
        } else {
            arg.into()
        }
    });
    let output = place.run(Some("[policy]\non_failure = \"warn\"\n"), &args);
    assert_eq!(output.status.code(), Some(7), "{}", error_line(&output));
    assert_eq!(place.called().unwrap(), args);
    let text = std::fs::read_to_string(place.at("log")).unwrap();
    assert!(
        text.contains("level=warning msg=\"not prepared: cannot open the bundle /nonexistent: "),
        "{text}"
    );
}

#[test]
fn another_config_file_is_refused() {
    let place = Place::new();
    let output = place.run(Some(""), &["run", "-f", "/other.json", "ID"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        error_line(&output).contains("--config /other.json: not supported"),
        "{}",
        error_line(&output)
    );
}

#[test]
fn a_runtime_that_cannot_be_executed_is_named() {
    let place = Place::new();
    std::fs::set_permissions(place.runtime(), std::fs::Permissions::from_mode(0o644)).unwrap();
    let output = place.run(None, &["state"]);
    assert_eq!(output.status.code(), Some(1));
    let want = format!("cannot execute {}: permission denied", place.runtime().display());
    assert_eq!(error_line(&output), format!("runtime-bridge: {want}\n"));
}

#[test]
fn the_tool_tells_usage_and_failure_apart() {
    let code = |args: &[&str]| Command::new(BRIDGE).args(args).output().unwrap().status.code();
    assert_eq!(code(&["rewrite"]), Some(2));
    assert_eq!(code(&["rewrite", "/nonexistent"]), Some(1));
    assert_eq!(
        code(&["rewrite", "/nonexistent", "--config", "/nonexistent"]),
        Some(1)
    );
    assert_eq!(code(&["--help"]), Some(0));
}

#[test]
fn the_keyring_flag_follows_policy_and_the_bundle_stays() {
    let text = "{ \"ociVersion\" : \"1.0.2\", \"x\": 1e400 }\n";
    for (policy, command, want) in [
        ("always", "create", vec!["create", "--no-new-keyring", "ID"]),
        ("always", "run", vec!["run", "--no-new-keyring", "ID"]),
        ("always", "restore", vec!["restore", "ID"]),
        ("never", "create", vec!["create", "ID"]),
    ] {
        let place = Place::new();
        let bundle = place.at("bundle");
        std::fs::create_dir(&bundle).unwrap();
        std::fs::write(bundle.join("config.json"), text).unwrap();
        let config = place.configured(&format!("profiles = []\npolicy.no_new_keyring = \"{policy}\"\n"));
        // The working directory is the bundle where none is named.
        let output = Command::new(BRIDGE)
            .args(["runtime".as_ref(), "--exec".as_ref(), place.runtime().as_os_str()])
            .args(["--config".as_ref(), config.as_os_str()])
            .args(["--", command, "ID"])
            .current_dir(&bundle)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(7), "{}", error_line(&output));
        assert_eq!(place.called().unwrap(), want);
        assert_eq!(std::fs::read_to_string(bundle.join("config.json")).unwrap(), text);
    }
}
