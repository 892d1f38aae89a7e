//! An engine restarted with a changed file, and the file given back where it does not come back.

use runtime_bridge::config::Config;
use runtime_bridge::install::{Installation, Request, Restart, Target, install, uninstall};
use runtime_bridge::report::chain;
use std::fs;
use std::path::PathBuf;

const BEFORE: &str = "version = 3\n# the site's\n";

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
            config: Config {
                runtimes: [("runc".to_owned(), "/bin/true".into())].into(),
                ..Config::default()
            },
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
        let restart = Restart {
            command: &format!("cd {folder}; echo >> restarts; ! grep -q procemu config.toml || exit {code}"),
            engine: "containerd",
            state_dir: self.0.path(),
        };
        restart.with(edits, apply).map_err(|error| chain(&error))
    }

    fn restarts(&self) -> usize {
        fs::read_to_string(self.at("restarts"))
            .unwrap_or_default()
            .lines()
            .count()
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
        let done = restart.with(std::slice::from_ref(&found.edit), || found.apply());
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
fn uninstalling_is_taken_back_too() {
    let place = Place::new();
    place.install(0).unwrap();
    let edit = uninstall(Target::Containerd, Some(&place.at("config.toml"))).unwrap();
    let restart = Restart {
        command: "exit 1",
        engine: "containerd",
        state_dir: place.0.path(),
    };
    let said = restart.with(std::slice::from_ref(&edit), || edit.apply());
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
