//! The rewriter's promises over any configuration.

use procemu::{Entry, SysctlKey, Table};
use proptest::prelude::*;
use runtime_bridge::cgroups::Lacking;
use runtime_bridge::config::Policy;
use runtime_bridge::document::Node;
use runtime_bridge::place::PlaceFacts;
use runtime_bridge::pod::Lending;
use runtime_bridge::rewrite::{Change, Draft, Facts};
use runtime_bridge::runtime::Runtime;
use runtime_bridge::spec::SysctlNamespace;
use serde_json::Value;
use std::collections::BTreeSet;

const SYSCTLS: [&str; 6] = [
    "net.ipv4.ip_unprivileged_port_start",
    "net/ipv4/conf/eth0.100/forwarding",
    "kernel.shm_rmid_forced",
    "fs.mqueue.msg_max",
    "kernel.domainname",
    "vm.swappiness",
];
const FOLDERS: [&str; 4] = ["sys/net", "sys/kernel", "sys/fs/mqueue", "sys/vm"];

/// Text that means one scalar, in one of the spellings that generic models respell.
fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("1e400"),
        Just("-0.0"),
        Just("12345678901234567890123"),
        Just("1E+2"),
        Just("0.10"),
        Just("null"),
        Just("true"),
        Just(r#""\u00e9\/\u003c\ud83d\ude00""#),
        Just(r#""\ud800""#),
        Just("\"\u{e9}<\u{2028}\""),
        Just(r#"{"d":1,"d":{}}"#),
    ]
    .prop_map(str::to_owned)
}

fn space() -> impl Strategy<Value = &'static str> {
    prop_oneof![4 => Just(""), 2 => Just(" "), 1 => Just("\n\t"), 1 => Just(" \r\n ")]
}

/// Any value, as text.
fn value() -> impl Strategy<Value = String> {
    scalar().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            (prop::collection::vec((space(), inner.clone(), space()), 0..4)).prop_map(|items| list(
                items.into_iter().map(|(a, item, b)| format!("{a}{item}{b}")),
                ['[', ']']
            )),
            prop::collection::vec((space(), "[a-z]{1,3}", space(), inner), 0..4).prop_map(|members| list(
                members
                    .into_iter()
                    .map(|(a, name, b, item)| format!("{a}\"{name}\"{b}:{item}")),
                ['{', '}']
            )),
        ]
    })
}

fn list(items: impl Iterator<Item = String>, [open, close]: [char; 2]) -> String {
    format!("{open}{}{close}", items.collect::<Vec<_>>().join(","))
}

/// An object of the given members, some left out, in any order and white space.
fn object(members: Vec<(&'static str, BoxedStrategy<String>)>) -> BoxedStrategy<String> {
    let count = members.len();
    let members: Vec<_> = members
        .into_iter()
        .map(|(name, value)| {
            (any::<bool>(), space(), space(), value)
                .prop_map(move |(there, a, b, value)| there.then(|| format!("{a}\"{name}\":{b}{value}{a}")))
        })
        .collect();
    (members, Just((0..count).collect::<Vec<_>>()).prop_shuffle())
        .prop_map(|(members, order)| {
            list(
                order.into_iter().filter_map(|index| members[index].clone()),
                ['{', '}'],
            )
        })
        .boxed()
}

fn config() -> impl Strategy<Value = String> {
    let text =
        |options: &'static [&'static str]| prop::sample::select(options).prop_map(str::to_owned).boxed();
    let sysctl = object(
        SYSCTLS
            .map(|name| (name, text(&[r#""0""#, r#""1\t2""#, r#""\u0031""#, "7", "null"])))
            .to_vec(),
    );
    let linux = object(vec![
        (
            "sysctl",
            prop_oneof![3 => sysctl, 1 => Just("null".to_owned())].boxed(),
        ),
        ("resources", value().boxed()),
        ("x", value().boxed()),
    ]);
    let hook = text(&[
        r#"{"path":"\/x"}"#,
        r#"{"args":["runtime-bridge","hook"],"path":"/old"}"#,
        r#"{"args":[]}"#,
    ]);
    let stage = || {
        prop_oneof![
            prop::collection::vec(hook.clone(), 0..3).prop_map(|hooks| list(hooks.into_iter(), ['[', ']'])),
            Just("null".to_owned())
        ]
        .boxed()
    };
    let hooks = object(vec![
        ("prestart", stage()),
        ("createContainer", stage()),
        ("poststop", value().boxed()),
    ]);
    object(vec![
        (
            "ociVersion",
            text(&[r#""1.0.2""#, r#""1.3.0""#, r#""1.2\u002e0""#, "1"]),
        ),
        ("linux", linux),
        ("hooks", hooks),
        ("process", value().boxed()),
        ("annotations", value().boxed()),
        (r"\u0061", value().boxed()),
    ])
}

fn place() -> impl Strategy<Value = PlaceFacts> {
    let keys = || {
        prop::sample::subsequence(SYSCTLS.to_vec(), 0..SYSCTLS.len()).prop_map(|keys| {
            keys.into_iter()
                .map(|key| key.parse::<SysctlKey>().unwrap())
                .collect::<BTreeSet<_>>()
        })
    };
    (
        keys(),
        keys(),
        prop::sample::subsequence(FOLDERS.to_vec(), 0..FOLDERS.len()),
        keys(),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(
            |(mut missing, replaced, overmounts, refused, cap, others_are_there)| {
                if cap {
                    missing.insert("kernel/cap_last_cap".parse().unwrap());
                }
                PlaceFacts {
                    missing,
                    replaced,
                    overmounts: overmounts.into_iter().map(str::to_owned).collect(),
                    refused,
                    others_are_there,
                }
            },
        )
}

fn facts() -> impl Strategy<Value = (Facts, BTreeSet<SysctlNamespace>)> {
    let runtime = prop::sample::select(
        &[
            "runc version 1.5.2",
            "runc version 1.0.0-rc9",
            "crun version 1.8.1",
            "",
        ][..],
    );
    let owned = prop::sample::subsequence(
        vec![
            SysctlNamespace::Network,
            SysctlNamespace::Ipc,
            SysctlNamespace::Uts,
        ],
        0..=3,
    );
    (runtime, place(), owned, any::<bool>(), any::<bool>()).prop_map(
        |(runtime, place, owned, namespace, in_pod)| {
            let lending = Lending {
                pid: 1,
                namespace: u64::MAX,
                keys: SYSCTLS.map(|key| key.parse().unwrap()).into(),
            };
            (
                Facts {
                    runtime: Runtime::parse(runtime),
                    place,
                    cgroups: Lacking {
                        namespace,
                        unified: ["memory.oom.group".to_owned()].into(),
                    },
                    hook: "/b".into(),
                    readable: true,
                    lending: in_pod.then_some(lending),
                    templates: None,
                    log: None,
                    events: None,
                    starts_now: namespace,
                    stderr: true,
                },
                owned.into_iter().collect(),
            )
        },
    )
}

fn rewrite(text: &str, facts: &Facts, owned: &BTreeSet<SysctlNamespace>) -> (String, Vec<Change>) {
    let table = Table::from_iter([
        ("kernel/cap_last_cap".parse().unwrap(), Entry::literal(40)),
        ("kernel/domainname".parse().unwrap(), Entry::sysctl()),
        (
            "fs/mqueue/msg_max".parse().unwrap(),
            Entry::sysctl().with_fallback(10),
        ),
    ]);
    Draft::read(text, owned.clone(), &table)
        .unwrap()
        .finish(facts, &Policy::default())
        .unwrap()
}

/// The members of an object but for those named, as written.
fn others(raw: Option<&str>, without: &[&str]) -> Vec<(String, String)> {
    let Some(raw) = raw.filter(|raw| *raw != "null") else {
        return Vec::new();
    };
    let node = Node::object(raw, "").unwrap();
    let kept = node.iter().filter(|(name, _)| !without.contains(name));
    kept.map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// What a runtime makes of it: `hooks` without our own and without what is empty.
fn meaning(text: &str) -> Value {
    // Generic models cannot hold a lone surrogate.
    let mut value: Value = serde_json::from_str(&text.replace(r"\ud800", "x")).unwrap();
    let top = value.as_object_mut().unwrap();
    if let Some(hooks) = top.get_mut("hooks").and_then(Value::as_object_mut) {
        for stage in ["prestart", "createContainer"] {
            let kept = hooks.get_mut(stage).and_then(Value::as_array_mut).map(|list| {
                list.retain(|hook| hook["args"][0] != "runtime-bridge");
                list.len()
            });
            if kept.unwrap_or(0) == 0 {
                hooks.remove(stage);
            }
        }
        if hooks.is_empty() {
            top.remove("hooks");
        }
    }
    value
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rewriting_twice_is_rewriting_once(text in config(), (facts, owned) in facts()) {
        let (once, _) = rewrite(&text, &facts, &owned);
        prop_assert_eq!(rewrite(&once, &facts, &owned), (once.clone(), vec![]));
    }

    #[test]
    fn no_change_means_the_same_bytes(text in config(), (facts, owned) in facts()) {
        let (new, changes) = rewrite(&text, &facts, &owned);
        prop_assert_eq!(new == text, changes.is_empty());
    }

    #[test]
    fn what_is_not_ours_keeps_its_bytes_and_order(text in config(), (facts, owned) in facts()) {
        let (new, _) = rewrite(&text, &facts, &owned);
        let top = ["ociVersion", "linux", "hooks", "annotations", "procemu"];
        prop_assert_eq!(others(Some(&text), &top), others(Some(&new), &top));
        let part = |text: &str, name: &str| Node::object(text, "").unwrap().get(name).map(str::to_owned);
        let linux = |text: &str| others(part(text, "linux").as_deref(), &["sysctl"]);
        prop_assert_eq!(linux(&text), linux(&new));
        let annotations = |text: &str| part(text, "annotations").map(|raw| {
            Node::object(&raw, "").map_or(vec![(raw.clone(), String::new())], |_| others(Some(&raw), &["run.oci.hooks.stderr"]))
        }).unwrap_or_default();
        prop_assert_eq!(annotations(&text), annotations(&new));
        let hooks = |text: &str| others(part(text, "hooks").as_deref(), &["prestart", "createContainer"]);
        prop_assert_eq!(hooks(&text), hooks(&new));
        // Sysctls that stay, stay in order and spelling; those of others' namespaces always stay.
        let sysctl = |text: &str| others(part(&part(text, "linux").unwrap_or("{}".into()), "sysctl").as_deref(), &[]);
        let (before, after) = (sysctl(&text), sysctl(&new));
        let kept: Vec<_> = before.iter().filter(|member| after.contains(member)).collect();
        prop_assert_eq!(kept, after.iter().collect::<Vec<_>>());
        prop_assert_eq!(before.iter().any(|(name, _)| name == "vm.swappiness"), after.iter().any(|(name, _)| name == "vm.swappiness"));
    }

    #[test]
    fn what_was_rewritten_can_be_taken_back(text in config(), (facts, owned) in facts()) {
        let (new, _) = rewrite(&text, &facts, &owned);
        let nothing = Facts { place: PlaceFacts::default(), ..facts.clone() };
        let (back, _) = rewrite(&new, &nothing, &owned);
        let (without, _) = rewrite(&text, &nothing, &owned);
        prop_assert_eq!(meaning(&back), meaning(&without));
    }
}
