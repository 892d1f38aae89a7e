//! What goes wrong with these versions in this place, besides keys of profiles: docs/runtimes.md and docs/gvisor.md have where
//! each was seen.

mod cgroups;
mod keyrings;
mod place;
pub mod sysctls;

use procemu::SysctlKey;
use runtime_bridge::runtime::{Kind, Runtime, Version};

use super::by_hand;
use super::finding::{Finding, Level};
use super::keys::ProfileState;
use super::lacking::of_engines;
use super::subjects::Subject;
use super::surroundings::Surroundings;

/// All that a diagnosis follows from.
pub struct Facts<'a> {
    /// The place.
    pub place: &'a Surroundings,
    /// Whom it is about.
    pub subjects: &'a [Subject],
    /// Every profile.
    pub profiles: &'a [ProfileState],
    /// The keys that a container lacks of those that engines write for pods.
    pub missing_of_pods: &'a [SysctlKey],
}

/// Each of them gives a finding where it applies.
const TRAPS: [fn(&Facts) -> Option<Finding>; 15] = [
    place::no_attaching,
    place::no_memfd,
    sysctls::detached_procfs,
    crun_spec,
    cgroups::crun_hybrid,
    cgroups::crun_cgroups,
    cgroups::cgroup_namespace,
    cgroups::no_cgroups,
    cgroups::runc_bpf,
    keyrings::session_keyring,
    keyrings::nearly_full_quota,
    sysctls::pod_sysctls,
    cgroups::kubelet_cgroup_v1,
    place::kubelet_kmsg,
    place::no_user_namespaces,
];

/// All that apply.
pub fn findings(facts: &Facts) -> Vec<Finding> {
    TRAPS.iter().filter_map(|trap| trap(facts)).collect()
}

impl<'a> Facts<'a> {
    /// Those of these names that are asked about.
    fn of(&self, names: &[&str]) -> Vec<&'a Subject> {
        let all = self.subjects.iter();
        all.filter(|subject| names.contains(&subject.name.as_str()))
            .collect()
    }

    fn is_inside(&self, name: &str) -> bool {
        self.place.inside.iter().any(|inside| inside == name)
    }
}

/// A finding about these, if there are any.
fn about(
    subjects: &[&Subject],
    id: &'static str,
    level: Level,
    what: impl Into<String>,
    why: impl Into<String>,
) -> Option<Finding> {
    let who: Vec<&str> = subjects.iter().map(|subject| subject.name.as_str()).collect();
    (!who.is_empty()).then(|| Finding::new(id, level, &who, what).because(why))
}

/// Runtimes that the wrapper does not stand for already.
fn bare<'a>(facts: &Facts<'a>, names: &[&str]) -> Vec<&'a Subject> {
    let mut subjects = facts.of(names);
    subjects.retain(|subject| !subject.is_bridged());
    subjects
}

/// The wrapper for this runtime, by hand or for the engines here.
fn wrapper(finding: Finding, facts: &Facts, runtime: &Subject) -> Finding {
    let by_hand = by_hand::run_wrapped(facts, runtime);
    of_engines(facts, &[&runtime.name])
        .into_iter()
        .fold(finding.cured_by(by_hand), Finding::cured_by)
}

fn crun_spec(facts: &Facts) -> Option<Finding> {
    let mut subjects = bare(facts, &["crun"]);
    subjects.retain(|subject| {
        let version = subject.program.as_ref().map(|program| program.version);
        version.is_some_and(|version| {
            let kind = Kind::Crun;
            Runtime { kind, version }.refuses_later_spec()
        })
    });
    let crun = *subjects.first()?;
    // containerd calls runc, unless somebody has told it otherwise.
    let writes_later = facts.of(&["podman"]).iter().any(|podman| {
        let version = podman.program.as_ref().and_then(|program| program.version);
        version.is_some_and(|version| version >= Version::release(5, 0, 0))
    });
    let level = match writes_later {
        true => Level::Fails,
        false => Level::MayFail,
    };
    let finding = about(
        &subjects,
        "crun_spec",
        level,
        "refuses bundles whose ociVersion is not 1.0.x",
        "crun before 1.14.3 says `unknown version specified`; containerd 2 writes 1.3.0, podman 5 writes 1.2",
    )?;
    let by_hand = format!(
        "nsprep bundle --runtime {} BUNDLE  # once, for a bundle by hand",
        crun.command()
    );
    Some(wrapper(finding.cured_by(by_hand), facts, crun))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::programs::Program;
    use crate::doctor::subjects::choose;
    use crate::doctor::surroundings::{self, Attaching, Cgroups, Keyring};

    /// A place where nothing is wrong.
    fn sound() -> Surroundings {
        Surroundings {
            cgroups: Cgroups {
                version: surroundings::Version::V2,
                v2_known: true,
                fail_crun: false,
                mixed: false,
                namespaces: true,
            },
            dev_kmsg: true,
            ..Surroundings::default()
        }
    }

    fn ids(place: &Surroundings, programs: &[(&str, &str)], pods: &[&str]) -> Vec<(&'static str, Level)> {
        let programs: Vec<_> = programs
            .iter()
            .map(|(name, version)| Program::made_up(name, version))
            .collect();
        let pods: Vec<SysctlKey> = pods.iter().map(|key| key.parse().unwrap()).collect();
        let all = findings(&Facts {
            place,
            subjects: &choose(&[], &programs, |_| false).unwrap(),
            profiles: &[],
            missing_of_pods: &pods,
        });
        for finding in &all {
            assert!(
                !finding.cure.is_empty() && !finding.why.is_empty() && !finding.who.is_empty(),
                "{finding:?}"
            );
        }
        all.iter().map(|finding| (finding.id, finding.level)).collect()
    }

    const ALL: [(&str, &str); 7] = [
        ("runc", "1.5.2"),
        ("crun", "1.19"),
        ("containerd", "2.2.9"),
        ("dockerd", "20.10.24"),
        ("podman", "5.2.0"),
        ("kubelet", "1.35.0"),
        ("youki", "0.7.0"),
    ];

    #[test]
    fn nothing_is_found_where_nothing_is_wrong() {
        assert_eq!(ids(&sound(), &ALL, &[]), []);
    }

    #[test]
    fn versions_decide() {
        let one = |name: &str, version: &str, place: &Surroundings| ids(place, &[(name, version)], &[]);
        let denied = Surroundings {
            detached_procfs_refuses: Some("permission denied".to_owned()),
            ..sound()
        };
        assert_eq!(one("runc", "1.3.2", &denied), []);
        assert_eq!(one("runc", "1.3.3", &denied), [("detached_procfs", Level::Fails)]);
        assert_eq!(one("crun", "1.8.1", &sound()), [("crun_spec", Level::MayFail)]);
        assert_eq!(one("crun", "1.14.3", &sound()), []);
        let with = |engine| ids(&sound(), &[("crun", "1.8.1"), engine], &[]);
        assert_eq!(with(("containerd", "2.2.9")), [("crun_spec", Level::MayFail)]);
        assert_eq!(with(("podman", "4.3.1")), [("crun_spec", Level::MayFail)]);
        assert_eq!(with(("podman", "5.0.0")), [("crun_spec", Level::Fails)]);
        let mut v1 = sound();
        v1.cgroups.version = surroundings::Version::Hybrid;
        assert_eq!(one("kubelet", "1.34.4", &v1), []);
        assert_eq!(
            one("kubelet", "1.35.0", &v1),
            [("kubelet_cgroup_v1", Level::Fails)]
        );
        v1.cgroups.mixed = true;
        assert_eq!(one("crun", "1.19", &v1), [("crun_hybrid", Level::Fails)]);
        let gvisor = Surroundings {
            inside: vec!["gvisor".to_owned()],
            ..sound()
        };
        assert_eq!(one("runc", "1.1.5", &gvisor), [("runc_bpf", Level::Fails)]);
        assert_eq!(one("runc", "1.5.2", &gvisor), []);
    }

    #[test]
    fn the_place_decides() {
        let fails = |change: fn(&mut Surroundings)| {
            let mut place = sound();
            change(&mut place);
            ids(&place, &ALL, &[])
        };
        assert_eq!(
            fails(|place| place.keyring.refused = true),
            [("session_keyring", Level::Fails)]
        );
        assert_eq!(
            fails(|place| place.keyring = Keyring {
                refused: false,
                quota: Some([199, 200, 1, 20_000]),
            }),
            [("keyring_quota", Level::MayFail)]
        );
        assert_eq!(
            fails(|place| place.cgroups.fail_crun = true),
            [("crun_cgroups", Level::Fails)]
        );
        assert_eq!(
            fails(|place| place.cgroups.namespaces = false),
            [("cgroup_namespace", Level::MayFail)]
        );
        assert_eq!(
            fails(|place| place.cgroups.version = surroundings::Version::None),
            [("no_cgroups", Level::Fails)]
        );
        assert_eq!(
            fails(|place| place.dev_kmsg = false),
            [("dev_kmsg", Level::Fails)]
        );
        assert_eq!(
            fails(|place| place.user_namespaces_refused = Some("no space left on device".to_owned())),
            [("user_namespaces", Level::MayFail)]
        );
        assert_eq!(
            fails(|place| place.attaching = Attaching {
                new_refused: Some("ENOSYS".to_owned()),
                classic_refused: None,
            }),
            []
        );
        assert_eq!(
            fails(|place| place.attaching = Attaching {
                new_refused: Some("ENOSYS".to_owned()),
                classic_refused: Some("EPERM".to_owned()),
            }),
            [("attaching_refused", Level::Fails)]
        );
        assert_eq!(
            fails(|place| place.memfd_noexec = Some(2)),
            [("memfd_noexec", Level::MayFail)]
        );
    }

    #[test]
    fn containerd_2_writes_sysctls_into_pods() {
        let missing = ["net/ipv4/ping_group_range"];
        let of = |version| ids(&sound(), &[("containerd", version)], &missing);
        assert_eq!(of("2.2.9"), [("pod_sysctls", Level::Fails)]);
        assert_eq!(of("1.6.20"), []);
    }
}
