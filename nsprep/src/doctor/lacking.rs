//! From keys that are missing or stuck to what goes wrong, and to the commands that cure it.

use std::collections::BTreeMap;

use runtime_bridge::runtime::Version;

use super::by_hand;
use super::finding::{Finding, Level};
use super::keys::{ProfileState, State, View};
use super::subjects::{ANY, Subject};
use super::traps::Facts;

/// One finding per profile that lacks keys and that somebody needs.
pub fn findings(facts: &Facts) -> Vec<Finding> {
    let mut users: BTreeMap<&str, Vec<&Subject>> = BTreeMap::new();
    for subject in facts.subjects {
        for profile in &subject.profiles {
            users.entry(profile).or_default().push(subject);
        }
    }
    let states = facts.profiles.iter().filter_map(|state| {
        let users = users.get(state.profile.as_str())?;
        finding(state, users, facts)
    });
    states.collect()
}

fn finding(state: &ProfileState, users: &[&Subject], facts: &Facts) -> Option<Finding> {
    let profile = state.profile.as_str();
    let is_runtime = matches!(profile, "runc" | "crun");
    let uncured: Vec<_> = users
        .iter()
        .filter(|user| !(is_runtime && user.is_bridged()))
        .collect();
    let who: Vec<&str> = uncured.iter().map(|user| user.name.as_str()).collect();
    if who.is_empty() {
        return None;
    }
    if let Some(problem) = &state.problem {
        let what = format!("profile {profile}: {problem}");
        let finding = Finding::new("profile_unusable", Level::MayFail, &who, what);
        return Some(finding.because(format!(
            "what {profile} lacks here cannot be told, or not be given"
        )));
    }
    if state.lacking.is_empty() {
        return None;
    }
    let mut finding = Finding::new("keys_lacking", level(state, users), &who, what(state));
    finding.why = why(state, users).to_owned();
    finding.keys = state.lacking.clone();
    for user in uncured {
        finding.cure.extend(if is_runtime {
            vec![by_hand::run_wrapped(facts, user)]
        } else {
            vec![around(user, profile, facts)]
        });
    }
    if is_runtime {
        finding.cure.extend(of_engines(facts, &[profile]));
    }
    Some(finding)
}

fn what(state: &ProfileState) -> String {
    let count = |wanted: State| state.lacking.iter().filter(|key| key.state == wanted).count();
    let keys = |count: usize, is: &str| match count {
        0 => None,
        1 => Some(format!("1 key {is}")),
        _ => Some(format!("{count} keys {is}")),
    };
    let parts = [
        keys(count(State::Missing), "missing"),
        keys(count(State::Stuck), "refusing writes"),
        keys(count(State::Zero), "counting nothing"),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    let place = match state.view {
        View::Here => "in this /proc",
        View::Container => "in the /proc of containers",
    };
    format!("{} {place}", parts.join(", "))
}

/// runc reads its key itself from 1.2 on; before, it ignores the failure.
const RUNC_READS: Version = Version::release(1, 2, 0);

fn level(state: &ProfileState, users: &[&Subject]) -> Level {
    let fails = match state.profile.as_str() {
        "runc" => users.iter().any(|user| user.is_since(RUNC_READS)),
        "crun" | "kubelet" | "kube-proxy" => true,
        // Nobody reads all of these.
        ANY => false,
        _ => state.lacking.iter().any(|key| key.doc.contains("fatal")),
    };
    match fails {
        true => Level::Fails,
        false => Level::MayFail,
    }
}

fn why(state: &ProfileState, users: &[&Subject]) -> &'static str {
    match state.profile.as_str() {
        "runc" if !users.iter().any(|user| user.is_since(RUNC_READS)) => {
            "this runc goes on without it; what runs in the container does not find it, and runc >= 1.2 would fail"
        }
        "runc" => {
            "`runc init` reads it after pivot_root and ends: error during container init: open \
             /proc/sys/kernel/cap_last_cap: no such file or directory"
        }
        "crun" => {
            "crun reads it in the /proc around it for create, run and exec, and ends: open \
             /proc/sys/kernel/cap_last_cap: No such file or directory"
        }
        "kubelet" => {
            "the kubelet writes what differs and ends where it cannot: Failed to start ContainerManager ... open \
             /proc/sys/..."
        }
        "kube-proxy" => "kube-proxy writes what differs and ends where it cannot",
        _ => "these programs read or write them; some end, some go on without",
    }
}

/// Whether this runtime ends for want of a key.
pub fn ends_without_keys(facts: &Facts, runtime: &Subject) -> bool {
    let mut own = facts
        .profiles
        .iter()
        .filter(|state| runtime.profiles.contains(&state.profile.as_str()) && !state.lacking.is_empty());
    own.any(|state| level(state, &[runtime]) == Level::Fails)
}

/// The wrapper for the engines that are asked about and call one of these runtimes.
pub fn of_engines(facts: &Facts, runtimes: &[&str]) -> Vec<String> {
    let calls = |subject: &&Subject| subject.runtimes.iter().any(|name| runtimes.contains(name));
    let engines = facts.subjects.iter().filter(calls);
    engines
        .filter(|subject| !subject.is_bridged())
        .filter_map(|subject| Some((subject, subject.engine?)))
        .map(|(subject, engine)| {
            let then = match by_hand::before(facts.place, facts.subjects, subject) {
                "" => "restart it".to_owned(),
                before => format!("{before}{} ...", subject.command()),
            };
            format!("runtime-bridge install {engine} --as-default  # then {then}")
        })
        .collect()
}

fn around(user: &Subject, profile: &str, facts: &Facts) -> String {
    let preset = match facts.place.inside.iter().any(|name| name == "gvisor") {
        true => "--preset gvisor ",
        false => "",
    };
    let command = match profile {
        ANY if user.program.is_none() && user.name == "programs" => "CMD".to_owned(),
        _ => format!("{} ...", user.command()),
    };
    let before = by_hand::before(facts.place, facts.subjects, user);
    format!("{before}nsprep exec {preset}--profile {profile} -- {command}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::keys::KeyState;
    use crate::doctor::programs::Program;
    use crate::doctor::subjects::choose;
    use crate::doctor::surroundings::Surroundings;

    fn lacking(profile: &str, keys: &[(&str, State)]) -> ProfileState {
        let lacking = keys.iter().map(|(key, state)| KeyState {
            key: key.parse().unwrap(),
            state: *state,
            doc: "somebody reads it".to_owned(),
        });
        ProfileState {
            profile: profile.to_owned(),
            view: match profile {
                "runc" => View::Container,
                _ => View::Here,
            },
            keys: 9,
            lacking: lacking.collect(),
            problem: None,
        }
    }

    fn found(
        programs: &[Program],
        named: &[&str],
        profiles: &[ProfileState],
        inside: &[&str],
    ) -> Vec<Finding> {
        let named: Vec<_> = named.iter().map(|&name| name.to_owned()).collect();
        let place = Surroundings {
            inside: inside.iter().map(|&name| name.to_owned()).collect(),
            ..Surroundings::default()
        };
        findings(&Facts {
            place: &place,
            subjects: &choose(&named, programs, |_| false).unwrap(),
            profiles,
            missing_of_pods: &[],
        })
    }

    const CAP: &str = "kernel/cap_last_cap";

    #[test]
    fn a_runtime_is_cured_by_the_wrapper() {
        let states = [lacking("runc", &[(CAP, State::Missing)])];
        let programs = [
            Program::made_up("runc", "1.5.2"),
            Program::made_up("containerd", "2.2.9"),
        ];
        let all = found(&programs, &[], &states, &[]);
        assert_eq!(all.len(), 1);
        assert_eq!(
            (all[0].level, all[0].who.as_slice()),
            (Level::Fails, &["runc".to_owned()][..])
        );
        assert_eq!(all[0].what, "1 key missing in the /proc of containers");
        assert_eq!(
            all[0].cure,
            [
                "runtime-bridge runtime --exec /usr/bin/runc -- run --bundle BUNDLE ID",
                "runtime-bridge install containerd --as-default  # then restart it"
            ]
        );
        let old = [Program::made_up("runc", "1.1.5+ds1")];
        assert_eq!(found(&old, &[], &states, &[])[0].level, Level::MayFail);
        // Where the wrapper stands already there is nothing to cure.
        let bridged = Program {
            bridged: true,
            ..Program::made_up("runc", "1.5.2")
        };
        assert_eq!(found(&[bridged], &[], &states, &[]), []);
    }

    #[test]
    fn a_program_is_cured_by_exec() {
        let states = [
            lacking(
                "kubelet",
                &[
                    ("kernel/panic", State::Missing),
                    ("vm/panic_on_oom", State::Missing),
                    ("vm/overcommit_memory", State::Stuck),
                ],
            ),
            lacking("container", &[("fs/file-max", State::Missing)]),
        ];
        let kubelet = &found(&[], &["kubelet"], &states, &["gvisor"])[0];
        assert_eq!(
            kubelet.what,
            "2 keys missing, 1 key refusing writes in this /proc"
        );
        assert_eq!(
            kubelet.cure,
            ["nsprep exec --preset gvisor --profile kubelet -- kubelet ..."]
        );
        assert_eq!(kubelet.keys.len(), 3);
        // Nobody here needs the kubelet's.
        let others = found(&[], &[], &states, &[]);
        assert_eq!(others.len(), 1);
        assert_eq!(others[0].cure, ["nsprep exec --profile container -- CMD"]);
    }

    #[test]
    fn what_cannot_be_given_is_said() {
        let mut state = lacking("kubelet", &[]);
        assert_eq!(found(&[], &["kubelet"], &[state.clone()], &[]), []);
        state.problem = Some("observe: open(/proc/x): permission denied".to_owned());
        let all = found(&[], &["kubelet"], &[state], &[]);
        assert_eq!(all[0].id, "profile_unusable");
        assert!(all[0].what.contains("permission denied"));
    }
}
