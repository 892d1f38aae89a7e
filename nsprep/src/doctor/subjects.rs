//! Whom a diagnosis is about: the programs that are here, or those that `--for` names.

use procemu::Profile;
use runtime_bridge::runtime::Version;

use super::consumers::profile_of;
use super::programs::Program;

/// A program of which it is known what it needs.
pub struct Known {
    /// Its name on PATH.
    pub name: &'static str,
    /// The profiles with the keys that it reads itself.
    pub profiles: &'static [&'static str],
    /// What it calls to make containers.
    pub runtimes: &'static [&'static str],
    /// As `runtime-bridge install` names it.
    pub engine: Option<&'static str>,
}

const fn known(
    name: &'static str,
    profiles: &'static [&'static str],
    runtimes: &'static [&'static str],
    engine: Option<&'static str>,
) -> Known {
    Known {
        name,
        profiles,
        runtimes,
        engine,
    }
}

/// All of them, in the order in which they are shown.
pub const KNOWN: [Known; 11] = [
    known("runc", &["runc"], &[], None),
    known("crun", &["crun"], &[], None),
    known("youki", &[], &[], None),
    known("runsc", &[], &[], None),
    known("containerd", &[], &["runc"], Some("containerd")),
    known("dockerd", &["dockerd"], &["runc"], Some("docker")),
    known("podman", &["podman"], &["crun", "runc"], Some("podman")),
    known("crio", &[], &["crun", "runc"], Some("crio")),
    known("k3s", &["kubelet", "kube-proxy"], &["runc"], Some("k3s")),
    known("kubelet", &["kubelet"], &[], None),
    known("kube-proxy", &["kube-proxy"], &[], None),
];

/// The profile of what no other profile is about.
pub const ANY: &str = "container";

/// One program that is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Its name.
    pub name: String,
    /// The profiles with the keys that it reads itself.
    pub profiles: Vec<&'static str>,
    /// What it calls to make containers.
    pub runtimes: &'static [&'static str],
    /// As `runtime-bridge install` names it.
    pub engine: Option<&'static str>,
    /// Where it is, if it is here.
    pub program: Option<Program>,
}

impl Subject {
    fn of_known(known: &Known, program: Option<&Program>) -> Self {
        Self {
            name: known.name.to_owned(),
            profiles: known.profiles.to_vec(),
            runtimes: known.runtimes,
            engine: known.engine,
            program: program.cloned(),
        }
    }

    /// Whether it is here in a version from `since` on. One that does not tell is taken for a recent one.
    pub fn is_since(&self, since: Version) -> bool {
        let version = self.program.as_ref().and_then(|program| program.version);
        version.is_none_or(|version| version >= since)
    }

    /// Whether its containers are prepared by runtime-bridge already.
    pub fn is_bridged(&self) -> bool {
        self.program.as_ref().is_some_and(|program| program.bridged)
    }

    /// Its path, or its name.
    pub fn command(&self) -> &str {
        self.program.as_ref().map_or(&self.name, |program| &program.path)
    }
}

/// Whom to look at: all that is here, or those named and the runtimes that they call. Whether those that no table here knows
/// are there is for `exists` to say.
///
/// # Errors
/// A name that is neither a program nor a profile.
pub fn choose(
    named: &[String],
    found: &[Program],
    exists: impl Fn(&str) -> bool,
) -> Result<Vec<Subject>, String> {
    let program = |name: &str| found.iter().find(|program| program.name == name);
    if named.is_empty() {
        let here = KNOWN
            .iter()
            .filter_map(|known| program(known.name).map(|program| Subject::of_known(known, Some(program))));
        let any = Subject {
            name: "programs".to_owned(),
            profiles: vec![ANY],
            runtimes: &[],
            engine: None,
            program: None,
        };
        return Ok(here.chain([any]).collect());
    }
    let mut subjects: Vec<Subject> = Vec::new();
    let mut add = |subject: Subject| {
        if !subjects.iter().any(|other| other.name == subject.name) {
            subjects.push(subject);
        }
    };
    for name in named {
        let own = name.rsplit('/').next().unwrap_or(name);
        let Some(known) = KNOWN.iter().find(|known| known.name == own) else {
            let of_its_name = || Profile::find(own).ok().map(|profile| Some(profile.name()));
            let needs = profile_of(own).or_else(of_its_name);
            if needs.is_none() && !exists(name) {
                return Err(format!(
                    "--for {name}: no program on PATH and no profile; the profiles are {}",
                    Profile::names().collect::<Vec<_>>().join(", ")
                ));
            }
            add(Subject {
                name: name.clone(),
                profiles: needs.unwrap_or(Some(ANY)).into_iter().collect(),
                runtimes: &[],
                engine: None,
                program: None,
            });
            continue;
        };
        add(Subject::of_known(known, program(known.name)));
        let runtimes = known.runtimes.iter().map(|name| (*name, program(name)));
        let (here, others): (Vec<_>, Vec<_>) = runtimes.partition(|(_, program)| program.is_some());
        // Where none is on PATH, it has its first choice elsewhere.
        let called = if here.is_empty() {
            others.into_iter().take(1).collect()
        } else {
            here
        };
        for (name, program) in called {
            if let Some(runtime) = KNOWN.iter().find(|other| other.name == name) {
                add(Subject::of_known(runtime, program));
            }
        }
    }
    Ok(subjects)
}

/// Those of the programs `named` that are not there. The name of a profile need not be a program's.
pub fn absent(named: &[String], exists: impl Fn(&str) -> bool) -> Vec<String> {
    let is_program = |name: &str| {
        let own = name.rsplit('/').next().unwrap_or(name);
        KNOWN.iter().any(|known| known.name == own) || profile_of(own).is_some()
    };
    let absent = named.iter().filter(|name| is_program(name) && !exists(name));
    absent.cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(subjects: &[Subject]) -> Vec<&str> {
        subjects.iter().map(|subject| subject.name.as_str()).collect()
    }

    #[test]
    fn an_engine_brings_the_runtimes_that_are_here() {
        let found = [
            Program::made_up("crun", "1.8.1"),
            Program::made_up("containerd", "2.2.9"),
        ];
        let chosen = |named: &[&str]| {
            let named: Vec<_> = named.iter().map(|&name| name.to_owned()).collect();
            choose(&named, &found, |name| name == "sh")
        };
        assert_eq!(names(&chosen(&[]).unwrap()), ["crun", "containerd", "programs"]);
        assert_eq!(names(&chosen(&["podman"]).unwrap()), ["podman", "crun"]);
        assert_eq!(names(&chosen(&["crio", "crun"]).unwrap()), ["crio", "crun"]);
        // Its runc is not on PATH, and somewhere all the same.
        assert_eq!(names(&chosen(&["containerd"]).unwrap()), ["containerd", "runc"]);
        assert_eq!(chosen(&["sh"]).unwrap()[0].profiles, ["container"]);
        assert_eq!(chosen(&["gvisor"]).unwrap()[0].profiles, ["gvisor"]);
        assert_eq!(chosen(&["/usr/bin/redis-server"]).unwrap()[0].profiles, ["redis"]);
        assert_eq!(chosen(&["postgres"]).unwrap()[0].profiles, [""; 0]);
        let refused = chosen(&["nonsense"]).unwrap_err();
        assert!(
            refused.contains("--for nonsense: no program on PATH"),
            "{refused}"
        );
    }

    #[test]
    fn who_is_named_and_not_here_is_told() {
        let named = ["kubelet", "crun", "/opt/redis-server", "redis", "container"].map(str::to_owned);
        let absent = absent(&named, |name| name == "crun");
        assert_eq!(absent, ["kubelet", "/opt/redis-server"]);
    }

    #[test]
    fn every_profile_that_is_named_is_there() {
        for known in &KNOWN {
            for name in known.profiles {
                assert!(Profile::find(name).is_ok(), "{name}");
            }
        }
    }
}
