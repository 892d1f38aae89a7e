//! `config.json`, rewritten for a container that lacks keys.

use std::collections::BTreeSet;

use procemu::{Entry, Filesystem, Placement, SysctlKey, Table};
use runtime_bridge::cgroups::Lacking;
use runtime_bridge::config::{MissingSysctls, Policy};
use runtime_bridge::document::Node;
use runtime_bridge::job::{Job, Log};
use runtime_bridge::place::{PlaceFacts, placement};
use runtime_bridge::report::chain;
use runtime_bridge::rewrite::{Change, Draft, Facts, RewriteError, STDERR};
use runtime_bridge::runtime::Runtime;
use runtime_bridge::spec::{Spec, SysctlNamespace};
use serde_json::Value;

/// Only what is meant to be another is: all else keeps its bytes and order. A second rewriting changes nothing, and where a container
/// lacks nothing any more, it gets back what it had.
pub fn check(data: &[u8]) {
    let Some(text) = super::text(data) else { return };
    let spec = match Spec::parse(text) {
        Ok(spec) => spec,
        Err(error) => return super::one_line(&chain(&error)),
    };
    protected(&spec);
    let owned: BTreeSet<_> = SysctlNamespace::ALL
        .into_iter()
        .filter(|kind| spec.lists(kind.name()))
        .collect();
    for facts in facts() {
        let (new, changes) = match rewrite(text, &facts, &owned) {
            Ok(done) => done,
            Err(error) => {
                super::one_line(&chain(&error));
                continue;
            }
        };
        assert_eq!(new == text, changes.is_empty(), "{changes:?}");
        changes
            .iter()
            .for_each(|change| super::one_line(&change.to_string()));
        same_but_for_ours(text, &new);
        same_to_a_runtime(&spec, &new, &facts);
        assert_eq!(
            rewrite(&new, &facts, &owned).expect("it was written by us"),
            (new.clone(), vec![])
        );
        taken_back(text, &new, &facts, &owned);
    }
}

fn rewrite(
    text: &str,
    facts: &Facts,
    owned: &BTreeSet<SysctlNamespace>,
) -> Result<(String, Vec<Change>), RewriteError> {
    let table = Table::from_iter([
        (key("kernel/cap_last_cap"), Entry::literal(40)),
        (key("kernel/domainname"), Entry::sysctl()),
        (key("fs/mqueue/msg_max"), Entry::sysctl().with_fallback(10)),
    ]);
    let draft = Draft::read(text, owned.clone(), &table)?;
    let asked = draft.table(MissingSysctls::Emulate);
    assert!(asked.contains_key(&key("kernel/cap_last_cap")));
    assert!(draft.written().iter().all(|key| key.below_sys().is_some()));
    draft.finish(facts, &Policy::default())
}

fn key(text: &str) -> SysctlKey {
    text.parse().expect("a key of this file")
}

/// What the machine may be like, for one text each.
fn facts() -> [Facts; 3] {
    let keys = |names: &[&str]| names.iter().map(|name| key(name)).collect::<BTreeSet<_>>();
    let nothing = nothing(Runtime::UNKNOWN);
    [
        Facts {
            place: PlaceFacts {
                missing: keys(&[
                    "kernel/cap_last_cap",
                    "net/ipv4/ip_unprivileged_port_start",
                    "net/core/somaxconn",
                ]),
                overmounts: ["sys/kernel".to_owned(), "sys/net/ipv4".to_owned()].into(),
                ..PlaceFacts::default()
            },
            runtime: Runtime::parse("runc version 1.1.5"),
            ..nothing.clone()
        },
        Facts {
            place: PlaceFacts {
                missing: keys(&["kernel/domainname", "kernel/shm_rmid_forced"]),
                replaced: keys(&["fs/mqueue/msg_max"]),
                refused: keys(&["net/ipv4/ip_forward"]),
                ..PlaceFacts::default()
            },
            cgroups: Lacking {
                namespace: true,
                unified: ["memory.oom.group".to_owned()].into(),
            },
            runtime: Runtime::parse("crun version 1.8.1"),
            stderr: true,
            ..nothing.clone()
        },
        Facts {
            log: Some(Log {
                path: "/log".to_owned(),
                format: "json".to_owned(),
            }),
            readable: false,
            place: PlaceFacts {
                missing: keys(&["net/ipv4/tcp_mem"]),
                others_are_there: true,
                ..PlaceFacts::default()
            },
            ..nothing
        },
    ]
}

fn nothing(runtime: Runtime) -> Facts {
    Facts {
        runtime,
        place: PlaceFacts::default(),
        cgroups: Lacking::default(),
        hook: "/usr/local/bin/runtime-bridge".to_owned(),
        readable: true,
        lending: None,
        templates: None,
        log: None,
        events: None,
        starts_now: true,
        stderr: false,
    }
}

/// Each path that a runtime protects below `/proc` or `/sys` is protected in our plan, too.
fn protected(spec: &Spec) {
    for filesystem in Filesystem::ALL {
        let Placement::Container { read_only, masked } = placement(spec, filesystem) else {
            panic!("a container is placed as one");
        };
        for (listed, found) in [
            (&spec.linux.readonly_paths, read_only),
            (&spec.linux.masked_paths, masked),
        ] {
            for path in listed.iter().filter_map(|path| path.to_str()) {
                let plain = path
                    .strip_prefix(filesystem.mountpoint())
                    .and_then(|rest| rest.strip_prefix('/'));
                let is_plain = |rest: &&str| {
                    !rest.is_empty() && rest.split('/').all(|name| !["", ".", ".."].contains(&name))
                };
                if let Some(rest) = plain.filter(is_plain) {
                    assert!(
                        found.iter().any(|found| found == rest),
                        "{path} is not in {found:?}"
                    );
                }
            }
        }
    }
}

/// A configuration taken apart, as written.
struct Parts {
    top: Node,
    linux: Node,
    resources: Node,
    unified: Node,
    sysctl: Node,
    hooks: Node,
    annotations: Node,
    /// What an earlier rewriting moved.
    moved: Node,
}

impl Parts {
    fn of(text: &str) -> Self {
        let part = |of: &Node, name: &str| {
            let node = of.get(name).and_then(|raw| Node::object(raw, "").ok());
            node.unwrap_or(Node::empty_object())
        };
        let top = Node::object(text, "").expect("it could be rewritten");
        let linux = part(&top, "linux");
        let resources = part(&linux, "resources");
        Self {
            unified: part(&resources, "unified"),
            sysctl: part(&linux, "sysctl"),
            hooks: part(&top, "hooks"),
            annotations: part(&top, "annotations"),
            moved: part(&part(&top, Job::MEMBER), "sysctl"),
            top,
            linux,
            resources,
        }
    }
}

/// Members but for those named.
fn others<'a>(node: &'a Node, without: &[&str]) -> Vec<(&'a str, &'a str)> {
    node.iter().filter(|(name, _)| !without.contains(name)).collect()
}

/// The elements of a list that are not ours.
fn elements(of: &Node, name: &str, is_ours: fn(&Value) -> bool) -> Vec<String> {
    let list = of.get(name).and_then(|raw| Node::array(raw, "").ok());
    let all = list.iter().flat_map(Node::iter).map(|(_, raw)| raw.to_owned());
    all.filter(|raw| !serde_json::from_str(raw).is_ok_and(|value| is_ours(&value)))
        .collect()
}

/// All but what we write has the same bytes, in the same order.
fn same_but_for_ours(text: &str, new: &str) {
    let (old, new) = (&Parts::of(text), &Parts::of(new));
    let same = |part: fn(&Parts) -> &Node, ours: &[&str]| {
        assert_eq!(others(part(old), ours), others(part(new), ours))
    };
    same(
        |all| &all.top,
        &["ociVersion", "linux", "hooks", "annotations", Job::MEMBER],
    );
    same(|all| &all.linux, &["sysctl", "namespaces", "resources"]);
    same(|all| &all.resources, &["unified"]);
    same(|all| &all.unified, &["memory.oom.group"]);
    same(|all| &all.hooks, &["prestart", "createContainer"]);
    same(|all| &all.annotations, &["run.oci.hooks.stderr"]);
    // Lists lose what is ours, or gain it, and nothing else.
    let is_our_hook = |hook: &Value| hook["args"][0] == "runtime-bridge" && hook["args"][1] == "hook";
    for stage in ["prestart", "createContainer"] {
        let kept = |all: &Parts| elements(&all.hooks, stage, is_our_hook);
        assert_eq!(kept(old), kept(new), "hooks.{stage}");
    }
    let kept = |all: &Parts| {
        elements(&all.linux, "namespaces", |namespace| {
            namespace["type"] == "cgroup"
        })
    };
    assert_eq!(kept(old), kept(new), "linux.namespaces");
    // Of sysctls none appears that was not asked for, now or before, none is lost, and what stays is spelled as it was.
    let is_asked = |name: &str| old.sysctl.get(name).is_some() || old.moved.get(name).is_some();
    assert!(new.sysctl.iter().all(|(name, _)| is_asked(name)));
    let is_kept = |name: &str, raw: &str| new.sysctl.get(name) == Some(raw) || new.moved.get(name).is_some();
    assert!(
        old.sysctl.iter().all(|(name, raw)| is_kept(name, raw)),
        "a sysctl is lost"
    );
    // It is one's to set: the runtime's or the hook's.
    assert!(new.sysctl.iter().all(|(name, _)| new.moved.get(name).is_none()));
}

/// A runtime reads the same container in it, and the hook finds its order.
fn same_to_a_runtime(spec: &Spec, new: &str, facts: &Facts) {
    let mut again = Spec::parse(new).expect("it could be read before");
    if again.oci_version != spec.oci_version {
        assert!(again.oci_version == "1.0.2" && facts.runtime.refuses_later_spec());
        again.oci_version.clone_from(&spec.oci_version);
    }
    let mut spec = spec.clone();
    for spec in [&mut spec, &mut again] {
        spec.annotations
            .retain(|name, value| name != "run.oci.hooks.stderr" || value != STDERR);
        if facts.cgroups.namespace {
            spec.linux
                .namespaces
                .retain(|listed| listed.kind != "cgroup" || !listed.path.as_os_str().is_empty());
        }
    }
    assert_eq!(again, spec);

    let job = Job::of(new).expect("a job of ours");
    let ours = |stage: &str| new.contains(stage) && new.contains("runtime-bridge");
    assert_eq!(
        job.is_some(),
        !facts.place.is_empty() || job.as_ref().is_some_and(|job| !job.sysctl.is_empty())
    );
    if let Some(job) = job {
        assert!(ours("createContainer") || ours("prestart"));
        assert_eq!(job.log, facts.log);
    }
}

/// The same facts and nothing lacking: what was there before, as far as it means something, and nothing of ours.
fn taken_back(text: &str, new: &str, facts: &Facts, owned: &BTreeSet<SysctlNamespace>) {
    let nothing = nothing(facts.runtime);
    let (back, _) = rewrite(new, &nothing, owned).expect("it was written by us");
    assert_eq!(Job::of(&back).expect("no job"), None);
    let Ok((without, _)) = rewrite(text, &nothing, owned) else {
        return;
    };
    let (back, without) = (meaning(&back, facts), meaning(&without, facts));
    assert_eq!(back, without);
}

/// What is the same to a runtime: `hooks`, `linux`, `sysctl` and `annotations` without anything, and none.
fn meaning(text: &str, facts: &Facts) -> Option<Value> {
    // Generic models cannot hold a lone surrogate.
    let mut value: Value = serde_json::from_str(text).ok()?;
    let top = value.as_object_mut()?;
    if !facts.cgroups.unified.is_empty() {
        let unified = top
            .get_mut("linux")
            .and_then(|linux| linux.get_mut("resources")?.get_mut("unified"));
        if let Some(unified) = unified.and_then(Value::as_object_mut) {
            unified.remove("memory.oom.group");
        }
        let listed = top.get_mut("linux").and_then(|linux| linux.get_mut("namespaces"));
        if let Some(listed) = listed.and_then(Value::as_array_mut) {
            listed.retain(|namespace| namespace["type"] != "cgroup");
        }
    }
    let is_nothing = |value: &Value| {
        value.is_null()
            || value.as_object().is_some_and(|all| all.is_empty())
            || value.as_array().is_some_and(Vec::is_empty)
    };
    for (part, inner) in [
        ("linux", &["sysctl"][..]),
        ("hooks", &["prestart", "createContainer"]),
        ("annotations", &[]),
    ] {
        if let Some(part) = top.get_mut(part).and_then(Value::as_object_mut) {
            part.retain(|name, value| !inner.contains(&name.as_str()) || !is_nothing(value));
        }
        if top.get(part).is_some_and(is_nothing) {
            top.remove(part);
        }
    }
    if top.get(Job::MEMBER).is_some_and(Value::is_null) {
        top.remove(Job::MEMBER);
    }
    Some(value)
}
