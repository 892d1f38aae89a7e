//! The parts of `config.json` that decide something here, read-only.
//!
//! Reading is as lenient as Go's: `null` is the same as absent, unknown members are skipped. Writing goes through
//! [`crate::document`], never through these types, which know only a part of the file.

use serde::{Deserialize, Deserializer};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// The top of `config.json`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Spec {
    /// `ociVersion`.
    #[serde(deserialize_with = "null_is_default")]
    pub oci_version: String,
    /// `root`.
    #[serde(deserialize_with = "null_is_default")]
    pub root: Root,
    /// `mounts`, in order.
    #[serde(deserialize_with = "nulls_are_default")]
    pub mounts: Vec<Mount>,
    /// `process`.
    #[serde(deserialize_with = "null_is_default")]
    pub process: Process,
    /// `annotations`.
    #[serde(deserialize_with = "null_values_are_default")]
    pub annotations: BTreeMap<String, String>,
    /// Whether `hooks` has any but ours that a runtime calls before ours may be: what those do to `/proc` nobody knows.
    #[serde(rename = "hooks", deserialize_with = "hooks_before_ours")]
    pub has_hooks_before_ours: bool,
    /// `linux`.
    #[serde(deserialize_with = "null_is_default")]
    pub linux: Linux,
}

/// `root`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Root {
    /// Absolute, or relative to the bundle.
    #[serde(deserialize_with = "null_is_default")]
    pub path: PathBuf,
}

/// `process`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Process {
    /// `None` where there are none, and where it is not plain which there are: they decide nothing that fails a container.
    #[serde(deserialize_with = "capabilities")]
    pub capabilities: Option<Capabilities>,
}

/// `process.capabilities`: its lists, by name.
pub type Capabilities = BTreeMap<String, Vec<String>>;

/// One of `mounts`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Mount {
    /// Inside the container.
    #[serde(deserialize_with = "null_is_default")]
    pub destination: PathBuf,
    /// `proc`, `bind`, ...
    #[serde(rename = "type", deserialize_with = "null_is_default")]
    pub kind: String,
    /// A device name or a path on the host.
    #[serde(deserialize_with = "null_is_default")]
    pub source: PathBuf,
    /// `rbind`, `nosuid`, ...
    #[serde(deserialize_with = "nulls_are_default")]
    pub options: Vec<String>,
}

/// `linux`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Linux {
    /// The namespaces that the container has or joins; of all others it uses the runtime's.
    #[serde(deserialize_with = "nulls_are_default")]
    pub namespaces: Vec<Namespace>,
    /// Paths that become read-only.
    #[serde(deserialize_with = "nulls_are_default")]
    pub readonly_paths: Vec<PathBuf>,
    /// Paths that are covered.
    #[serde(deserialize_with = "nulls_are_default")]
    pub masked_paths: Vec<PathBuf>,
    /// SELinux context of the container's mounts; empty = none.
    #[serde(deserialize_with = "null_is_default")]
    pub mount_label: String,
    /// Users of a new user namespace.
    #[serde(deserialize_with = "nulls_are_default")]
    pub uid_mappings: Vec<IdMapping>,
    /// Groups of a new user namespace.
    #[serde(deserialize_with = "nulls_are_default")]
    pub gid_mappings: Vec<IdMapping>,
}

/// One of `linux.namespaces`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Namespace {
    /// `network`, `ipc`, `uts`, `mount`, `pid`, `user`, `cgroup`, `time`.
    #[serde(rename = "type", deserialize_with = "null_is_default")]
    pub kind: String,
    /// One to join; empty = a new one.
    #[serde(deserialize_with = "null_is_default")]
    pub path: PathBuf,
}

/// One of `linux.uidMappings` and `linux.gidMappings`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct IdMapping {
    /// First id inside.
    #[serde(rename = "containerID")]
    pub container_id: u32,
    /// First id outside.
    #[serde(rename = "hostID")]
    pub host_id: u32,
    /// How many.
    pub size: u32,
}

/// The names of the members of the object `text`; nothing for what is no object, which is refused elsewhere.
fn names(text: &str) -> Result<BTreeMap<String, &serde_json::value::RawValue>, serde_json::Error> {
    if text.trim_start().starts_with('{') {
        serde_json::from_str(text)
    } else {
        Ok(BTreeMap::new())
    }
}

fn refuse_other_case<'a>(
    names: impl Iterator<Item = &'a String>,
    known: &[&str],
) -> Result<(), serde_json::Error> {
    for name in names {
        let meant = known
            .iter()
            .find(|known| name.eq_ignore_ascii_case(known) && name != *known);
        if let Some(meant) = meant {
            let line = format!(
                "member {name:?} is {meant:?} to some runtimes and nothing to others, write {meant:?}"
            );
            return Err(serde::de::Error::custom(line));
        }
    }
    Ok(())
}

fn capabilities<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Capabilities>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    let lists: Option<BTreeMap<String, Option<Vec<String>>>> =
        serde_json::from_value(value).unwrap_or_default();
    let lists = lists.map(|lists| lists.into_iter());
    Ok(lists.map(|lists| {
        lists
            .map(|(name, list)| (name, list.unwrap_or_default()))
            .collect()
    }))
}

fn hooks_before_ours<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    // As text: numbers and depths that no value holds are none of ours to refuse.
    let text = Box::<serde_json::value::RawValue>::deserialize(deserializer)?;
    let Ok(hooks) = serde_json::from_str::<serde_json::Value>(text.get()) else {
        return Ok(true);
    };
    let is_ours = |hook: &serde_json::Value| hook["args"] == serde_json::json!(crate::hooks::ARGS);
    let mut stages = ["prestart", "createRuntime"].into_iter();
    Ok(stages.any(|stage| match &hooks[stage] {
        serde_json::Value::Null => false,
        serde_json::Value::Array(hooks) => !hooks.iter().all(is_ours),
        _ => true,
    }))
}

fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn nulls_are_default<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    let elements: Option<Vec<Option<T>>> = Option::deserialize(deserializer)?;
    let elements = elements.unwrap_or_default().into_iter();
    Ok(elements.map(Option::unwrap_or_default).collect())
}

fn null_values_are_default<'de, D>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error>
where
    D: Deserializer<'de>,
{
    let members: Option<BTreeMap<String, Option<String>>> = Option::deserialize(deserializer)?;
    let members = members.unwrap_or_default().into_iter();
    Ok(members
        .map(|(name, value)| (name, value.unwrap_or_default()))
        .collect())
}

/// The namespaces that sysctls a container may set belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SysctlNamespace {
    /// `net.*`.
    Network,
    /// System V IPC and POSIX message queues.
    Ipc,
    /// `kernel.domainname`.
    Uts,
}

impl SysctlNamespace {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Network, Self::Ipc, Self::Uts];

    /// As `linux.namespaces` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Ipc => "ipc",
            Self::Uts => "uts",
        }
    }

    /// As `/proc/PID/ns` calls it.
    pub fn file(self) -> &'static str {
        match self {
            Self::Network => "net",
            Self::Ipc => "ipc",
            Self::Uts => "uts",
        }
    }
}

impl Spec {
    /// Reads the whole file.
    ///
    /// # Errors
    /// If it is not JSON, or a member above has another type than the OCI spec says, or another case: runc takes
    /// `ReadOnlyPaths` for `readonlyPaths`, others don't, so what protects the container would be anybody's guess.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        let top = names(text)?;
        refuse_other_case(
            top.keys(),
            &["ociVersion", "root", "mounts", "annotations", "linux", "hooks"],
        )?;
        let linux = top
            .get("linux")
            .map_or(Ok(BTreeMap::new()), |linux| names(linux.get()))?;
        let known = [
            "namespaces",
            "readonlyPaths",
            "maskedPaths",
            "mountLabel",
            "sysctl",
            "uidMappings",
            "gidMappings",
        ];
        refuse_other_case(linux.keys(), &known)?;
        serde_json::from_str(text)
    }

    /// Whether `linux.namespaces` has a namespace of this kind (`network`, `user`), a new one or one to join.
    pub fn lists(&self, kind: &str) -> bool {
        self.linux.namespaces.iter().any(|listed| listed.kind == kind)
    }

    /// The container's root as this process's user namespace numbers it, where the container is in a user namespace: what the
    /// kernel counts per user, it counts for this one. containerd gives the mapping of a pod's also where it is joined.
    pub fn root_uid(&self) -> Option<u32> {
        self.root_of(&self.linux.uid_mappings)
    }

    /// The same of the root's group.
    pub fn root_gid(&self) -> Option<u32> {
        self.root_of(&self.linux.gid_mappings)
    }

    fn root_of(&self, mappings: &[IdMapping]) -> Option<u32> {
        let root = mappings.iter().find(|map| map.container_id == 0 && map.size > 0);
        root.filter(|_| self.lists("user")).map(|map| map.host_id)
    }

    /// The namespaces that are the container's own: listed in `linux.namespaces`, and not by a path that leads to the
    /// namespace of this process. runc calls the latter host namespaces and refuses to write sysctls there.
    pub fn owned_namespaces(&self) -> BTreeSet<SysctlNamespace> {
        let owned = |namespace: &SysctlNamespace| {
            self.linux.namespaces.iter().any(|listed| {
                listed.kind == namespace.name()
                    && (listed.path.as_os_str().is_empty() || !is_ours(&listed.path, namespace.file()))
            })
        };
        SysctlNamespace::ALL.into_iter().filter(owned).collect()
    }
}

/// Whether `path` leads to a namespace of this process; also where that cannot be told, since the question is what a
/// hook may write to.
fn is_ours(path: &std::path::Path, file: &str) -> bool {
    let ours = std::fs::metadata(format!("/proc/self/ns/{file}"));
    match (std::fs::metadata(path), ours) {
        (Ok(theirs), Ok(ours)) => (theirs.dev(), theirs.ino()) == (ours.dev(), ours.ino()),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_and_absent_are_the_same() {
        let spec = Spec::parse(
            r#"{"annotations":null,"linux":{"readonlyPaths":null,"mountLabel":null,"namespaces":null,"new":[1e400]}}"#,
        )
        .unwrap();
        assert_eq!(spec, Spec::parse("{}").unwrap());
        let elements = Spec::parse(
            r#"{"annotations":{"a":null},"mounts":[null],"linux":{"readonlyPaths":["/proc/sys",null],"namespaces":[null]}}"#,
        )
        .unwrap();
        assert_eq!(elements.annotations["a"], "");
        assert_eq!(elements.linux.readonly_paths[0], PathBuf::from("/proc/sys"));
        assert!(Spec::parse(r#"{"linux":[]"#).is_err());
    }

    #[test]
    fn root_has_another_number_in_a_user_namespace() {
        let root = |namespaces: &str| {
            let maps = r#"[{"containerID":1,"hostID":5,"size":9},{"containerID":0,"hostID":1000,"size":1}]"#;
            let text = format!(r#"{{"linux":{{"namespaces":[{namespaces}],"uidMappings":{maps}}}}}"#);
            Spec::parse(&text).unwrap().root_uid()
        };
        assert_eq!(root(r#"{"type":"user"}"#), Some(1000));
        assert_eq!(root(r#"{"type":"user","path":"/run/pinned"}"#), Some(1000));
        assert_eq!(root(r#"{"type":"network"}"#), None);
        assert_eq!(
            Spec::parse(r#"{"linux":{"namespaces":[{"type":"user"}]}}"#)
                .unwrap()
                .root_uid(),
            None
        );
    }

    #[test]
    fn another_case_is_refused() {
        for text in [
            r#"{"linux":{"ReadOnlyPaths":[]}}"#,
            r#"{"Linux":{}}"#,
            r#"{"linux":{},"MOUNTS":[]}"#,
        ] {
            assert!(
                Spec::parse(text).unwrap_err().to_string().contains(", write "),
                "{text}"
            );
        }
        assert!(Spec::parse(r#"{"linux":{"resources":{}},"Unknown":1}"#).is_ok());
    }

    #[test]
    fn a_namespace_is_owned_when_it_is_new_or_anothers() {
        let owned = |namespaces: &str| {
            Spec::parse(&format!(r#"{{"linux":{{"namespaces":{namespaces}}}}}"#))
                .unwrap()
                .owned_namespaces()
        };
        assert_eq!(owned("[]"), BTreeSet::new());
        assert_eq!(
            owned(r#"[{"type":"pid"},{"type":"network"}]"#),
            BTreeSet::from([SysctlNamespace::Network])
        );
        assert_eq!(
            owned(r#"[{"type":"ipc","path":"/proc/self/ns/net"},{"type":"uts","path":""}]"#),
            BTreeSet::from([SysctlNamespace::Ipc, SysctlNamespace::Uts])
        );
        assert_eq!(
            owned(r#"[{"type":"network","path":"/proc/self/ns/net"}]"#),
            BTreeSet::new()
        );
        assert_eq!(
            owned(r#"[{"type":"network","path":"/nonexistent"}]"#),
            BTreeSet::new()
        );
    }

    #[test]
    fn hooks_that_come_before_ours_are_seen() {
        let has = |hooks: &str| {
            Spec::parse(&format!(r#"{{"hooks":{hooks}}}"#))
                .unwrap()
                .has_hooks_before_ours
        };
        let ours = r#"{"path":"/b","args":["runtime-bridge","hook"]}"#;
        for none in [
            "null",
            "{}",
            r#"{"prestart":null,"createRuntime":[]}"#,
            &format!(r#"{{"prestart":[{ours}]}}"#),
            r#"{"createContainer":[{"path":"/x"}],"poststop":[{"path":"/x"}],"unknown":[1e400]}"#,
        ] {
            assert!(!has(none), "{none}");
        }
        for some in [
            r#"{"prestart":[{"path":"/x"}]}"#.to_owned(),
            format!(r#"{{"createRuntime":[{ours},{{"path":"/x","args":["runtime-bridge"]}}]}}"#),
            r#"{"prestart":{"path":"/x"}}"#.to_owned(),
            format!(r#"{{"unknown":{}{}}}"#, "[".repeat(1000), "]".repeat(1000)),
        ] {
            assert!(has(&some), "{some}");
        }
    }
}
