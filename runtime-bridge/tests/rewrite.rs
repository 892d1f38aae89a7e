//! The rewriter against configurations as engines write them.

use procemu::{Entry, SysctlKey, Table};
use runtime_bridge::cgroups::Lacking;
use runtime_bridge::config::{MissingSysctls, Policy, RefusedSysctls};
use runtime_bridge::job::Job;
use runtime_bridge::place::PlaceFacts;
use runtime_bridge::pod::Lending;
use runtime_bridge::report::chain;
use runtime_bridge::rewrite::{Draft, Facts, RewriteError};
use runtime_bridge::runtime::Runtime;
use runtime_bridge::spec::Spec;
use serde_json::{Value, json};

const RUNC: &str = "runc version 1.5.2";

fn key(text: &str) -> SysctlKey {
    text.parse().unwrap()
}

fn table() -> Table {
    Table::from_iter([
        (key("kernel/cap_last_cap"), Entry::literal(40)),
        (key("net/ipv4/ip_unprivileged_port_start"), Entry::sysctl()),
        (key("kernel/sem"), Entry::sysctl().with_fallback([1, 2, 3, 4])),
    ])
}

fn place(missing: &[&str], replaced: &[&str], overmounts: &[&str]) -> PlaceFacts {
    PlaceFacts {
        missing: missing.iter().map(|text| key(text)).collect(),
        replaced: replaced.iter().map(|text| key(text)).collect(),
        overmounts: overmounts.iter().map(|&text| text.to_owned()).collect(),
        ..PlaceFacts::default()
    }
}

fn rewrite(text: &str, runtime: &str, place: PlaceFacts) -> Result<(String, Vec<String>), RewriteError> {
    rewrite_with(text, runtime, place, Lacking::default(), None)
}

fn rewrite_without(
    text: &str,
    runtime: &str,
    place: PlaceFacts,
    cgroups: Lacking,
) -> Result<(String, Vec<String>), RewriteError> {
    rewrite_with(text, runtime, place, cgroups, None)
}

fn rewrite_with(
    text: &str,
    runtime: &str,
    place: PlaceFacts,
    cgroups: Lacking,
    lending: Option<Lending>,
) -> Result<(String, Vec<String>), RewriteError> {
    rewrite_by(&Policy::default(), text, runtime, place, cgroups, lending)
}

fn rewrite_by(
    policy: &Policy,
    text: &str,
    runtime: &str,
    place: PlaceFacts,
    cgroups: Lacking,
    lending: Option<Lending>,
) -> Result<(String, Vec<String>), RewriteError> {
    let facts = Facts {
        runtime: Runtime::parse(runtime),
        starts_now: place.others_are_there,
        place,
        cgroups,
        hook: "/usr/bin/runtime-bridge".into(),
        readable: true,
        lending,
        templates: None,
        log: None,
        events: None,
        stderr: false,
    };
    let once = |text: &str| {
        let owned = Spec::parse(text).unwrap().owned_namespaces();
        Draft::read(text, owned, &table())?.finish(&facts, policy)
    };
    let (new, changes) = once(text)?;
    assert_eq!(once(&new)?, (new.clone(), Vec::new()), "not idempotent");
    Ok((new, changes.iter().map(ToString::to_string).collect()))
}

fn job(text: &str) -> Job {
    serde_json::from_str(&serde_json::from_str::<Value>(text).unwrap()["procemu"].to_string()).unwrap()
}

#[test]
fn a_container_that_starts_now_is_not_looked_at_for_what_it_has() {
    let text = r#"{"linux":{"namespaces":[{"type":"ipc"},{"type":"network"}],
        "sysctl":{"kernel.shm_rmid_forced":"1","net.ipv4.ip_unprivileged_port_start":"0"}}}"#;
    let keys = |others_are_there, missing: &[&str], replaced: &[&str]| {
        let facts = PlaceFacts {
            others_are_there,
            ..place(missing, replaced, &["sys/kernel"])
        };
        let (new, _) = rewrite(text, RUNC, facts).unwrap();
        job(&new)
            .table
            .keys()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    let all = [
        "kernel/cap_last_cap",
        "kernel/sem",
        "net/ipv4/ip_unprivileged_port_start",
    ];
    assert_eq!(keys(false, &["kernel/cap_last_cap"], &[]), all);
    // An interface, and a network namespace, may come and go.
    assert_eq!(keys(true, &["kernel/cap_last_cap"], &[]), [all[0], all[2]]);
    assert_eq!(keys(true, &[], &["kernel/sem"]), all[1..]);
    // One that was asked for may be there, and is the hook's to set: below the overmount.
    let requested = r#"{"linux":{"namespaces":[{"type":"ipc"}],"sysctl":{"kernel.sem":"1 2 3 4"}}}"#;
    let facts = PlaceFacts {
        others_are_there: true,
        ..place(&["kernel/cap_last_cap"], &[], &["sys/kernel"])
    };
    let (new, _) = rewrite(requested, RUNC, facts).unwrap();
    assert_eq!(job(&new).table.len(), 2);
}

#[test]
fn what_cgroups_lack_is_left_out_and_nothing_else() {
    let text = r#"{"linux":{"namespaces":[ {"type":"pid"}, {"path":"","type":"cgroup","new":1e400},
        {"type":"cgroup","path":"/proc/1/ns/cgroup"} ], "resources" : {"unified":{"memory.oom.group":"1","memory.high":"9"},"cpu":{"shares":2e0}}}}"#;
    let cgroups = Lacking {
        namespace: true,
        unified: ["memory.oom.group".to_owned(), "io.max".to_owned()].into(),
    };
    let none = PlaceFacts::default();
    let (new, changes) = rewrite_without(text, RUNC, none.clone(), cgroups.clone()).unwrap();
    assert_eq!(
        new,
        r#"{"linux":{"namespaces":[ {"type":"pid"},
        {"type":"cgroup","path":"/proc/1/ns/cgroup"} ], "resources" : {"unified":{"memory.high":"9"},"cpu":{"shares":2e0}}}}"#
    );
    assert_eq!(
        changes,
        [
            "linux.namespaces: the cgroup namespace is gone: the kernel has none",
            "linux.resources.unified: memory.oom.group = \"1\" is gone: the kernel's cgroups have no such file",
        ]
    );
    for odd in [
        SANDBOX,
        "{}",
        r#"{"linux":{"namespaces":null,"resources":{"unified":[1]}}}"#,
        r#"{"linux":{"resources":{"unified":{"memory.oom.group":"1","memory.oom.group":"2"}}}}"#,
    ] {
        let kept = rewrite_without(odd, RUNC, none.clone(), cgroups.clone()).unwrap();
        assert_eq!(kept, (odd.to_owned(), vec![]));
    }
}

/// What containerd writes for a sandbox on a pod network, shortened.
const SANDBOX: &str = r#"{"ociVersion":"1.3.0","process":{"user":{"uid":0,"gid":0},"args":["\/pause"],"env":["A=\u00e9"],"rlimits":[{"type":"RLIMIT_NOFILE","hard":18446744073709551615,"soft":1024}]},"annotations":{"x":"<y>"},"linux":{"sysctl":{"net.ipv4.ip_unprivileged_port_start":"0","net.ipv4.ping_group_range":"0 2147483647","kernel.shm_rmid_forced":"1","vm.swappiness":"10"},"resources":{"cpu":{"shares":2e0,"quota":-0.0}},"namespaces":[{"type":"pid"},{"type":"ipc"},{"type":"network"}]}}"#;

#[test]
fn a_container_that_lacks_nothing_keeps_its_bytes() {
    for text in [
        SANDBOX,
        "{}",
        "{ \"hooks\" : null }\n",
        r#"{"linux":null,"a":1e400,"b":{"c":1,"c":2}}"#,
    ] {
        assert_eq!(
            rewrite(text, RUNC, PlaceFacts::default()).unwrap(),
            (text.to_owned(), vec![])
        );
    }
}

#[test]
fn only_keys_of_the_pod_that_the_container_lacks_are_borrowed() {
    let lending = Lending {
        pid: 17,
        namespace: u64::MAX,
        keys: ["net/ipv4/x", "net/ipv4/y", "kernel/sem"].map(key).into(),
    };
    let borrowed = |missing: &[&str], replaced: &[&str]| {
        let place = place(missing, replaced, &["sys/net/ipv4"]);
        let (text, _) = rewrite_with("{}", RUNC, place, Lacking::default(), Some(lending.clone())).unwrap();
        job(&text).lending
    };
    let keys = ["net/ipv4/x", "kernel/sem"].map(key).into();
    let wanted = Lending {
        keys,
        ..lending.clone()
    };
    assert_eq!(
        borrowed(&["net/ipv4/x", "kernel/panic"], &["kernel/sem"]),
        Some(wanted)
    );
    assert_eq!(borrowed(&["kernel/panic"], &[]), None);
    let lacks_nothing = rewrite_with(
        "{}",
        RUNC,
        PlaceFacts::default(),
        Lacking::default(),
        Some(lending),
    );
    assert_eq!(lacks_nothing.unwrap(), ("{}".to_owned(), vec![]));
}

#[test]
fn a_lacking_container_gets_hook_and_job() {
    let (text, changes) = rewrite(
        SANDBOX,
        RUNC,
        place(&["kernel/cap_last_cap"], &[], &["sys/kernel"]),
    )
    .unwrap();
    assert_eq!(
        changes,
        [
            r#"linux.sysctl: kernel.shm_rmid_forced = "1" is now the hook's to set: it lies below /proc/sys/kernel, which is overmounted"#,
            "hooks.createContainer: our hook comes first: the container lacks kernel/cap_last_cap",
            "procemu: a table of 3 keys and 1 sysctls: the hook reads there what to do",
        ]
    );
    // All that was there is there, in order and spelling.
    let kept = SANDBOX.replace(r#","kernel.shm_rmid_forced":"1""#, "");
    assert!(text.starts_with(&kept[..kept.len() - 1]), "{text}");
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        value["hooks"],
        json!({"createContainer": [{
            "path": "/usr/bin/runtime-bridge",
            "args": ["runtime-bridge", "hook"],
            "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
            "timeout": 10
        }]})
    );
    let job = job(&text);
    assert_eq!(
        job.sysctl,
        [("kernel.shm_rmid_forced".to_owned(), "1".to_owned())].into()
    );
    // The key exists: the hook writes it, the table need not show it.
    assert!(!job.table.contains_key(&key("kernel/shm_rmid_forced")));
    assert_eq!(
        job.table.get(&key("net/ipv4/ip_unprivileged_port_start")),
        Some(&Entry::literal("0"))
    );
    assert_eq!(
        job.table.get(&key("kernel/sem")),
        Some(&Entry::literal([1, 2, 3, 4]))
    );
}

#[test]
fn lacking_and_replaced_sysctls_show_what_was_requested() {
    let (text, changes) = rewrite(
        SANDBOX,
        RUNC,
        place(
            &["net/ipv4/ping_group_range", "net/ipv4/ip_unprivileged_port_start"],
            &["kernel/shm_rmid_forced"],
            &["sys/net"],
        ),
    )
    .unwrap();
    let job = job(&text);
    assert_eq!(job.sysctl.len(), 3);
    for (name, value) in [
        ("net/ipv4/ping_group_range", "0 2147483647"),
        ("net/ipv4/ip_unprivileged_port_start", "0"),
        ("kernel/shm_rmid_forced", "1"),
    ] {
        assert_eq!(
            job.table.get(&key(name)).unwrap().source,
            Entry::literal(value).source,
            "{name}"
        );
    }
    assert!(
        changes[0].ends_with("the kernel lacks it") && changes[2].ends_with("it is replaced"),
        "{changes:?}"
    );
    // Not the container's own: the runtime is to refuse it.
    assert!(text.contains(r#""sysctl":{"vm.swappiness":"10"}"#), "{text}");
}

#[test]
fn sysctls_of_namespaces_that_are_not_the_containers_stay() {
    for namespaces in ["[]", r#"[{"type":"network","path":"/proc/self/ns/net"}]"#, "null"] {
        let text = format!(r#"{{"linux":{{"namespaces":{namespaces},"sysctl":{{"net.ipv4.nosuch":"1"}}}}}}"#);
        let (new, _) = rewrite(&text, RUNC, place(&["kernel/cap_last_cap"], &[], &["sys/net"])).unwrap();
        assert!(new.starts_with(&text[..text.len() - 1]), "{new}");
        assert!(job(&new).sysctl.is_empty());
    }
}

#[test]
fn where_the_runtime_may_not_write_one_all_are_the_hooks() {
    let place = |keys: &[&str]| PlaceFacts {
        refused: keys.iter().map(|text| key(text)).collect(),
        ..PlaceFacts::default()
    };
    let (new, changes) = rewrite(SANDBOX, RUNC, place(&["net/ipv4/ping_group_range"])).unwrap();
    let why = "is now the hook's to set: the runtime may not write net/ipv4/ping_group_range";
    assert_eq!(
        changes,
        [
            format!("linux.sysctl: net.ipv4.ip_unprivileged_port_start = \"0\" {why}"),
            format!("linux.sysctl: net.ipv4.ping_group_range = \"0 2147483647\" {why}"),
            format!("linux.sysctl: kernel.shm_rmid_forced = \"1\" {why}"),
            "hooks.createContainer: our hook comes first: sysctls are the hook's to set".to_owned(),
            "procemu: a table of 3 keys and 3 sysctls: the hook reads there what to do".to_owned(),
        ]
    );
    let sysctl = |text: &str| serde_json::from_str::<Value>(text).unwrap()["linux"]["sysctl"].clone();
    // What is one for the whole machine stays the runtime's to refuse.
    assert_eq!(sysctl(&new), json!({"vm.swappiness": "10"}));
    assert_eq!(job(&new).sysctl.len(), 3);
    assert!(!new.contains("refused_sysctls") && !new.contains("missing_sysctls"));
    let (back, _) = rewrite(&new, RUNC, PlaceFacts::default()).unwrap();
    assert_eq!(sysctl(&back), sysctl(SANDBOX));
    // Nobody asks for the one, and the other is not the container's.
    for refused in ["net/ipv4/other", "vm/swappiness"] {
        assert_eq!(
            rewrite(SANDBOX, RUNC, place(&[refused])).unwrap(),
            (SANDBOX.to_owned(), vec![])
        );
    }
}

#[test]
fn the_policy_goes_with_what_is_moved() {
    let policy = Policy {
        missing_sysctls: MissingSysctls::Fail,
        refused_sysctls: RefusedSysctls::Emulate,
        ..Policy::default()
    };
    let moved = |place: PlaceFacts| {
        let (new, _) = rewrite_by(&policy, SANDBOX, RUNC, place, Lacking::default(), None).unwrap();
        let job = job(&new);
        (job.missing_sysctls, job.refused_sysctls)
    };
    assert_eq!(
        moved(place(&[], &[], &["sys/net"])),
        (MissingSysctls::Fail, RefusedSysctls::Emulate)
    );
    assert_eq!(
        moved(place(&["kernel/cap_last_cap"], &[], &[])),
        (MissingSysctls::Emulate, RefusedSysctls::Hook)
    );
}

#[test]
fn a_requested_key_is_looked_for_only_where_it_would_be_emulated() {
    let owned = Spec::parse(SANDBOX).unwrap().owned_namespaces();
    let draft = Draft::read(SANDBOX, owned, &Table::new()).unwrap();
    let keys = [
        "kernel/shm_rmid_forced",
        "net/ipv4/ip_unprivileged_port_start",
        "net/ipv4/ping_group_range",
    ]
    .map(key);
    assert!(draft.table(MissingSysctls::Emulate).keys().eq(&keys));
    assert!(draft.table(MissingSysctls::Fail).is_empty());
    assert!(draft.written().iter().eq(&keys));
}

#[test]
fn both_spellings_move_and_conflicts_are_refused() {
    let text = |value: &str| {
        format!(
            r#"{{"linux":{{"namespaces":[{{"type":"network"}}],"sysctl":{{"net/ipv4/conf/eth0.1/forwarding":"1","net.ipv4.conf.eth0/1.forwarding":"{value}"}}}}}}"#
        )
    };
    let lacking = || place(&["net/ipv4/conf/eth0.1/forwarding"], &[], &["sys/net"]);
    let (new, _) = rewrite(&text("1"), RUNC, lacking()).unwrap();
    assert_eq!(job(&new).sysctl.len(), 2);
    assert_eq!(
        rewrite(&text("0"), RUNC, lacking()).unwrap_err().to_string(),
        r#"linux.sysctl: "net/ipv4/conf/eth0.1/forwarding" and "net.ipv4.conf.eth0/1.forwarding" are one key and have different values"#
    );
}

#[test]
fn a_second_rewriting_under_other_facts_takes_the_first_back() {
    let lacking = place(&["net/ipv4/ping_group_range"], &[], &["sys/net"]);
    let (first, _) = rewrite(SANDBOX, RUNC, lacking).unwrap();
    let (back, changes) = rewrite(&first, RUNC, PlaceFacts::default()).unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&back).unwrap(),
        serde_json::from_str::<Value>(SANDBOX).unwrap()
    );
    assert_eq!(
        changes,
        [
            "linux.sysctl: net.ipv4.ip_unprivileged_port_start is back: the runtime can set it itself",
            "linux.sysctl: net.ipv4.ping_group_range is back: the runtime can set it itself",
            "hooks: our hook is gone: the container lacks nothing",
            "procemu: our job is gone: the container lacks nothing",
        ]
    );
}

#[test]
fn the_stage_follows_the_runtime() {
    for (runtime, stage) in [
        ("runc version 1.0.0-rc10", "prestart"),
        ("crun version 0.11", "prestart"),
        ("crun version 1.14.3", "createContainer"),
        ("some-other 1.0", "createContainer"),
    ] {
        let (text, _) = rewrite("{}", runtime, place(&["kernel/cap_last_cap"], &[], &[])).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            value["hooks"].as_object().unwrap().keys().collect::<Vec<_>>(),
            [stage],
            "{runtime}"
        );
    }
}

#[test]
fn the_version_is_lowered_for_an_old_crun_only() {
    for (version, runtime, want) in [
        ("1.3.0", "crun version 1.8.1", "1.0.2"),
        ("1.1.0+dev", "crun version 1.14.2", "1.0.2"),
        ("1.10.0", "crun version 1.8.1", "1.0.2"),
        ("1.0.2-dev", "crun version 1.8.1", "1.0.2-dev"),
        ("1.3.0", "crun version 1.14.3", "1.3.0"),
        ("1.3.0", RUNC, "1.3.0"),
    ] {
        let text = |version: &str| format!("{{ \"a\": 1e400, \"ociVersion\" : \"{version}\" }}\n");
        let (new, changes) = rewrite(&text(version), runtime, PlaceFacts::default()).unwrap();
        assert_eq!(new, text(want));
        assert_eq!(changes.len(), usize::from(version != want));
    }
}

#[test]
fn a_runtime_is_asked_for_only_where_it_matters() {
    let asked = |text: &str, place: PlaceFacts| {
        Draft::read(text, [].into(), &table())
            .unwrap()
            .depends_on_runtime(&place)
    };
    assert!(!asked(r#"{"ociVersion":"1.0.2"}"#, PlaceFacts::default()));
    assert!(!asked("{}", PlaceFacts::default()));
    assert!(asked(r#"{"ociVersion":"1.3.0"}"#, PlaceFacts::default()));
    assert!(asked(r#"{"ociVersion":"1.0.2"}"#, place(&["kernel/x"], &[], &[])));
}

#[test]
fn what_is_not_ours_is_refused() {
    for (text, want) in [
        (
            r#"{"procemu":{"version":2,"new":1}}"#,
            "procemu: not a job of version 1: it has version 2",
        ),
        (
            r#"{"procemu":7}"#,
            "procemu: not a job of version 1: invalid type",
        ),
        (
            r#"{"procemu":{"version":1,"sysctl":{"/etc":"1"}}}"#,
            "procemu: not a job of version 1: sysctl: \"/etc\" is no key",
        ),
        (
            r#"{"linux":{"sysctl":{"a.b":"1","a.b":"2"}}}"#,
            "linux.sysctl: duplicate member \"a.b\", each name may appear once",
        ),
        (
            r#"{"linux":{},"linux":{}}"#,
            "config.json: duplicate member \"linux\", each name may appear once",
        ),
        (
            r#"{"linux":{"sysctl":[]}}"#,
            "linux.sysctl: invalid type: sequence, expected a JSON object",
        ),
        (
            "{\"a\":\n",
            "config.json: EOF while parsing a value at line 2 column 0",
        ),
    ] {
        let message = chain(&Draft::read(text, [].into(), &table()).unwrap_err());
        assert!(message.starts_with(want), "{message}");
    }
    let long = format!(
        r#"{{"linux":{{"namespaces":[{{"type":"ipc"}}],"sysctl":{{"kernel.sem":"{}"}}}}}}"#,
        "9".repeat(65_536)
    );
    assert_eq!(
        chain(&rewrite(&long, RUNC, place(&["kernel/sem"], &[], &["sys/kernel"])).unwrap_err()),
        "linux.sysctl: kernel.sem: the value has 65537 bytes with its line end; it may have at most 65536"
    );
}

#[test]
fn an_indented_file_stays_indented() {
    let text = "{\n\t\"ociVersion\": \"1.0.2\",\n\t\"linux\": {\n\t\t\"namespaces\": []\n\t}\n}\n";
    let (new, _) = rewrite(text, RUNC, place(&["kernel/cap_last_cap"], &[], &[])).unwrap();
    assert!(new.starts_with(&text[..text.len() - 3]), "{new}");
    assert!(
        new.contains(",\n\t\"hooks\": {\n\t\t\"createContainer\": [\n\t\t\t{\n\t\t\t\t\"path\""),
        "{new}"
    );
    assert!(
        new.contains("\n\t\t]\n\t},\n\t\"procemu\": {\n\t\t\"version\": 1,\n"),
        "{new}"
    );
    assert!(new.ends_with("\n\t}\n}\n"), "{new}");
}
