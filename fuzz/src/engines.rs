//! Engines' files, which `install` edits and `uninstall` gives back.

use runtime_bridge::fuzzing::{handler, own_file, with_us, without_us};
use runtime_bridge::install::{HANDLER, Handler, Target};
use runtime_bridge::report::chain;

const PROGRAM: &str = "/usr/local/bin/procemu-runc";

fn handlers(keyring: bool) -> impl Iterator<Item = Handler> {
    let all = [(false, false), (true, keyring)];
    all.into_iter().map(|(default, no_new_keyring)| Handler {
        program: PROGRAM.to_owned(),
        default,
        no_new_keyring,
    })
}

/// containerd's `config.toml`.
pub fn containerd(data: &[u8]) {
    let target = Target::Containerd;
    let Some(text) = super::text(data) else { return };

    let Some(clean) = cleaned(target, text) else {
        return;
    };
    for ours in handlers(true) {
        let new = match with_us(target, &clean, "version = 3\n", &ours) {
            Ok(new) => new,
            Err(refusal) => {
                super::one_line(&chain(&refusal));
                continue;
            }
        };
        assert_eq!(handler(target, &new), Ok(Some(ours.clone())), "{new}");
        let is_blank = toml::from_str::<toml::Table>(&clean).is_ok_and(|table| table.is_empty());
        if !is_blank {
            // As where others have changed the file since, so that what was there before does not serve.
            let back = without_us(target, &new, None).expect("it was written by us");
            assert_eq!(values(&back), values(&clean), "{new}");
            let mut lines = back.lines();
            for line in clean.lines().filter(|line| says_something(line)) {
                assert!(
                    lines.any(|left| left.trim() == line.trim()),
                    "{line:?} is not in {back}"
                );
            }
        }
    }
}

/// dockerd's `daemon.json`.
pub fn docker(data: &[u8]) {
    let target = Target::Docker;
    let Some(text) = super::text(data) else { return };
    let Some(clean) = cleaned(target, text) else {
        return;
    };
    for ours in handlers(false) {
        let new = match with_us(target, &clean, "", &ours) {
            Ok(new) => new,
            Err(refusal) => {
                super::one_line(&chain(&refusal));
                continue;
            }
        };
        let found = handler(target, &new)
            .expect("it was written by us")
            .expect("we are there");
        let is_default = ours.default || meaning(&clean)["default-runtime"] == HANDLER;
        assert_eq!(
            (&found.program, found.default),
            (&ours.program, is_default),
            "{new}"
        );
        let back = without_us(target, &new, Some(&clean)).expect("it was written by us");
        assert_eq!(meaning(&back), meaning(&clean), "{new}");
    }
}

/// A template of k3s'.
pub fn k3s(data: &[u8]) {
    let Some(text) = super::text(data) else { return };
    for target in [Target::K3sV2, Target::K3sV3] {
        let Some(clean) = cleaned(target, text) else {
            return;
        };
        for ours in handlers(true).map(|ours| Handler {
            default: false,
            ..ours
        }) {
            let new = with_us(target, &clean, "", &ours).expect("a template takes any text");
            assert_eq!(handler(target, &new), Ok(Some(ours.clone())), "{new}");
            let back = without_us(target, &new, None).expect("a template takes any text");
            assert!(back.starts_with(&clean), "{new}");
            let more = back[clean.len()..].trim_end();
            assert!(
                more.is_empty() || clean.trim_start_matches('\u{feff}').is_empty(),
                "{more:?} is left of {new}"
            );
        }
    }
}

/// Files that are ours alone: of podman, CRI-O, OCI hooks and CDI.
pub fn own(data: &[u8]) {
    let Some(text) = super::text(data) else { return };
    for target in [Target::Podman, Target::Crio, Target::HooksDir, Target::Cdi] {
        // Somebody else's file by our name.
        if let Ok(Some(found)) = handler(target, text) {
            assert!(!found.no_new_keyring);
        }
        for ours in handlers(false) {
            // The administrator may have put us anywhere.
            let ours = Handler {
                program: text.to_owned(),
                ..ours
            };
            let file = own_file(target, &ours, &ours.program).expect("these targets have files of their own");
            let default = ours.default && target != Target::Cdi;
            assert_eq!(
                handler(target, &file),
                Ok(Some(Handler { default, ..ours })),
                "{file}"
            );
        }
    }
}

/// The text without what may be ours in it; none for what can be edited by no means.
fn cleaned(target: Target, text: &str) -> Option<String> {
    let found = match handler(target, text) {
        Ok(found) => found,
        Err(refusal) => {
            super::one_line(&chain(&refusal));
            return None;
        }
    };
    let clean = match without_us(target, text, None) {
        Ok(clean) => clean,
        Err(refusal) => {
            super::one_line(&chain(&refusal));
            return None;
        }
    };
    // A block of ours in a template goes whatever has become of what is in it.
    let is_template = matches!(target, Target::K3sV2 | Target::K3sV3);
    assert!(
        found.is_some() || clean == text || is_template,
        "there was nothing to take out"
    );
    // What was left of another one may be one now.
    Some(clean).filter(|clean| without_us(target, clean, None).as_ref() == Ok(clean))
}

/// Whether a line is more than a table's name: one that is empty may go with what was put into it, or stay.
fn says_something(line: &str) -> bool {
    let line = line.trim();
    let is_name = line.starts_with('[') && line.ends_with(']');
    !line.is_empty() && !is_name
}

/// What containerd makes of its file, of which empty tables say nothing.
fn values(text: &str) -> toml::Table {
    fn prune(table: &mut toml::Table) {
        table.retain(|_, value| match value {
            toml::Value::Table(table) => {
                prune(table);
                !table.is_empty()
            }
            _ => true,
        });
    }
    let mut table = toml::from_str(text.trim_start_matches('\u{feff}')).expect("it was read before");
    prune(&mut table);
    table
}

/// What dockerd makes of its file, of which no runtimes are as good as none.
fn meaning(text: &str) -> serde_json::Value {
    let mut value: serde_json::Value = match text.trim().is_empty() {
        true => serde_json::json!({}),
        // Generic models cannot hold a lone surrogate.
        false => serde_json::from_str(text).unwrap_or_default(),
    };
    if let Some(top) = value.as_object_mut() {
        let runtimes = top
            .get("runtimes")
            .map(|runtimes| runtimes.as_object().is_none_or(|all| all.is_empty()));
        if runtimes == Some(true) {
            top.remove("runtimes");
        }
        assert!(
            top.get("runtimes")
                .is_none_or(|all| all.get(HANDLER).is_none_or(|ours| ours["path"] != PROGRAM))
        );
    }
    value
}
