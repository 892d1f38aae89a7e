//! How a runtime is called by hand here: with all that it takes, whichever finding says so. The cure of one would else end in the
//! next. Pure.

use super::lacking;
use super::subjects::Subject;
use super::surroundings::Surroundings;
use super::traps::{Facts, sysctls};

/// The v2 that lies beside v1 is hidden from the command that follows.
pub const WITHOUT_UNIFIED: &str =
    "unshare --mount sh -c 'mount -t tmpfs hidden /sys/fs/cgroup/unified && exec \"$@\"' sh ";

/// The runtime, through the wrapper where it ends without.
pub fn run(facts: &Facts, runtime: &Subject) -> String {
    let ends = lacking::ends_without_keys(facts, runtime) || sysctls::writes_detached(facts, runtime);
    command(facts, runtime, ends && !runtime.is_bridged())
}

/// The runtime, through the wrapper in any case.
pub fn run_wrapped(facts: &Facts, runtime: &Subject) -> String {
    command(facts, runtime, true)
}

/// What has to stand before any command that is `subject`, one of `subjects`: crun, or podman where that one may call it. An engine that
/// is no command of its user's is not to lose its mounts.
pub fn before(place: &Surroundings, subjects: &[Subject], subject: &Subject) -> &'static str {
    let calls_crun = match subject.name.as_str() {
        "crun" => true,
        "podman" => subjects.iter().any(|other| other.name == "crun"),
        _ => false,
    };
    match calls_crun && place.cgroups.mixed {
        true => WITHOUT_UNIFIED,
        false => "",
    }
}

fn command(facts: &Facts, runtime: &Subject, wrapped: bool) -> String {
    let before = before(facts.place, facts.subjects, runtime);
    let program = match wrapped {
        true => format!("runtime-bridge runtime --exec {} --", runtime.command()),
        false => runtime.command().to_owned(),
    };
    let cgroups = match runtime.name == "crun" && facts.place.cgroups.fail_crun {
        true => " --cgroup-manager=disabled",
        false => "",
    };
    // The wrapper finds that out by itself.
    let keyring = match facts.place.keyring.refused && !wrapped && !runtime.is_bridged() {
        true => " --no-new-keyring",
        false => "",
    };
    format!("{before}{program}{cgroups} run{keyring} --bundle BUNDLE ID")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::keys::{KeyState, ProfileState, State, View};
    use crate::doctor::programs::Program;
    use crate::doctor::subjects::choose;
    use crate::doctor::traps;

    /// The commands that are proposed in a place without the key of crun and runc.
    fn cures(place: &Surroundings, name: &str) -> Vec<String> {
        let lacking = KeyState {
            key: "kernel/cap_last_cap".parse().unwrap(),
            state: State::Missing,
            doc: String::new(),
        };
        let state = ProfileState {
            profile: name.to_owned(),
            view: View::Here,
            keys: 1,
            lacking: vec![lacking],
            problem: None,
        };
        let facts = Facts {
            place,
            subjects: &choose(&[], &[Program::made_up(name, "1.19")], |_| false).unwrap(),
            profiles: &[state],
            missing_of_pods: &[],
        };
        let mut all = lacking::findings(&facts);
        all.extend(traps::findings(&facts));
        let by_hand = |cure: &String| cure.contains(" run ");
        all.into_iter().flat_map(|one| one.cure).filter(by_hand).collect()
    }

    #[test]
    fn every_cure_of_a_runtime_has_all_that_it_takes() {
        let mut place = Surroundings::default();
        place.cgroups.namespaces = true;
        place.cgroups.mixed = true;
        place.keyring.refused = true;
        place.cgroups.fail_crun = true;
        // One for each finding, and all the same.
        let crun = format!(
            "{WITHOUT_UNIFIED}runtime-bridge runtime --exec /usr/bin/crun -- --cgroup-manager=disabled run --bundle BUNDLE ID"
        );
        assert_eq!(cures(&place, "crun"), vec![crun; 4]);
        let runc = "runtime-bridge runtime --exec /usr/bin/runc -- run --bundle BUNDLE ID";
        assert_eq!(cures(&place, "runc"), [runc, runc]);
    }

    #[test]
    fn podman_is_called_as_its_crun_has_to_be() {
        let mut place = Surroundings::default();
        place.cgroups.mixed = true;
        let before_podman = |others: &[&str]| {
            let named = others.iter().chain(&["podman"]);
            let programs: Vec<_> = named.map(|name| Program::made_up(name, "1.19")).collect();
            let subjects = choose(&[], &programs, |_| false).unwrap();
            let podman = subjects.iter().find(|one| one.name == "podman").unwrap();
            before(&place, &subjects, podman)
        };
        assert_eq!(before_podman(&["crun"]), WITHOUT_UNIFIED);
        assert_eq!(before_podman(&["runc"]), "");
    }
}
