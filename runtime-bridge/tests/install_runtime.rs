//! The runtime that an engine's bridge stands for, and what `install` refuses because each container would.

use runtime_bridge::config::Config;
use runtime_bridge::install::{Edit, Request, Target, install, uninstall};
use runtime_bridge::report::chain;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for name in ["runtime-bridge", "runc", "crun", "opt/runc", "opt/nosuch"] {
            place.write(name, "", 0o755);
        }
        place.write("opt/text", "", 0o644);
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        fs::create_dir_all(self.at(name).parent().unwrap()).unwrap();
        fs::write(self.at(name), text).unwrap();
        fs::set_permissions(self.at(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn file(&self, target: Target) -> PathBuf {
        self.at("etc").join(target.file().file_name().unwrap())
    }

    fn request(&self, target: Target, runtime: Option<&str>, known: &[&str]) -> Request {
        let runtimes = known.iter().map(|name| ((*name).to_owned(), self.at(name)));
        Request {
            target,
            file: Some(self.file(target)),
            default: false,
            no_new_keyring: false,
            runtime: runtime.map(str::to_owned),
            config: Config {
                runtimes: runtimes.collect(),
                ..Config::default()
            },
            bridge: self.at("runtime-bridge"),
        }
    }

    /// The runtime stood for, or why there is none.
    fn found(&self, request: &Request) -> Result<String, String> {
        let here = format!("{}/", self.0.path().display());
        match install(request) {
            Ok(found) => Ok(
                found.link().unwrap().file_name().unwrap().to_str().unwrap()["procemu-".len()..].to_owned(),
            ),
            Err(error) => Err(chain(&error).replace(&here, "")),
        }
    }

    fn edit(&self, default: bool, runtime: Option<&str>) -> Edit {
        let request = Request {
            default,
            ..self.request(Target::Docker, runtime, &["runc", "crun"])
        };
        let found = install(&request).unwrap();
        found.apply().unwrap();
        found.edit
    }
}

#[test]
fn it_is_dockers_default_runtime() {
    let place = Place::new();
    for (text, want) in [
        ("{}", Ok("runc")),
        (r#"{"default-runtime": "io.containerd.runc.v2"}"#, Ok("runc")),
        (
            r#"{"default-runtime": "x", "runtimes": {"x": {"path": "crun", "runtimeArgs": []}}}"#,
            Ok("crun"),
        ),
        (
            r#"{"default-runtime": "x"}"#,
            Err("etc/daemon.json has no runtime x, which is its default"),
        ),
        (
            r#"{"default-runtime": "x", "runtimes": {"x": {"path": "crun", "runtimeArgs": ["--debug"]}}}"#,
            Err(
                "etc/daemon.json gives its default runtime x runtimeArgs, which it would not get through us; name a program with --runtime",
            ),
        ),
        (
            r#"{"default-runtime": "x", "runtimes": {"x": {"runtimeType": "io.containerd.kata.v2"}}}"#,
            Err("etc/daemon.json has no path for its default runtime x; name a program with --runtime"),
        ),
    ] {
        place.write("etc/daemon.json", text, 0o644);
        let request = place.request(Target::Docker, None, &["runc", "crun"]);
        let want = want.map(str::to_owned).map_err(str::to_owned);
        assert_eq!(place.found(&request), want, "{text}");
    }
    // Also once we are the default ourselves.
    let text = r#"{"default-runtime": "x", "runtimes": {"x": {"path": "crun"}}}"#;
    place.write("etc/daemon.json", text, 0o644);
    place.edit(true, None);
    assert!(!place.edit(true, None).changes());
}

#[test]
fn it_is_crun_or_runc_for_podman_and_crio() {
    let place = Place::new();
    for target in [Target::Podman, Target::Crio] {
        let found = |known: &[&str]| place.found(&place.request(target, None, known));
        assert_eq!(found(&["runc", "crun"]), Ok("crun".to_owned()));
    }
    let found = |target| place.found(&place.request(target, None, &[])).unwrap();
    // It has one that is not on our PATH.
    assert_eq!(found(Target::K3sV2), "runc");
}

#[test]
fn it_is_what_the_wrapper_will_run() {
    let place = Place::new();
    symlink(std::env::current_exe().unwrap(), place.at("opt/ourselves")).unwrap();
    let path = |name: &str| place.at(name).display().to_string();
    let found = |runtime: &str| place.found(&place.request(Target::Crio, Some(runtime), &["runc"]));
    assert_eq!(found("runc"), Ok("runc".to_owned()));
    assert_eq!(found(&path("runc")), Ok("runc".to_owned()));
    let no = "no runtime \"nosuch\" in [runtimes] of bridge.toml nor, besides runtime-bridge itself, on PATH";
    let line = |name: &str, finds: &str| {
        format!(
            "procemu-{name} would run {finds}; to have it run opt/{name}, put this under [runtimes] of \
             /etc/procemu/bridge.toml: {name} = \"opt/{name}\""
        )
    };
    for (runtime, want) in [
        ("nosuch".to_owned(), no.to_owned()),
        (path("opt/runc"), line("runc", "runc")),
        (path("opt/nosuch"), line("nosuch", "nothing")),
        (
            path("opt/missing"),
            "cannot find the runtime opt/missing: no such file or directory".to_owned(),
        ),
        (
            path("opt/text"),
            "the runtime opt/text is no executable file".to_owned(),
        ),
        (path("opt"), "the runtime opt is no executable file".to_owned()),
        (
            "./runc".to_owned(),
            "the runtime ./runc is neither a name nor an absolute path".to_owned(),
        ),
        (
            path("opt/ourselves"),
            "the runtime opt/ourselves is runtime-bridge itself, name the real one".to_owned(),
        ),
    ] {
        assert_eq!(found(&runtime), Err(want));
    }
    for ours in ["runtime-bridge", "procemu-runc", "/x/procemu-runc", ""] {
        let want = format!("{ours:?} is no runtime to stand for; name the real one with --runtime");
        assert_eq!(found(ours), Err(want));
    }
    // The file that bridge.toml names has to be a program, too.
    let mut request = place.request(Target::Crio, Some("runc"), &[]);
    request
        .config
        .runtimes
        .insert("runc".into(), place.at("opt/text"));
    assert_eq!(
        place.found(&request),
        Err("the runtime opt/text is no executable file".to_owned())
    );
    // The hook alone needs none.
    request.target = Target::HooksDir;
    request.file = Some(place.file(Target::HooksDir));
    assert!(install(&request).is_ok());
}

#[test]
fn dockerd_is_restarted_where_something_is_taken_away() {
    let place = Place::new();
    let says = |edit: Edit| Target::Docker.reload(None, &edit).unwrap();
    let (reload, restart) = ("systemctl reload docker", "systemctl restart docker");
    assert_eq!(says(place.edit(false, None)), reload);
    assert_eq!(says(place.edit(true, None)), reload);
    assert_eq!(says(place.edit(false, None)), restart);
    assert_eq!(says(place.edit(false, Some("crun"))), restart);
    assert_eq!(
        says(uninstall(Target::Docker, Some(&place.file(Target::Docker))).unwrap()),
        restart
    );
    place.write(
        "etc/daemon.json",
        r#"{"default-runtime": "runc", "runtimes": {"x": {"path": "runc"}}}"#,
        0o644,
    );
    // A default in place of another it takes.
    assert_eq!(says(place.edit(true, None)), reload);
    assert_eq!(says(place.edit(false, None)), reload);
}

#[test]
fn only_the_template_of_k3s_itself_is_reloaded_by_k3s() {
    let place = Place::new();
    let edit = install(&place.request(Target::K3sV3, None, &[])).unwrap().edit;
    let says = |given: Option<&Path>| Target::K3sV3.reload(given, &edit).unwrap();
    assert_eq!(says(None), "systemctl restart k3s");
    assert_eq!(says(Some(Target::K3sV3.file())), "systemctl restart k3s");
    assert_eq!(says(Some(edit.path())), "restart the engine that reads it");
    for command in ["install", "uninstall"] {
        let output = Command::new(env!("CARGO_BIN_EXE_runtime-bridge"))
            .args([command, "k3s", "--dry-run", "--config", "/etc/hosts"])
            .output()
            .unwrap();
        assert_eq!(
            String::from_utf8_lossy(&output.stderr),
            "runtime-bridge: /etc/hosts is no template of k3s: those are config.toml.tmpl (containerd 1.x) and config-v3.toml.tmpl (2.x)\n"
        );
    }
}
