//! What the wrapper does with rights that only root has: skipped, and said so, for others.

mod place;

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Completion, Trial};
use place::{BRIDGE, Place, error_line};

fn main() -> ExitCode {
    let trial = |name: &'static str, needs: &'static str, body: fn()| {
        Trial::ignorable_test(name, move || {
            if !nix::unistd::geteuid().is_root() {
                println!("skipped {name}: {needs}");
                return Ok(Completion::ignored_with(needs));
            }
            body();
            Ok(Completion::Completed)
        })
    };
    let trials = vec![
        trial(
            "the_keyring_flag_is_given_where_the_containers_root_has_no_quota_left",
            "another user's quota of keys can be filled by root only",
            the_keyring_flag_is_given_where_the_containers_root_has_no_quota_left,
        ),
        trial(
            "the_bundle_is_as_before_when_the_runtime_cannot_be_executed",
            "what a container lacks can be told by root only",
            the_bundle_is_as_before_when_the_runtime_cannot_be_executed,
        ),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
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

fn the_keyring_flag_is_given_where_the_containers_root_has_no_quota_left() {
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
            let policy = place.configured("profiles = []\n");
            let output = Command::new(BRIDGE)
                .args(["runtime".as_ref(), "--exec".as_ref(), place.runtime().as_os_str()])
                .args(["--config".as_ref(), policy.as_os_str()])
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
fn the_bundle_is_as_before_when_the_runtime_cannot_be_executed() {
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
