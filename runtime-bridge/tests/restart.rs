//! An engine restarted with a changed file, and the file given back where it does not come back.

use runtime_bridge::config::Config;
use runtime_bridge::install::{Installation, Lock, Request, Restart, Target, install, uninstall};
use runtime_bridge::report::chain;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

const BEFORE: &str = "version = 3\n# the site's\n";

fn config() -> Config {
    Config {
        runtimes: [("runc".to_owned(), "/bin/true".into())].into(),
        ..Config::default()
    }
}

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::write(place.at("runtime-bridge"), "").unwrap();
        fs::write(place.at("config.toml"), BEFORE).unwrap();
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn installation(&self) -> Installation {
        let request = Request {
            target: Target::Containerd,
            file: Some(self.at("config.toml")),
            default: false,
            no_new_keyring: false,
            runtime: None,
            config: config(),
            bridge: self.at("runtime-bridge"),
        };
        install(&request).unwrap()
    }

    /// Installs, and restarts by a command that counts and, where the file has our handler, ends with `code`.
    fn install(&self, code: u8) -> Result<bool, String> {
        let found = self.installation();
        self.restart(code, std::slice::from_ref(&found.edit), || found.apply())
    }

    fn uninstall(&self, code: u8) -> Result<bool, String> {
        let edit = uninstall(Target::Containerd, Some(&self.at("config.toml"))).unwrap();
        self.restart(code, std::slice::from_ref(&edit), || edit.apply())
    }

    fn restart(
        &self,
        code: u8,
        edits: &[runtime_bridge::install::Edit],
        apply: impl FnOnce() -> Result<(), runtime_bridge::install::InstallError>,
    ) -> Result<bool, String> {
        let folder = self.0.path().display();
        fs::write(self.at("code"), code.to_string()).unwrap();
        let restart = Restart {
            command: &format!(
                "cd {folder}; echo >> restarts; ! grep -q procemu config.toml || exit $(cat code)"
            ),
            engine: "containerd",
            state_dir: self.0.path(),
        };
        let lock = Lock::take(self.0.path()).unwrap();
        restart.with(&lock, edits, apply).map_err(|error| chain(&error))
    }

    fn restarts(&self) -> usize {
        fs::read_to_string(self.at("restarts"))
            .unwrap_or_default()
            .lines()
            .count()
    }

    /// Installs, and is killed before the engine is restarted.
    fn interrupted_install(&self) {
        let found = self.installation();
        let killed = || {
            found.apply().unwrap();
            panic!("killed");
        };
        let edits = std::slice::from_ref(&found.edit);
        catch_unwind(AssertUnwindSafe(|| self.restart(0, edits, killed))).unwrap_err();
        assert!(self.has_our_handler());
    }

    fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.at(name)).unwrap().mode() & 0o7777
    }

    fn has_our_handler(&self) -> bool {
        fs::read_to_string(self.at("config.toml"))
            .unwrap()
            .contains("procemu")
    }

    /// The file is as it was, with nothing beside it.
    fn is_before(&self) -> bool {
        let copy = self.at("config.toml.procemu-before");
        fs::read_to_string(self.at("config.toml")).unwrap() == BEFORE && !copy.exists()
    }
}

#[test]
fn it_is_restarted_where_its_file_changes() {
    let place = Place::new();
    assert_eq!(place.uninstall(0), Ok(false));
    assert_eq!(place.install(0), Ok(true));
    assert_eq!(place.install(0), Ok(false));
    assert_eq!(place.restarts(), 1);
    assert_eq!(place.uninstall(0), Ok(true));
    assert_eq!(place.restarts(), 2);
    assert!(place.is_before());
}

#[test]
fn where_it_does_not_come_back_it_gets_its_old_file_and_is_not_tried_again() {
    let place = Place::new();
    let said = place.install(3).unwrap_err();
    assert!(
        said.ends_with("` failed (exit status: 3); all is as it was before, with which it succeeded"),
        "{said}"
    );
    assert!(place.is_before());
    assert_eq!(place.restarts(), 2);

    let said = place.install(3).unwrap_err();
    assert!(
        said.contains(
            "failed (exit status: 3) with the same change before; name another command, or remove "
        ),
        "{said}"
    );
    assert!(place.is_before());
    assert_eq!(place.restarts(), 2);

    // Another change is another matter.
    fs::write(place.at("config.toml"), format!("{BEFORE}# more\n")).unwrap();
    assert_eq!(place.install(0), Ok(true));
    assert!(!place.at("restart/containerd.failed").exists());
}

/// It may be the command that was wrong.
#[test]
fn another_command_may_be_tried() {
    let place = Place::new();
    let with = |command| {
        let found = place.installation();
        let restart = Restart {
            command,
            engine: "containerd",
            state_dir: place.0.path(),
        };
        let done = restart.with(
            &Lock::take(place.0.path()).unwrap(),
            std::slice::from_ref(&found.edit),
            || found.apply(),
        );
        done.map_err(|error| chain(&error))
    };
    assert!(
        with("false")
            .unwrap_err()
            .starts_with("`false` failed (exit status: 1); all")
    );
    let said = with("false").unwrap_err();
    let want =
        "`false` failed (exit status: 1) with the same change before; name another command, or remove ";
    assert!(said.starts_with(want), "{said}");
    assert_eq!(with("true"), Ok(true));
    assert!(place.has_our_handler());
}

#[test]
fn what_was_interrupted_is_done_by_the_next() {
    let place = Place::new();
    place.installation().apply().unwrap();
    fs::create_dir(place.at("restart")).unwrap();
    fs::write(place.at("restart/containerd"), "").unwrap();
    assert_eq!(place.install(0), Ok(true));
    assert_eq!(place.restarts(), 1);
    assert_eq!(place.install(0), Ok(false));
}

#[test]
fn what_was_interrupted_is_taken_back_where_the_engine_does_not_come_back() {
    let place = Place::new();
    place.interrupted_install();
    let said = place.install(3).unwrap_err();
    assert!(
        said.ends_with("all is as it was before, with which it succeeded"),
        "{said}"
    );
    assert!(place.is_before());
    assert_eq!(place.restarts(), 2);
    assert!(
        place
            .install(0)
            .unwrap_err()
            .contains("with the same change before")
    );
    assert_eq!(place.restarts(), 2);
}

#[test]
fn what_others_changed_after_an_interrupted_run_is_not_taken_from_them() {
    let place = Place::new();
    place.interrupted_install();
    let text = fs::read_to_string(place.at("config.toml")).unwrap() + "# more\n";
    fs::write(place.at("config.toml"), &text).unwrap();
    let request = |default| Request {
        target: Target::Containerd,
        file: Some(place.at("config.toml")),
        default,
        no_new_keyring: false,
        runtime: None,
        config: config(),
        bridge: place.at("runtime-bridge"),
    };
    let found = install(&request(true)).unwrap();
    let said = place.restart(3, std::slice::from_ref(&found.edit), || found.apply());
    assert!(said.is_err());
    assert_eq!(fs::read_to_string(place.at("config.toml")).unwrap(), text);
}

#[test]
fn what_is_noted_is_for_root_alone() {
    let place = Place::new();
    let secret = "# password = 'hunter2'\n";
    fs::write(place.at("config.toml"), format!("{BEFORE}{secret}")).unwrap();
    fs::set_permissions(place.at("config.toml"), fs::Permissions::from_mode(0o600)).unwrap();
    // What an earlier version left open to all.
    fs::create_dir(place.at("restart")).unwrap();
    place.install(3).unwrap_err();
    assert_eq!(place.mode("restart"), 0o700);
    assert_eq!(place.mode("restart/containerd.failed"), 0o600);
    let noted = fs::read_to_string(place.at("restart/containerd.failed")).unwrap();
    assert!(!noted.contains("hunter2"), "{noted}");
    assert_eq!(place.mode("config.toml"), 0o600);

    fs::remove_file(place.at("restart/containerd.failed")).unwrap();
    place.interrupted_install();
    assert_eq!(place.mode("restart/containerd"), 0o600);
}

/// So it needs no room on a disk that is full by then.
#[test]
fn the_old_file_itself_is_given_back() {
    let place = Place::new();
    let inode = || fs::metadata(place.at("config.toml")).unwrap().ino();
    let before = inode();
    place.install(3).unwrap_err();
    assert_eq!(inode(), before);
    assert!(!place.at("config.toml.procemu-old").exists());
    fs::remove_file(place.at("restart/containerd.failed")).unwrap();
    place.install(0).unwrap();
    assert!(!place.at("config.toml.procemu-old").exists());
}

#[test]
fn a_file_that_is_all_ours_comes_back_with_its_mode() {
    let place = Place::new();
    let file = place.at("crio.conf");
    let request = Request {
        target: Target::Crio,
        file: Some(file.clone()),
        default: false,
        no_new_keyring: false,
        runtime: Some("runc".to_owned()),
        config: config(),
        bridge: place.at("runtime-bridge"),
    };
    install(&request).unwrap().apply().unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let edit = uninstall(Target::Crio, Some(&file)).unwrap();
    let restart = Restart {
        command: "exit 1",
        engine: "crio",
        state_dir: place.0.path(),
    };
    let lock = Lock::take(place.0.path()).unwrap();
    restart
        .with(&lock, std::slice::from_ref(&edit), || edit.apply())
        .unwrap_err();
    assert_eq!(place.mode("crio.conf"), 0o640);
    assert_eq!(fs::metadata(&file).unwrap().nlink(), 1);
}

#[test]
fn uninstalling_is_taken_back_too() {
    let place = Place::new();
    place.install(0).unwrap();
    let edit = uninstall(Target::Containerd, Some(&place.at("config.toml"))).unwrap();
    let restart = Restart {
        command: "exit 1",
        engine: "containerd",
        state_dir: place.0.path(),
    };
    let said = restart.with(
        &Lock::take(place.0.path()).unwrap(),
        std::slice::from_ref(&edit),
        || edit.apply(),
    );
    assert!(chain(&said.unwrap_err()).ends_with("failed too (exit status: 1)"));
    assert!(place.has_our_handler());
    assert!(place.at("config.toml.procemu-after").exists());
    // The engine is still to be restarted.
    assert_eq!(place.install(0), Ok(true));
}

#[test]
fn nothing_is_restarted_where_the_file_cannot_be_written() {
    let place = Place::new();
    let found = place.installation();
    fs::create_dir(place.at("config.toml.procemu-before")).unwrap();
    let failed = place.restart(0, std::slice::from_ref(&found.edit), || found.apply());
    assert!(failed.is_err());
    fs::remove_dir(place.at("config.toml.procemu-before")).unwrap();
    assert!(place.is_before());
    assert_eq!(place.restarts(), 0);
    assert_eq!(place.uninstall(0), Ok(false));
}
