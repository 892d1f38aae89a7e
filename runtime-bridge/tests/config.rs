//! `bridge.toml`: what is read, what is refused, and the table that comes of it.

use procemu::{Preset, Profile};
use runtime_bridge::config::{
    Config, ConfigError, Cure, MissingSysctls, NoNewKeyring, OnFailure, PROFILE_ANNOTATION, Policy,
    RefusedSysctls,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("/etc/procemu/bridge.toml"))
}

fn refused(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn runtimes_are_found_in_a_file_that_is_wrong_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bridge.toml");
    std::fs::write(
        &path,
        "tabels = []\n[runtimes]\nrunc = \"/opt/runc\"\nodd = 7\nnear = \"runc\"\n",
    )
    .unwrap();
    assert!(Config::load(Some(&path)).is_err());
    let config = Config::load_runtimes(Some(&path));
    assert_eq!(
        config.runtimes,
        BTreeMap::from([("runc".to_owned(), PathBuf::from("/opt/runc"))])
    );
    std::fs::write(&path, "tabels = [").unwrap();
    assert_eq!(Config::load_runtimes(Some(&path)), Config::default());
}

#[test]
fn a_whole_file() {
    let config = parse(
        r#"
        profiles = ["runc"]
        tables = ["/etc/procemu/site.toml"]
        allowed_profiles = ["container", "runc"]
        state_dir = "/var/run/p"
        preset = "gvisor"
        [policy]
        no_new_keyring = "always"
        on_failure = "warn"
        cgroup_namespace = "keep"
        missing_sysctls = "fail"
        refused_sysctls = "emulate"
        [runtimes]
        runc = "/usr/sbin/runc"
        "#,
    )
    .unwrap();
    assert_eq!(config.profiles, ["runc"]);
    assert_eq!(
        config.policy,
        Policy {
            no_new_keyring: NoNewKeyring::Always,
            on_failure: OnFailure::Warn,
            cgroup_namespace: Some(Cure::Keep),
            missing_sysctls: MissingSysctls::Fail,
            refused_sysctls: RefusedSysctls::Emulate,
            ..Policy::default()
        }
    );
    assert_eq!(config.preset, Preset::find("gvisor").ok());
    assert!(!config.cures(config.policy.cgroup_namespace));
    assert!(config.cures(config.policy.crun_cgroups));
    assert_eq!(config.runtimes["runc"], Path::new("/usr/sbin/runc"));
    assert_eq!(config.state_dir, Path::new("/var/run/p"));
    assert_eq!(parse("").unwrap(), Config::default());
    assert!(!Config::default().cures(None));
}

#[test]
fn unknown_keys_and_wrong_values_are_refused_with_their_line() {
    for (text, want) in [
        (
            "\nprofile = []\n",
            "/etc/procemu/bridge.toml:2: unknown field `profile`, expected one of `preset`, `profiles`, `tables`, `allowed_profiles`, `policy`, `runtimes`, `state_dir`, `log`",
        ),
        (
            "[policy]\nkeyring = 1\n",
            "/etc/procemu/bridge.toml:2: policy: unknown field `keyring`, expected one of `no_new_keyring`, `on_failure`, `crun_cgroups`, `cgroup_namespace`, `unified_resources`, `missing_sysctls`, `refused_sysctls`, `templates`, `seccomp_hook`",
        ),
        (
            "profiles = []\npreset = \"gvizor\"\n",
            "/etc/procemu/bridge.toml:2: preset: there is no preset \"gvizor\"; the presets are gvisor",
        ),
        (
            "[policy]\n\non_failure = \"ignore\"\n",
            "/etc/procemu/bridge.toml:3: policy.on_failure: unknown variant `ignore`, expected `fail` or `warn`",
        ),
        (
            "[runtimes]\nrunc = \"runc\"\n",
            "/etc/procemu/bridge.toml:2: runtimes.runc: \"runc\" is not an absolute path; write one that begins with /",
        ),
        (
            "[log]\nlevels = 1\n",
            "/etc/procemu/bridge.toml:2: log: unknown field `levels`, expected `level` or `changes`",
        ),
        (
            "profiles = 1\n",
            "/etc/procemu/bridge.toml:1: profiles: invalid type: integer `1`, expected a list",
        ),
    ] {
        assert_eq!(refused(text), want);
    }
    let message = refused("allowed_profiles = [\n  \"runc\",\n  \"nosuch\",\n]\n");
    assert!(
        message.starts_with("/etc/procemu/bridge.toml:3: ") && message.contains("nosuch"),
        "{message}"
    );
    let message = refused("[log]\nlevel = \"procemu=loud\"\n");
    assert!(
        message.starts_with("/etc/procemu/bridge.toml:2: log.level: \"procemu=loud\" does not say"),
        "{message}"
    );
    assert!(refused("profiles = [").starts_with("/etc/procemu/bridge.toml:1: "));
}

#[test]
fn only_a_named_file_has_to_exist() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("bridge.toml");
    let error = Config::load(Some(&missing)).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot read {}", missing.display()));
    std::fs::write(&missing, "state_dir = '/x'").unwrap();
    assert_eq!(Config::load(Some(&missing)).unwrap().state_dir, Path::new("/x"));
}

#[test]
fn a_pod_chooses_only_what_is_allowed() {
    let config = parse("profiles = ['container']\nallowed_profiles = ['runc']").unwrap();
    let choice = |name: &str| BTreeMap::from([(PROFILE_ANNOTATION.to_owned(), name.to_owned())]);
    assert_eq!(
        config.table(&choice("runc")).unwrap(),
        Profile::get("runc").unwrap()
    );
    assert_eq!(
        config.table(&BTreeMap::new()).unwrap(),
        Profile::get("container").unwrap()
    );
    assert_eq!(
        config.table(&choice("container")).unwrap_err().to_string(),
        "annotation procemu.io/profile: profile \"container\" is not allowed, allowed_profiles in bridge.toml names runc"
    );
    assert_eq!(
        Config::default().table(&choice("runc")).unwrap_err().to_string(),
        "annotation procemu.io/profile: profile \"runc\" is not allowed, allowed_profiles in bridge.toml names none"
    );
}

#[test]
fn the_preset_lies_under_all_that_is_chosen() {
    let config = parse("preset = 'gvisor'\nprofiles = ['kubelet']").unwrap();
    let table = config.table(&BTreeMap::new()).unwrap();
    assert!(table.contains_key(&"/proc/stat".parse().unwrap()));
    let key = "vm/overcommit_memory".parse().unwrap();
    assert_eq!(table.get(&key), Profile::get("kubelet").unwrap().get(&key));
    let config = parse("preset = 'gvisor'\nprofiles = []").unwrap();
    assert!(!config.table(&BTreeMap::new()).unwrap().contains_key(&key));
}

#[test]
fn tables_lie_over_profiles() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("site.toml");
    std::fs::write(
        &file,
        "[keys]\n\"vm/nosuch\" = { value = 7 }\n\"kernel/cap_last_cap\" = { table = false }\n",
    )
    .unwrap();
    let config = Config {
        tables: vec![file.clone()],
        ..Config::default()
    };
    let table = config.table(&BTreeMap::new()).unwrap();
    assert!(table.contains_key(&"vm/nosuch".parse().unwrap()));
    assert!(!table.contains_key(&"kernel/cap_last_cap".parse().unwrap()));
    std::fs::write(&file, "[keys]\n\n\"vm/nosuch\" = { }\n").unwrap();
    let message = config.table(&BTreeMap::new()).unwrap_err().to_string();
    assert!(
        message.starts_with(&format!("{}:3: ", file.display())),
        "{message}"
    );
}
