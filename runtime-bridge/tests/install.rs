//! Engines' files with the bridge in them and out of them again.

use runtime_bridge::config::Config;
use runtime_bridge::install::{Installation, Request, Target, install, status, uninstall};
use runtime_bridge::report::chain;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

const V2: &str = r#"version = 2
# the site's
imports = ["conf.d/*.toml"]
[plugins]
  [plugins."io.containerd.grpc.v1.cri"]
    sandbox_image = "x" # keep
    [plugins."io.containerd.grpc.v1.cri".containerd]
      default_runtime_name = 'plain' # the site's
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes]
        [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.plain]
          runtime_type = "io.containerd.runc.v2"
          pod_annotations = ["site/*"]
          [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.plain.options]
            SystemdCgroup = true # important
            BinaryName = "crun"
[timeouts]
  a = "1s"
"#;

const DOCKER: &str = "{\n    \"default-runtime\": \"nvidia\",\n    \"runtimes\": {\n        \"nvidia\": {\"path\": \"\\u0063run\"}\n    },\n    \"x\": 1e400\n}\n";

struct Place {
    dir: tempfile::TempDir,
    target: Target,
}

impl Place {
    fn new(target: Target) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("bin")).unwrap();
        for name in ["runtime-bridge", "runc", "crun"] {
            let program = dir.path().join("bin").join(name);
            fs::write(&program, "").unwrap();
            fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self { dir, target }
    }

    fn with(target: Target, text: &str) -> Self {
        let place = Self::new(target);
        fs::create_dir(place.file().parent().unwrap()).unwrap();
        fs::write(place.file(), text).unwrap();
        place
    }

    fn file(&self) -> PathBuf {
        let name = self.target.file().file_name().unwrap();
        self.dir.path().join("etc").join(name)
    }

    fn text(&self) -> Option<String> {
        fs::read_to_string(self.file()).ok()
    }

    fn request(&self) -> Request {
        Request {
            target: self.target,
            file: Some(self.file()),
            default: false,
            no_new_keyring: false,
            runtime: None,
            config: self.config(),
            bridge: self.dir.path().join("bin/runtime-bridge"),
        }
    }

    fn config(&self) -> Config {
        let runtime = |name: &str| (name.to_owned(), self.dir.path().join("bin").join(name));
        Config {
            runtimes: ["runc", "crun"].map(runtime).into(),
            ..Config::default()
        }
    }

    fn install(&self, default: bool) -> Installation {
        let request = Request {
            default,
            ..self.request()
        };
        let installation = install(&request).unwrap();
        installation.apply().unwrap();
        assert!(!install(&request).unwrap().edit.changes(), "not idempotent");
        installation
    }

    fn uninstall(&self) {
        uninstall(self.target, Some(&self.file()))
            .unwrap()
            .apply()
            .unwrap();
    }

    fn refused(&self) -> String {
        let before = self.text();
        let line = chain(&install(&self.request()).unwrap_err());
        assert_eq!(self.text(), before);
        line.replace(&self.file().display().to_string(), "FILE")
    }

    /// What lies beside the file.
    fn others(&self) -> Vec<PathBuf> {
        let listed = fs::read_dir(self.file().parent().unwrap()).unwrap();
        let paths = listed.map(|entry| entry.unwrap().path());
        paths.filter(|path| *path != self.file()).collect()
    }
}

fn value(text: &str) -> toml::Table {
    toml::from_str(text).unwrap()
}

fn at<'a>(table: &'a toml::Table, path: &[&str]) -> Option<&'a toml::Value> {
    let (first, rest) = path.split_first()?;
    rest.iter()
        .try_fold(table.get(*first)?, |value, name| value.get(name))
}

const CRI: [&str; 3] = ["plugins", "io.containerd.grpc.v1.cri", "containerd"];

#[test]
fn containerd_gets_a_handler_made_after_its_default() {
    let place = Place::with(Target::Containerd, V2);
    place.install(false);
    let (old, new) = (value(V2), value(&place.text().unwrap()));
    let ours = |name: &str| at(&new, &[&CRI[..], &["runtimes", "procemu", name]].concat()).cloned();
    assert_eq!(
        ours("runtime_type").unwrap().as_str(),
        Some("io.containerd.runc.v2")
    );
    assert_eq!(
        ours("pod_annotations").unwrap(),
        toml::Value::from(vec!["site/*", "procemu.io/*"])
    );
    let options = ours("options").unwrap();
    assert_eq!(options["SystemdCgroup"].as_bool(), Some(true));
    let link = place.dir.path().join("bin/procemu-crun");
    assert_eq!(options["BinaryName"].as_str(), link.to_str());
    assert_eq!(
        fs::canonicalize(&link).unwrap(),
        fs::canonicalize(place.request().bridge).unwrap()
    );
    let default = |table| at(table, &[&CRI[..], &["default_runtime_name"]].concat()).cloned();
    assert_eq!(default(&new), default(&old));
    // Every line that was there is there.
    let mut lines = place.text().unwrap();
    for line in V2.lines() {
        assert!(lines.contains(line), "{line}");
        lines = lines.replacen(line, "", 1);
    }
}

#[test]
fn containerd_is_given_back_byte_for_byte() {
    for default in [false, true] {
        let place = Place::with(Target::Containerd, V2);
        fs::set_permissions(place.file(), fs::Permissions::from_mode(0o600)).unwrap();
        place.install(default);
        place.install(!default);
        place.install(default);
        let mode = fs::metadata(place.file()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let found = status(place.target, Some(&place.file())).unwrap().unwrap();
        assert_eq!(found.default, default);
        place.uninstall();
        assert_eq!(place.text().unwrap(), V2);
        assert_eq!(place.others(), [""; 0].map(PathBuf::from));
        assert_eq!(status(place.target, Some(&place.file())).unwrap(), None);
        place.uninstall();
        assert_eq!(place.text().unwrap(), V2);
    }
}

#[test]
fn a_file_that_leaves_the_runtimes_to_containerd_gets_one() {
    for text in [
        "version = 3\n",
        "version = 3\n[plugins.'io.containerd.cri.v1.runtime'.cni]\nconf_dir = '/x'\n",
        "version = 3\n[plugins.'io.containerd.cri.v1.runtime'.containerd]\nx = 1\n[grpc]\n",
        "version = 2\n",
    ] {
        let place = Place::with(Target::Containerd, text);
        place.install(true);
        // containerd 1.x knows no runtime of its own beside ours.
        let two = text.starts_with("version = 2");
        assert_eq!(place.text().unwrap().contains("runtimes.runc]"), two, "{text}");
        // As if somebody else had written it: without the copies.
        for copy in place.others() {
            fs::remove_file(copy).unwrap();
        }
        let found = status(place.target, Some(&place.file())).unwrap().unwrap();
        assert!(found.default);
        place.uninstall();
        assert_eq!(place.text().unwrap(), text);
    }
}

#[test]
fn what_others_changed_since_stays() {
    for (target, text) in [(Target::Containerd, V2), (Target::Docker, DOCKER)] {
        let place = Place::with(target, text);
        place.install(true);
        let changed = |text: &str| text.replace("1s", "2s").replace("1e400", "2e400");
        fs::write(place.file(), changed(&place.text().unwrap())).unwrap();
        place.install(false);
        place.install(true);
        fs::write(place.file(), place.text().unwrap() + "\n").unwrap();
        place.uninstall();
        assert_eq!(place.text().unwrap(), changed(text) + "\n");
        assert_eq!(place.others(), [""; 0].map(PathBuf::from));
    }
}

#[test]
fn docker_keeps_the_rest_of_its_file() {
    let place = Place::with(Target::Docker, DOCKER);
    place.install(true);
    let link = place.dir.path().join("bin/procemu-crun");
    let want = format!(
        "{{\n    \"default-runtime\": \"procemu\",\n    \"runtimes\": {{\n        \"nvidia\": {{\"path\": \"\\u0063run\"}},\n        \"procemu\": {{\n            \"path\": \"{}\"\n        }}\n    }},\n    \"x\": 1e400\n}}\n",
        link.display()
    );
    assert_eq!(place.text().unwrap(), want);
    place.uninstall();
    assert_eq!(place.text().unwrap(), DOCKER);
}

#[test]
fn files_that_were_not_there_go_again() {
    for target in Target::ALL
        .into_iter()
        .filter(|target| *target != Target::Containerd)
    {
        let place = Place::new(target);
        place.install(false);
        assert!(place.text().unwrap().contains("procemu"), "{target:?}");
        assert!(
            status(target, Some(&place.file())).unwrap().is_some(),
            "{target:?}"
        );
        place.uninstall();
        assert_eq!(place.text(), None, "{target:?}");
        assert_eq!(place.others(), [""; 0].map(PathBuf::from), "{target:?}");
    }
}

#[test]
fn a_template_of_k3s_keeps_its_text() {
    let text = "{{ template \"base\" . }}\n[site]\n";
    let place = Place::with(Target::K3sV3, text);
    place.install(false);
    assert!(place.text().unwrap().starts_with(text));
    fs::write(place.file(), place.text().unwrap() + "# more\n").unwrap();
    place.uninstall();
    assert_eq!(place.text().unwrap(), text.to_owned() + "# more\n");
}

#[test]
fn what_is_not_understood_is_refused() {
    let version = "; expected version = 2 or 3 at the top and the form that `containerd config default` prints \
                   (`containerd config migrate` of containerd 2.x prints this file in it)";
    for (text, want) in [
        ("x = 1", format!("FILE has no version, or 1{version}")),
        ("version = 1", format!("FILE has no version, or 1{version}")),
        ("version = 4", "FILE has version = 4, expected the number 2 or 3".to_owned()),
        (
            "version = '3' # x",
            "FILE has version = '3', expected the number 2 or 3".to_owned(),
        ),
        (
            "disabled_plugins = ['cri']\n",
            "FILE has cri among its disabled_plugins, without which containerd has no runtimes to choose from; take it out there"
                .to_owned(),
        ),
        (
            "version = 3\nplugins = {}\n",
            "FILE has plugins in {braces}, expected a [table]".to_owned(),
        ),
        (
            "version = 3\n[plugins.'io.containerd.cri.v1.runtime'.containerd]\ndefault_runtime_name = 'kata'\n",
            "FILE has no runtime kata, which is its default".to_owned(),
        ),
        (
            "version = 3\n[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]\nruntime_type = 'io.containerd.kata.v2'\n",
            "FILE has the default runtime runc of type io.containerd.kata.v2, expected io.containerd.runc.v2"
                .to_owned(),
        ),
        (
            "version = 3\n[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.procemu]\nx = 1\n",
            "FILE has a runtime procemu that runtime-bridge did not make; rename it".to_owned(),
        ),
    ] {
        assert_eq!(Place::with(Target::Containerd, text).refused(), want);
    }
    assert!(
        Place::with(Target::Containerd, "version = [")
            .refused()
            .starts_with("FILE line 1: ")
    );
    for (text, want) in [
        ("{\"a\":", "EOF while parsing a value at line 1 column 5"),
        (
            "{\"a\": 1, \"a\": 2}",
            "duplicate member \"a\", each name may appear once",
        ),
    ] {
        let said = Place::with(Target::Docker, text).refused();
        assert_eq!(said, format!("FILE is no JSON that can be edited: {want}"));
    }
    for target in [Target::Podman, Target::Crio, Target::HooksDir, Target::Cdi] {
        let foreign = Place::with(target, "{}");
        let want = "FILE is not by runtime-bridge; move it away, or name another file with --config";
        assert_eq!(foreign.refused(), want);
        assert!(uninstall(target, Some(&foreign.file())).is_err());
        assert_eq!(foreign.text().unwrap(), "{}");
    }
}

const IMPORTS: &str = "version = 3\nimports = ['conf.d/*.toml']\n";

/// What containerd 1.6 and 2.2 make of imports: tests/engines_containerd.rs.
#[test]
fn an_import_with_the_last_word_is_named() {
    let v3 = |part: &str| format!("version = 3\n[plugins.'io.containerd.cri.v1.runtime'{part}");
    let v2 = |part: &str| format!("version = 2\n[plugins.'io.containerd.grpc.v1.cri'{part}");
    for (text, import, refused) in [
        // 1.x has nothing of a plugin that an import sets too.
        (V2, v2("]\nsandbox_image = 'x'"), true),
        (V2, v3("]\nsandbox_image = 'x'"), true),
        (V2, "version = 2\n[timeouts]\n".to_owned(), false),
        (IMPORTS, v3("]\nenable_cdi = false"), false),
        (
            IMPORTS,
            v3(".containerd.runtimes.other]\nruntime_type = 'x'"),
            false,
        ),
        (
            IMPORTS,
            v3(".containerd.runtimes.procemu]\nruntime_type = 'x'"),
            true,
        ),
        (
            IMPORTS,
            v3(".containerd.runtimes.runc.options]\nSystemdCgroup = true"),
            true,
        ),
        (IMPORTS, v3(".containerd]\ndefault_runtime_name = 'other'"), true),
        (IMPORTS, v2(".containerd]\ndefault_runtime_name = 'other'"), false),
        (IMPORTS, "no TOML".to_owned(), false),
    ] {
        let place = Place::with(Target::Containerd, text);
        let conf = place.file().with_file_name("conf.d");
        fs::create_dir(&conf).unwrap();
        fs::write(conf.join("a.toml"), &import).unwrap();
        if !refused {
            place.install(false);
            continue;
        }
        let want = format!(
            "FILE imports {}, which has the last word on the runtimes; name that one with --config",
            conf.join("a.toml").display()
        );
        assert_eq!(place.refused(), want, "{import}");
    }
}

/// A containerd 1.x whose file names any runtime has no runc of its own any more, which then is no default either.
#[test]
fn containerd_1_keeps_the_runc_that_its_file_does_not_name() {
    let text = "version = 2\n[plugins.'io.containerd.grpc.v1.cri']\nsandbox_image = 'x'\n";
    let place = Place::with(Target::Containerd, text);
    place.install(false);
    let new = value(&place.text().unwrap());
    let runc = at(&new, &[&CRI[..], &["runtimes", "runc", "runtime_type"]].concat()).cloned();
    assert_eq!(runc.unwrap().as_str(), Some("io.containerd.runc.v2"));
    // Also where the copies cannot serve.
    fs::write(place.file(), format!("{}# later\n", place.text().unwrap())).unwrap();
    place.uninstall();
    assert_eq!(place.text().unwrap(), format!("{text}# later\n"));

    let text = text.replace("version = 2", "version = 3");
    let place = Place::with(Target::Containerd, &text);
    place.install(false);
    assert!(!place.text().unwrap().contains("runtimes.runc"));
}

#[test]
fn both_templates_of_k3s_share_a_link() {
    let place = Place::new(Target::K3sV2);
    let found = [Target::K3sV2, Target::K3sV3].map(|target| {
        let file = place.file().with_file_name(target.file().file_name().unwrap());
        let request = Request {
            target,
            file: Some(file),
            ..place.request()
        };
        install(&request).unwrap()
    });
    for each in found {
        each.apply().unwrap();
        assert!(each.edit.path().exists());
    }
}

#[test]
fn a_link_of_somebody_else_is_left_alone() {
    let place = Place::with(Target::Containerd, V2);
    let link = place.dir.path().join("bin/procemu-crun");
    fs::write(&link, "theirs").unwrap();
    assert!(
        place
            .refused()
            .contains("procemu-crun exists and does not lead to")
    );
    assert_eq!(fs::read_to_string(&link).unwrap(), "theirs");
}

#[test]
fn what_an_engine_cannot_is_said() {
    let asked = |target, default, no_new_keyring| {
        let place = Place::new(target);
        let request = Request {
            default,
            no_new_keyring,
            ..place.request()
        };
        chain(&install(&request).unwrap_err())
    };
    assert!(asked(Target::Docker, false, true).starts_with("docker: has no setting for --no-new-keyring"));
    assert!(asked(Target::K3sV3, true, false).starts_with("k3s: sets its default runtime itself"));
    assert!(asked(Target::Cdi, true, false).starts_with("cdi: has no default"));
    let place = Place::new(Target::HooksDir);
    let request = Request {
        runtime: Some("runc".to_owned()),
        ..place.request()
    };
    let said = chain(&install(&request).unwrap_err());
    assert!(said.starts_with("hooks-dir: is told of the hook alone"), "{said}");
}

#[test]
fn nothing_is_left_of_a_failed_write() {
    let place = Place::with(Target::Docker, DOCKER);
    let installation = install(&place.request()).unwrap();
    let edit = installation.edit.clone();
    // A folder where a copy would go.
    for suffix in ["before", "after"] {
        let copy = PathBuf::from(format!("{}.procemu-{suffix}", place.file().display()));
        fs::create_dir(&copy).unwrap();
        assert!(chain(&installation.apply().unwrap_err()).starts_with("cannot "));
        assert_eq!(place.text().unwrap(), DOCKER);
        assert_eq!(place.others(), std::slice::from_ref(&copy));
        assert!(!installation.link().unwrap().is_symlink());
        fs::remove_dir(copy).unwrap();
    }
    // One where the file itself was.
    fs::remove_file(place.file()).unwrap();
    fs::create_dir_all(place.file().join("full")).unwrap();
    let said = chain(&edit.apply().unwrap_err());
    assert!(said.starts_with("cannot replace "), "{said}");
    assert_eq!(place.others(), [""; 0].map(PathBuf::from));
}
