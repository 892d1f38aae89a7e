//! Programs whose profile has another name than they, and those that need none.

/// The last ones read no key, or do as well without: docs/profiles.md says why of each.
const CONSUMERS: [(&str, Option<&str>); 24] = [
    ("docker", Some("dockerd")),
    ("buildah", Some("podman")),
    ("bwrap", Some("bubblewrap")),
    ("flatpak", Some("bubblewrap")),
    ("chromium-browser", Some("chromium")),
    ("google-chrome", Some("chromium")),
    ("chrome", Some("chromium")),
    ("electron", Some("chromium")),
    ("redis-server", Some("redis")),
    ("valkey-server", Some("redis")),
    ("valkey", Some("redis")),
    ("etcd", Some("go")),
    ("postgres", None),
    ("postgresql", None),
    ("postmaster", None),
    ("psql", None),
    ("java", None),
    ("jvm", None),
    ("node", None),
    ("nodejs", None),
    ("elasticsearch", None),
    ("opensearch", None),
    ("ping", None),
    ("portmap", None),
];

/// The profile of `program`, if it is one of these: the inner `None` where it needs none.
pub fn profile_of(program: &str) -> Option<Option<&'static str>> {
    let found = CONSUMERS.iter().find(|(name, _)| *name == program);
    found.map(|(_, profile)| *profile)
}

#[cfg(test)]
mod tests {
    use super::*;
    use procemu::Profile;

    #[test]
    fn they_have_no_profile_of_their_own_name() {
        for (name, profile) in CONSUMERS {
            assert!(Profile::find(name).is_err(), "{name}");
            assert!(
                profile.is_none_or(|profile| Profile::find(profile).is_ok()),
                "{name}"
            );
        }
    }
}
