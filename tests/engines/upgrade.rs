//! The bridge replaced, uninstalled and taken away, and containerd upgraded, under running pods.

#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use support::{
    Bed, Block, CONTAINERD_1_6, CONTAINERD_2_2, CONTAINERDS, Containerd, Suite, TestResult, equal,
    made_up_table, runtime_bridge, section,
};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    let page = suite.page("docs/engines.md");
    let blocks = [
        ("UPGRADE", page.block("upgrade")),
        ("WITHOUT", page.block("without")),
    ];
    for containerd in CONTAINERDS {
        for (name, text, expected) in [
            (
                "replaced",
                REPLACED,
                [("renamed", WORKS), ("copied", WORKS), ("new", WORKS)].as_slice(),
            ),
            ("replaced_meanwhile", REPLACED_MEANWHILE, &[("failed", "")]),
            (
                "uninstalled_default",
                UNINSTALLED_DEFAULT,
                &[("old", WORKS), ("new", "")],
            ),
            (
                "taken_away",
                TAKEN_AWAY,
                &[
                    (
                        "dangling",
                        "logs\nfork/exec /usr/local/bin/procemu-runc: no such file or directory",
                    ),
                    ("instead", ""),
                ],
            ),
            ("rebooted", REBOOTED, &[("new", WORKS)]),
        ] {
            let blocks = blocks.clone();
            suite.test(format!("{name}::containerd_{}", containerd.version), move |bed| {
                upgrade(bed, containerd, &blocks, text, expected)
            });
        }
    }
    for (containerd, said) in [(CONTAINERD_1_6, VALUE), (CONTAINERD_2_2, UNKNOWN)] {
        let blocks = blocks.clone();
        suite.test(
            format!("uninstalled::containerd_{}", containerd.version),
            move |bed| {
                let expected = [
                    ("old", "logs"),
                    ("command", said),
                    ("handler", UNKNOWN),
                    ("new", ""),
                ];
                upgrade(bed, containerd, &blocks, UNINSTALLED, &expected)
            },
        );
    }
    suite.test("containerd_upgraded", move |bed| {
        upgrade(
            bed,
            CONTAINERD_1_6,
            &blocks,
            CONTAINERD_UPGRADED,
            &[
                ("status", "for those that ask for it, --no-new-keyring"),
                ("old", WORKS),
                ("new", WORKS),
                ("uninstalled", "logs"),
            ],
        )
    });
    suite.run()
}

/// Runs a script and compares what it says in its sections; of its pods nothing may be left.
fn upgrade(
    bed: &Bed,
    containerd: Containerd,
    blocks: &[(&str, Block)],
    text: &str,
    expected: &[(&str, &str)],
) -> TestResult {
    let text = format!(
        "{}\n{text}\necho '== left'\nprint_left\n",
        include_str!("upgrade.sh")
    );
    let mut script = bed.linux_node(containerd, &text)?;
    // Another build is another file with other bytes, as far as running containers go.
    let mut other = fs::read(runtime_bridge()?)?;
    other.extend(b"another build");
    for (name, block) in blocks {
        script = script.env(name, bed.file(&block.name, block.commands())?);
    }
    let script = script
        .env("TABLE", made_up_table(bed)?)
        .env("OTHER", bed.file("other", other)?)
        .limit(Duration::from_secs(300));
    let output = script.succeed()?;
    for (name, expected) in expected.iter().copied().chain([("left", "")]) {
        equal(name, section(&output, name)?.join("\n"), expected.trim())?;
    }
    Ok(())
}

/// What a container reads.
const VALUE: &str = "4096\t131072";

/// What containerd says about pods of a handler that it does not know.
const UNKNOWN: &str = "no runtime for \"procemu\" is configured";

/// A command in a running container, its log, and one in the container that takes its place.
const WORKS: &str = "4096\t131072\nlogs\n4096\t131072";

/// As the page says, and in place, which goes well as long as nothing starts meanwhile.
const REPLACED: &str = r#"
    installed_node
    new_pod first; new_pod second
    mkdir -p scripts built; cp "$OTHER" built/runtime-bridge; cp "$NSPREP" built/
    printf '#!/bin/sh\necho built\n' > scripts/static.sh; chmod +x scripts/static.sh
    . "$UPGRADE"
    cmp "$OTHER" "$BRIDGE"
    echo "== renamed"; works first
    cat "$OTHER" > "$BRIDGE"; echo more >> "$BRIDGE"
    echo "== copied"; works second
    echo "== new"; new_pod third; works third
"#;

/// By rename, again and again, while containers start.
const REPLACED_MEANWHILE: &str = r#"
    installed_node
    cp "$BIN/runtime-bridge" "$BIN/one"; install -m 755 "$OTHER" "$BIN/two"
    : > "$NODE/on"
    while [ -e "$NODE/on" ]; do
      for build in one two; do ln "$BIN/$build" "$BIN/.new" && mv "$BIN/.new" "$BIN/runtime-bridge"; done
    done &
    replacing=$!
    echo "== failed"
    for round in 1 2 3 4; do
      starting=()
      for pod in a b c d e f; do new_pod "$pod-$round" 2>&1 & starting+=($!); done
      wait "${starting[@]}" || true
      for pod in a b c d e f; do end_pod "$pod-$round"; done
    done
    rm "$NODE/on"; wait "$replacing"
"#;

/// Its pods run on and end. Those that ask for its handler, as new containers of these do, are refused.
const UNINSTALLED: &str = r#"
    installed_node
    new_pod old
    uninstall
    echo "== old"; logs old main
    echo "== command"; says old main 2>&1 | grep -o -e '4096.*' -e 'no runtime for .*'
    stop_container old main
    echo "== handler"
    new_container old again 2>&1 | grep -o 'no runtime for .*'
    end_pod old
    echo "== new"; new_pod new runc; says new main 2>&1; end_pod new
"#;

/// Those that asked for none keep it, also for containers that are made later.
const UNINSTALLED_DEFAULT: &str = r#"
    installed_node --as-default
    new_pod old ""
    uninstall
    echo "== old"; says old main; logs old main
    stop_container old main; new_container old again; says old again
    end_pod old
    echo "== new"; new_pod new ""; says new main; end_pod new
"#;

/// The runtime's own program in the link's place is as good for what is left.
const TAKEN_AWAY: &str = r#"
    installed_node
    new_pod old
    uninstall
    rm "$BRIDGE"
    echo "== dangling"; logs old main; end_pod old 2>&1 | grep -o 'fork/exec [^:]*: [a-z ]*' | head -n 1
    . "$WITHOUT"
    echo "== instead"; stop_container old main; end_pod old
"#;

const REBOOTED: &str = r#"
    installed_node
    new_pod old
    reboot
    end_pod old
    echo "== new"; new_pod new; works new
"#;

/// The configuration stays as the older one had it.
const CONTAINERD_UPGRADED: &str = r#"
    installed_node
    new_pod old; new_pod older
    PATH=${PATH#*:}
    restart_containerd
    echo "== status"; "$BRIDGE" status | grep -o 'for those .*'
    echo "== old"; works old
    echo "== new"; new_pod new; works new
    uninstall
    echo "== uninstalled"; logs older main; stop_container older main; end_pod older
"#;
