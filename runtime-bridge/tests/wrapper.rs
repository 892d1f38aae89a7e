//! The program under the names that engines call it by, in front of a runtime that only notes how it was called.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Command, Output};

const BRIDGE: &str = env!("CARGO_BIN_EXE_runtime-bridge");

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        std::fs::create_dir(place.at("bin")).unwrap();
        let script = "#!/bin/sh\n[ \"$1\" = --version ] && echo 'runc version 1.5.2'\nprintf '%s\\0' \"$@\" > \"${0%/*}/called\"\nexit 7\n";
        std::fs::write(place.runtime(), script).unwrap();
        std::fs::set_permissions(place.runtime(), std::fs::Permissions::from_mode(0o755)).unwrap();
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn runtime(&self) -> PathBuf {
        self.at("bin/runc")
    }

    /// The arguments the runtime got, if it was executed.
    fn called(&self) -> Option<Vec<OsString>> {
        let text = std::fs::read(self.at("bin/called")).ok()?;
        let mut args: Vec<_> = text
            .split(|byte| *byte == 0)
            .map(|arg| OsString::from_vec(arg.to_vec()))
            .collect();
        args.pop();
        Some(args)
    }

    /// `runtime-bridge runtime --exec RUNTIME [--config CONFIG] -- ARGS`
    fn run<S: AsRef<OsStr>>(&self, config: Option<&str>, args: &[S]) -> Output {
        let mut command = Command::new(BRIDGE);
        command.arg("runtime").arg("--exec").arg(self.runtime());
        if let Some(text) = config {
            std::fs::write(self.at("bridge.toml"), text).unwrap();
            command.arg("--config").arg(self.at("bridge.toml"));
        }
        command.arg("--").args(args).output().unwrap()
    }
}

fn error_line(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

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
            "\nstate = 1",
            format!(
                "{}:2: unknown field `state`, expected one of `profiles`, `tables`, `allowed_profiles`, `policy`, `runtimes`, `state_dir`",
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
        std::fs::write(
            place.at("bridge.toml"),
            format!("profiles = []\npolicy.no_new_keyring = \"{policy}\"\n"),
        )
        .unwrap();
        // The working directory is the bundle where none is named.
        let output = Command::new(BRIDGE)
            .args(["runtime".as_ref(), "--exec".as_ref(), place.runtime().as_os_str()])
            .args(["--config".as_ref(), place.at("bridge.toml").as_os_str()])
            .args(["--", command, "ID"])
            .current_dir(&bundle)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(7), "{}", error_line(&output));
        assert_eq!(place.called().unwrap(), want);
        assert_eq!(std::fs::read_to_string(bundle.join("config.json")).unwrap(), text);
    }
}

/// Runs `body` while `uid` has used up its quota of keys.
fn with_full_quota(uid: u32, body: impl FnOnce()) {
    use procemu::keyring::join_new_session_keyring;
    use std::io::{Read, Write};
    let (mut filled, fills) = std::io::pipe().unwrap();
    let (until, ends) = std::io::pipe().unwrap();
    let holder = std::thread::spawn(move || {
        procemu::ask_child(|| {
            let uid = nix::unistd::Uid::from_raw(uid);
            nix::unistd::setresuid(uid, uid, uid).unwrap();
            // Each thread holds its own; the most that a user may have by default is 200.
            let joins = || {
                let (tell, told) = std::sync::mpsc::channel();
                std::thread::spawn(move || {
                    tell.send(join_new_session_keyring().is_ok()).unwrap();
                    std::thread::park();
                });
                told.recv().unwrap()
            };
            let held = (0..5000).take_while(|_| joins()).count();
            (&fills).write_all(&[u8::from(held < 5000)]).unwrap();
            let _ = (&until).read(&mut [0]);
            Vec::new()
        })
    });
    let mut full = [0];
    filled.read_exact(&mut full).unwrap();
    assert_eq!(full, [1], "the quota has no end");
    body();
    (&ends).write_all(&[1]).unwrap();
    holder.join().unwrap().unwrap();
}

#[test]
fn the_keyring_flag_is_given_where_the_containers_root_has_no_quota_left() {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: another user's quota can be filled by root only");
        return;
    }
    let full = 1_900_000_001;
    with_full_quota(full, || {
        for (root, want) in [
            (full, vec!["run", "--no-new-keyring", "ID"]),
            (full + 1, vec!["run", "ID"]),
        ] {
            let place = Place::new();
            let config = format!(
                r#"{{"linux":{{"namespaces":[{{"type":"user"}}],"uidMappings":[{{"containerID":0,"hostID":{root},"size":1}}]}}}}"#
            );
            std::fs::write(place.at("config.json"), config).unwrap();
            std::fs::write(place.at("bridge.toml"), "profiles = []\n").unwrap();
            let output = Command::new(BRIDGE)
                .args(["runtime".as_ref(), "--exec".as_ref(), place.runtime().as_os_str()])
                .args(["--config".as_ref(), place.at("bridge.toml").as_os_str()])
                .args(["--", "run", "ID"])
                .current_dir(place.dir.path())
                .output()
                .unwrap();
            assert_eq!(output.status.code(), Some(7), "{}", error_line(&output));
            assert_eq!(place.called().unwrap(), want);
        }
    });
}

/// The file is there, so that it is found, and cannot be executed, so that it fails when all else is done.
#[test]
fn the_bundle_is_as_before_when_the_runtime_cannot_be_executed() {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: what a container lacks can be told by root only");
        return;
    }
    let place = Place::new();
    std::fs::set_permissions(place.runtime(), std::fs::Permissions::from_mode(0o644)).unwrap();
    let config = r#"{"root":{"path":"r"},"mounts":[{"destination":"/proc","type":"proc","source":"proc"}]}"#;
    std::fs::write(place.at("config.json"), config).unwrap();
    std::fs::write(place.at("t.toml"), "[keys]\n\"kernel/made_up\" = { value = 1 }\n").unwrap();
    let policy = format!("profiles = []\ntables = [{:?}]\n", place.at("t.toml"));
    let bundle = place.dir.path().as_os_str();
    let output = place.run(
        Some(&policy),
        &["run".as_ref(), "--bundle".as_ref(), bundle, "ID".as_ref()],
    );
    assert_eq!(output.status.code(), Some(1), "{}", error_line(&output));
    assert!(
        error_line(&output).contains("cannot execute "),
        "{}",
        error_line(&output)
    );
    assert_eq!(std::fs::read_to_string(place.at("config.json")).unwrap(), config);
    // The same with one that can be: the wrapper does change this bundle.
    std::fs::set_permissions(place.runtime(), std::fs::Permissions::from_mode(0o755)).unwrap();
    place.run(
        Some(&policy),
        &["run".as_ref(), "--bundle".as_ref(), bundle, "ID".as_ref()],
    );
    assert!(
        std::fs::read_to_string(place.at("config.json"))
            .unwrap()
            .contains("made_up")
    );
}
