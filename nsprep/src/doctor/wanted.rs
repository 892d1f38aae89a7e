//! Which built-in profile has an entry for a key, and the lines of a table that come of it.

use procemu::{Entry, Filesystem, Profile, SysctlKey, Table, When};

use super::errno::Refusal;

/// What a table can do about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proposal {
    /// The entry of a built-in profile cures it.
    Entry {
        /// The profile.
        profile: &'static str,
        /// Its entry.
        entry: Box<Entry>,
    },
    /// A profile has an entry, which does not stand in for a key that is there.
    OnlyMissing {
        /// The profile.
        profile: &'static str,
    },
    /// It is there and was to be written: the kernel's own value, in a file that takes what is written.
    Host,
    /// It is a file of a cgroup, which is there where the cgroup and its controller are.
    OfCgroup,
    /// No profile has one: somebody has to know a truthful value.
    Unknown,
}

impl Proposal {
    /// What there is for `key`, which ended like that, and by a try to write it or not; profiles in `preferred` come first, then `container`, and of the others
    /// those that are about fewer keys.
    pub fn of(key: &SysctlKey, refusal: Refusal, writes: bool, preferred: &[&str]) -> Self {
        let rank = |profile: &Profile| match preferred.iter().position(|name| *name == profile.name()) {
            Some(at) => at,
            None if profile.name() == super::subjects::ANY => preferred.len(),
            None => preferred.len() + 1,
        };
        let mut having: Vec<(&Profile, Entry)> = Profile::ALL
            .iter()
            .filter_map(|profile| Some((profile, profile.table().get(key)?.clone())))
            .collect();
        having.sort_by_key(|(profile, _)| (rank(profile), profile.table().len()));
        let cures = |entry: &Entry| match refusal {
            Refusal::Missing => true,
            _ => matches!(entry.when, When::Unwritable | When::Always),
        };
        let first = having.first().map(|(profile, _)| profile.name());
        match having.into_iter().find(|(_, entry)| cures(entry)) {
            Some((profile, entry)) => Self::Entry {
                profile: profile.name(),
                entry: Box::new(entry),
            },
            // What is written into /sys may be an order to a device, and elsewhere in /proc one to the kernel.
            None if writes && refusal != Refusal::Missing && key.below_sys().is_some() => Self::Host,
            None => match first {
                Some(profile) => Self::OnlyMissing { profile },
                None if is_of_cgroup(key) => Self::OfCgroup,
                None => Self::Unknown,
            },
        }
    }

    /// Its line in a table; one that needs more than is known is a comment.
    pub fn line(&self, key: &SysctlKey) -> String {
        match self {
            Self::Entry { entry, .. } => line(key, entry),
            Self::Host => {
                let entry = Entry::host().writable().with_when(When::Unwritable);
                line(
                    key,
                    &entry.with_doc("the kernel's value; what is written is kept and not obeyed"),
                )
            }
            Self::OnlyMissing { profile } => format!(
                "# \"{key}\" = {{ value = ..., mode = \"0644\", when = \"unwritable\" }}  # {profile} has it for where it is missing only; \
                 needs a truthful value"
            ),
            Self::OfCgroup => {
                format!("# {key}: no key of a table, it comes with a cgroup and its controller")
            }
            Self::Unknown => {
                format!("# \"{key}\" = {{ value = ... }}  # no profile has it: needs a truthful value")
            }
        }
    }
}

fn line(key: &SysctlKey, entry: &Entry) -> String {
    let table: Table = [(key.clone(), entry.clone())].into_iter().collect();
    let text = table.to_toml();
    text.lines().last().unwrap_or_default().to_owned()
}

/// Where all runtimes look for them.
pub fn is_of_cgroup(key: &SysctlKey) -> bool {
    let mut path = key.components();
    key.filesystem() == Filesystem::Sys && path.next() == Some("fs") && path.next() == Some("cgroup")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proposal(key: &str, refusal: Refusal, preferred: &[&str]) -> (Proposal, String) {
        let key: SysctlKey = key.parse().unwrap();
        let proposal = Proposal::of(&key, refusal, false, preferred);
        let line = proposal.line(&key);
        (proposal, line)
    }

    #[test]
    fn a_line_is_the_profiles_own() {
        let (_, line) = proposal("kernel/cap_last_cap", Refusal::Missing, &["runc"]);
        let table = Table::from_toml(&format!("[keys]\n{line}"), "proposal").unwrap();
        let key = "kernel/cap_last_cap".parse().unwrap();
        assert_eq!(table.get(&key), Profile::get("runc").unwrap().get(&key));
    }

    #[test]
    fn who_asks_for_few_keys_comes_before_who_has_all() {
        for (key, preferred, expected) in [
            ("fs/inotify/max_user_instances", &[][..], "sysctl"),
            ("vm/max_map_count", &[], "full"),
            ("vm/max_map_count", &["full"], "full"),
            ("kernel/overflowuid", &["bubblewrap"], "bubblewrap"),
        ] {
            let (found, _) = proposal(key, Refusal::Missing, preferred);
            let is_it = matches!(found, Proposal::Entry { profile, .. } if profile == expected);
            assert!(is_it, "{key}: {found:?}");
        }
    }

    #[test]
    fn nothing_is_guessed() {
        for (key, refusal) in [
            ("kernel/made_up", Refusal::Missing),
            ("kernel/cap_last_cap", Refusal::ReadOnly),
        ] {
            let (_, line) = proposal(key, refusal, &[]);
            assert!(
                line.starts_with("# ") && line.contains("truthful value"),
                "{line}"
            );
        }
        assert_eq!(proposal("fs/made_up", Refusal::Missing, &[]).0, Proposal::Unknown);
    }

    #[test]
    fn what_is_to_be_written_has_the_kernels_value() {
        let of = |key: &str, refusal, writes| Proposal::of(&key.parse().unwrap(), refusal, writes, &[]);
        let key = "kernel/cap_last_cap";
        assert_eq!(of(key, Refusal::ReadOnly, true), Proposal::Host);
        assert_eq!(of("net/ipv4/made_up", Refusal::Denied, true), Proposal::Host);
        assert_ne!(of(key, Refusal::Denied, false), Proposal::Host);
        assert_ne!(of(key, Refusal::Missing, true), Proposal::Host);
        for order in ["/proc/sysrq-trigger", "/sys/bus/pci/rescan"] {
            assert_eq!(of(order, Refusal::ReadOnly, true), Proposal::Unknown);
        }
        let line = Proposal::Host.line(&key.parse().unwrap());
        let table = Table::from_toml(&format!("[keys]\n{line}"), "proposal").unwrap();
        let entry = table.get(&key.parse().unwrap()).unwrap();
        assert_eq!((entry.mode.bits(), entry.when), (0o644, When::Unwritable));
        assert_eq!(entry.source, procemu::ValueSource::Host);
    }

    #[test]
    fn a_file_of_a_cgroup_is_no_key() {
        for key in [
            "/sys/fs/cgroup/cgroup.controllers",
            "/sys/fs/cgroup/unified/x/freezer.state",
        ] {
            let (found, line) = proposal(key, Refusal::Missing, &[]);
            assert_eq!(found, Proposal::OfCgroup);
            assert!(line.starts_with(&format!("# {key}: no key")), "{line}");
        }
        assert_eq!(
            proposal("/sys/fs/cgroups/x", Refusal::Missing, &[]).0,
            Proposal::Unknown
        );
    }

    #[test]
    fn a_key_that_is_stuck_takes_an_entry_that_replaces_it() {
        let (found, _) = proposal("vm/overcommit_memory", Refusal::Stuck, &["container", "kubelet"]);
        let Proposal::Entry { profile, entry } = found else {
            panic!("{found:?}");
        };
        assert_eq!((profile, entry.when), ("kubelet", When::Unwritable));
        let (found, _) = proposal("vm/overcommit_memory", Refusal::Missing, &["container"]);
        assert!(
            matches!(
                found,
                Proposal::Entry {
                    profile: "container",
                    ..
                }
            ),
            "{found:?}"
        );
    }
}
