//! What this place is: facts, and what texts of the kernel tell of them.

use serde::Serialize;

/// All that is known of the place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Surroundings {
    /// As uname(2) tells it.
    pub kernel: String,
    /// What is around, from the innermost out: `gvisor`, `lxc`, `docker`, `vm`, ...
    pub inside: Vec<String>,
    /// Capabilities that the kernel has and this process has not.
    pub capabilities_missing: Vec<String>,
    /// What could not be tried for want of CAP_SYS_ADMIN.
    pub untried: Vec<String>,
    /// Attaching one key in a namespace of its own.
    pub attaching: Attaching,
    /// Whether `/proc/sys` is read-only.
    pub proc_sys_read_only: bool,
    /// Why a sysctl that this `/proc` lets one write does not open for writing in a procfs that is mounted nowhere.
    pub detached_procfs_refuses: Option<String>,
    /// The cgroup hierarchies.
    pub cgroups: Cgroups,
    /// Session keyrings, and the user's keys.
    pub keyring: Keyring,
    /// Why no user namespace can be made here.
    pub user_namespaces_refused: Option<String>,
    /// Security modules.
    pub security: Security,
    /// Whether FUSE could be used. Nothing here needs it.
    pub fuse: bool,
    /// Whether `/dev/kmsg` is there.
    pub dev_kmsg: bool,
    /// `vm.memfd_noexec`.
    pub memfd_noexec: Option<u32>,
}

/// What takes CAP_SYS_ADMIN to be tried; what else is told is this user's.
const UNTRIED: [&str; 4] = [
    "attaching without a user namespace: by nsprep attach, for other users' programs, in containers that root makes",
    "which keys a container's own network namespace lacks",
    "writing sysctls by a procfs that is mounted nowhere",
    "making cgroups",
];

/// What is not tried by a process without these capabilities.
pub fn untried(capabilities_missing: &[String]) -> Vec<String> {
    match capabilities_missing.iter().any(|name| name == "CAP_SYS_ADMIN") {
        true => UNTRIED.map(str::to_owned).to_vec(),
        false => Vec::new(),
    }
}

/// How mounts can be made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Attaching {
    /// Why the new mount interface does not do it.
    pub new_refused: Option<String>,
    /// Why the classic one does not either; not tried where the new one does.
    pub classic_refused: Option<String>,
}

impl Attaching {
    /// Why there is no way.
    pub fn refused(&self) -> Option<&str> {
        self.new_refused.as_ref().and(self.classic_refused.as_deref())
    }
}

/// Which versions of cgroups are mounted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Version {
    /// Neither.
    #[default]
    None,
    /// One hierarchy for each controller.
    V1,
    /// One for all.
    V2,
    /// Both.
    Hybrid,
}

/// The cgroup hierarchies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cgroups {
    /// Which are mounted.
    pub version: Version,
    /// Whether the kernel has cgroup v2.
    pub v2_known: bool,
    /// Whether none can be made or frozen, so that crun fails.
    pub fail_crun: bool,
    /// Whether a cgroup v2 beside v1 has controllers, which crun cannot handle.
    pub mixed: bool,
    /// Whether there are cgroup namespaces.
    pub namespaces: bool,
}

/// Session keyrings, and the user's keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Keyring {
    /// Whether a new session keyring is refused.
    pub refused: bool,
    /// The quota of this user: used and allowed keys, used and allowed bytes.
    pub quota: Option<[u64; 4]>,
}

impl Keyring {
    /// Whether nine tenths of keys or bytes are used.
    pub fn is_nearly_full(&self) -> bool {
        self.quota.is_some_and(|[keys, max_keys, bytes, max_bytes]| {
            keys * 10 >= max_keys * 9 || bytes * 10 >= max_bytes * 9
        })
    }
}

/// Security modules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Security {
    /// The AppArmor profile of this process, where there is AppArmor.
    pub apparmor: Option<String>,
    /// `enforcing` or `permissive`, where there is SELinux.
    pub selinux: Option<String>,
    /// Whether a seccomp filter lies on this process.
    pub seccomp: bool,
}

/// Texts that tell what is around.
#[derive(Clone, Debug, Default)]
pub struct Clues {
    /// `/proc/version`.
    pub version: String,
    /// The variable `container` of pid 1 or of this process, or `/run/systemd/container`.
    pub container: String,
    /// `/proc/self/mountinfo`.
    pub mountinfo: String,
    /// `/proc/1/cgroup`.
    pub cgroup: String,
    /// `/proc/cpuinfo`.
    pub cpuinfo: String,
    /// Whether `/.dockerenv` is there.
    pub dockerenv: bool,
    /// Whether `/run/.containerenv` is there.
    pub containerenv: bool,
    /// Whether this is a pod: `KUBERNETES_SERVICE_HOST` is set.
    pub kubernetes: bool,
    /// Whether `/proc/vz` is there and `/proc/bc`, which the host of OpenVZ has, is not.
    pub openvz: bool,
}

impl Clues {
    /// What is around, from the innermost out.
    pub fn inside(&self) -> Vec<String> {
        let version = self.version.to_lowercase();
        let known = |name: &str| self.container == name || self.container.starts_with(&format!("{name}-"));
        let of_fs = |name: &str| fields(&self.mountinfo).any(|(_, kind)| kind == name);
        let docker = self.dockerenv || known("docker") || self.cgroup.contains("/docker/");
        let podman = self.containerenv || known("podman");
        let lxc = known("lxc") || self.cgroup.contains("/lxc") || of_fs("fuse.lxcfs");
        let other = !self.container.is_empty() && !docker && !podman && !lxc && !known("wsl");
        let around = [
            (self.kubernetes || self.cgroup.contains("/kubepods"), "kubernetes"),
            (docker, "docker"),
            (podman, "podman"),
            (other, self.container.as_str()),
            (lxc, "lxc"),
            (self.openvz, "openvz"),
            (version.contains("gvisor"), "gvisor"),
            (version.contains("microsoft"), "wsl"),
            (is_virtual(&self.cpuinfo), "vm"),
        ];
        around
            .into_iter()
            .filter(|(is, _)| *is)
            .map(|(_, name)| name.to_owned())
            .collect()
    }

    /// Which cgroups are mounted below `/sys/fs/cgroup`.
    pub fn cgroups(&self) -> Version {
        let below = |wanted: &str| {
            fields(&self.mountinfo).any(|(at, kind)| at.starts_with("/sys/fs/cgroup") && kind == wanted)
        };
        match (below("cgroup"), below("cgroup2")) {
            (false, false) => Version::None,
            (true, false) => Version::V1,
            (false, true) => Version::V2,
            (true, true) => Version::Hybrid,
        }
    }
}

/// The flag of the CPU that hypervisors set.
fn is_virtual(cpuinfo: &str) -> bool {
    let mut flags = cpuinfo.lines().filter(|line| line.starts_with("flags"));
    flags.any(|line| line.split_whitespace().any(|flag| flag == "hypervisor"))
}

/// Mountpoint and type of each mount, the last one of a mountpoint last.
fn fields(mountinfo: &str) -> impl Iterator<Item = (&str, &str)> {
    mountinfo.lines().filter_map(|line| {
        let (front, back) = line.split_once(" - ")?;
        Some((front.split(' ').nth(4)?, back.split(' ').next()?))
    })
}

/// The quota of `uid` in `/proc/key-users`: `0:  9 8/8 3/1000000 40/25000000`.
pub fn quota(key_users: &str, uid: u32) -> Option<[u64; 4]> {
    let line = key_users.lines().find_map(|line| {
        let (user, rest) = line.split_once(':')?;
        (user.trim().parse() == Ok(uid)).then_some(rest)
    })?;
    let pair = |word: &str| {
        let (used, max) = word.split_once('/')?;
        Some((used.parse().ok()?, max.parse().ok()?))
    };
    let mut words = line.split_whitespace().skip(2);
    let (keys, max_keys) = pair(words.next()?)?;
    let (bytes, max_bytes) = pair(words.next()?)?;
    Some([keys, max_keys, bytes, max_bytes])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_known_by_their_texts() {
        let is = |clues: Clues, expected: &[&str]| assert_eq!(clues.inside(), expected, "{clues:?}");
        let of = Clues::default;
        is(of(), &[]);
        is(
            Clues {
                version: "Linux version 4.19.0-gvisor #1 SMP Sun Jan 10".into(),
                cpuinfo: "processor : 0\nflags\t\t: fpu hypervisor sse\n".into(),
                ..of()
            },
            &["gvisor", "vm"],
        );
        is(
            Clues {
                container: "lxc".into(),
                mountinfo: "1 2 0:3 / /proc/stat rw - fuse.lxcfs lxcfs rw".into(),
                ..of()
            },
            &["lxc"],
        );
        is(
            Clues {
                dockerenv: true,
                kubernetes: true,
                ..of()
            },
            &["kubernetes", "docker"],
        );
        is(
            Clues {
                container: "systemd-nspawn".into(),
                ..of()
            },
            &["systemd-nspawn"],
        );
        is(
            Clues {
                version: "Linux version 5.15.1-microsoft-standard-WSL2".into(),
                openvz: false,
                container: "wsl".into(),
                ..of()
            },
            &["wsl"],
        );
    }

    #[test]
    fn without_rights_not_all_is_tried() {
        let without = |name: &str| untried(&["CAP_CHOWN".to_owned(), name.to_owned()]);
        assert!(without("CAP_SYS_TIME").is_empty());
        assert_eq!(without("CAP_SYS_ADMIN").len(), UNTRIED.len());
    }

    #[test]
    fn cgroups_are_told_from_what_is_mounted_there() {
        let v1 = "37 31 0:36 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n";
        let v2 = "41 31 0:38 / /sys/fs/cgroup/unified rw shared:3 - cgroup2 cgroup2 rw\n";
        let elsewhere = "41 31 0:38 / /mnt rw - cgroup2 cgroup2 rw\n";
        for (mountinfo, version) in [
            (String::new(), Version::None),
            (elsewhere.to_owned(), Version::None),
            (v1.to_owned(), Version::V1),
            (v2.to_owned(), Version::V2),
            ([v1, v2].concat(), Version::Hybrid),
        ] {
            let clues = Clues {
                mountinfo,
                ..Clues::default()
            };
            assert_eq!(clues.cgroups(), version, "{clues:?}");
        }
    }

    #[test]
    fn the_quota_of_a_user() {
        let text = "    0:     9 8/8 3/1000000 40/25000000\n 1000:   200 200/200 180/200 4000/20000\n";
        assert_eq!(quota(text, 0), Some([3, 1_000_000, 40, 25_000_000]));
        assert_eq!(quota(text, 1), None);
        let full = |quota| {
            Keyring {
                refused: false,
                quota,
            }
            .is_nearly_full()
        };
        assert!(full(quota(text, 1000)));
        assert!(!full(quota(text, 0)));
        assert!(!full(None));
        assert_eq!(quota("0: x", 0), None);
    }
}
