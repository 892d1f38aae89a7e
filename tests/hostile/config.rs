//! A config.json that is too much for its readers: huge, deep, without end, or with one name twice.

use super::forms::{Outcome, bundle, start};
use super::support::{Bed, CRUN, RUNTIMES, Runtime, Suite, TestResult, refused};
use Outcome::{Lacking, Refused, Right};

/// What is made of the file, what the runtimes make of that, and what we do.
struct Case {
    name: &'static str,
    spoil: &'static str,
    /// Without us. What has no end the runtimes read without end: those are not tried.
    bare: fn(Runtime) -> Option<Outcome>,
    /// Why we refuse it; nothing where we have no reason to. Then it is up to the runtime.
    said: &'static str,
}

/// `top FILE` puts the members in it before all others. `deep N` prints N brackets in brackets.
const TOOLS: &str = r#"
top() { perl -0pi -e 'BEGIN { local $/; open my $file, "<", shift; $text = <$file>; } s/\{/{$text,/' "$1" b/config.json; }
deep() { perl -e 'print "[" x $ARGV[0], "]" x $ARGV[0]' "$1"; }
"#;

const CASES: &[Case] = &[
    Case {
        name: "deep",
        spoil: r#"{ printf '"unknown":'; deep 9000; } > m; top m"#,
        bare: |_| Some(Lacking),
        said: "",
    },
    // crun, killed by SIGSEGV, has nothing to say.
    Case {
        name: "very_deep",
        spoil: r#"{ printf '"unknown":'; deep 1000000; } > m; top m"#,
        bare: |runtime| {
            Some(if runtime == CRUN {
                Refused("")
            } else {
                Refused("exceeded max depth")
            })
        },
        said: "",
    },
    Case {
        name: "deep_known",
        spoil: r#"perl -0pi -e 's/"mounts": \[/"mounts": [@{["[" x 9000 . "]" x 9000]},/' b/config.json"#,
        bare: |_| Some(Refused("")),
        said: "invalid type: sequence",
    },
    Case {
        name: "deep_capabilities",
        spoil: r#"perl -0pi -e 's/"capabilities": \{/"capabilities": {"x":@{["[" x 9000 . "]" x 9000]},/' b/config.json"#,
        bare: |_| Some(Lacking),
        said: "recursion limit exceeded",
    },
    Case {
        name: "large",
        spoil: r#"perl -e 'print q("unknown":"), "x" x (15 << 20), q(")' > m; top m"#,
        bare: |_| Some(Lacking),
        said: "",
    },
    Case {
        name: "huge",
        spoil: r#"perl -e 'print q("unknown":"), "x" x (17 << 20), q(")' > m; top m"#,
        bare: |_| Some(Lacking),
        said: "has more than 16 MiB",
    },
    Case {
        name: "many",
        spoil: r#"perl -e 'print join(",", map { qq("u$_":{}) } 1 .. 20000)' > m; top m"#,
        bare: |_| Some(Lacking),
        said: "",
    },
    Case {
        name: "twice::unknown",
        spoil: r#"echo '"unknown":1,"unknown":2' > m; top m"#,
        bare: |_| Some(Lacking),
        said: "duplicate member \"unknown\"",
    },
    Case {
        name: "twice::root",
        spoil: r#"cp -a b/rootfs b/other; echo '"root":{"path":"other"}' > m; top m"#,
        bare: |_| Some(Lacking),
        said: "duplicate field `root`",
    },
    Case {
        name: "twice::root_path",
        spoil: r#"cp -a b/rootfs b/other; perl -0pi -e 's/"root": \{/"root": {"path":"other",/' b/config.json"#,
        bare: |_| Some(Lacking),
        said: "duplicate field `path`",
    },
    Case {
        name: "twice::escaped",
        spoil: r#"cp -a b/rootfs b/other; printf '%s' '"ro\u006ft":{"path":"other"}' > m; top m"#,
        bare: |_| Some(Lacking),
        said: "duplicate field `root`",
    },
    Case {
        name: "twice::hooks",
        spoil: r#"echo '"hooks":{},"hooks":{}' > m; top m"#,
        bare: |_| Some(Lacking),
        said: "duplicate ",
    },
    Case {
        name: "twice::mounts",
        spoil: r#"echo '"mounts":[]' > m; top m"#,
        bare: |_| Some(Lacking),
        said: "duplicate field `mounts`",
    },
    Case {
        name: "twice::readonly_paths",
        spoil: r#"perl -0pi -e 's/"linux": \{/"linux": {"readonlyPaths":[],/' b/config.json"#,
        bare: |_| Some(Lacking),
        said: "duplicate field `readonlyPaths`",
    },
    Case {
        name: "link_to_itself",
        spoil: r#"rm b/config.json; ln -s config.json b/config.json"#,
        bare: |_| None,
        said: "too many levels of symbolic links",
    },
    Case {
        name: "endless",
        spoil: r#"rm b/config.json; ln -s /dev/zero b/config.json"#,
        bare: |_| None,
        said: "too many levels of symbolic links",
    },
    Case {
        name: "fifo",
        spoil: r#"rm b/config.json; mkfifo b/config.json"#,
        bare: |_| None,
        said: "is not a regular file",
    },
    Case {
        name: "device",
        spoil: r#"rm b/config.json; mknod b/config.json c 1 5"#,
        bare: |_| None,
        said: "is not a regular file",
    },
];

/// Adds the tests.
pub fn add(suite: &mut Suite) {
    for case in CASES {
        for runtime in RUNTIMES {
            suite.test(format!("config::{}::{}", case.name, runtime.name), move |bed| {
                started(bed, runtime, case)
            });
        }
        if !case.said.is_empty() {
            suite.test(format!("config::{}::hook", case.name), move |bed| hook(bed, case));
        }
    }
}

fn started(bed: &Bed, runtime: Runtime, case: &Case) -> TestResult {
    bundle(bed)?.write()?;
    let prepare = format!("{TOOLS}{}", case.spoil);
    let bare = (case.bare)(runtime);
    // Who refuses to rewrite it makes no hook of either kind.
    let forms: &[&str] = match (&bare, case.said) {
        (None, _) => &["createContainer"],
        (_, "") => &["bare", "createContainer", "prestart"],
        _ => &["bare", "createContainer"],
    };
    start(bed, runtime, &prepare, forms, |form| {
        match (form, bare, case.said) {
            ("bare", Some(bare), _) => bare,
            (_, Some(Refused(why)), "") => Refused(why),
            (_, _, "") => Right,
            (_, _, said) => Refused(said),
        }
    })
}

/// The hook reads the file once more.
fn hook(bed: &Bed, case: &Case) -> TestResult {
    bundle(bed)?.write()?;
    let state =
        serde_json::json!({"ociVersion": "1.0.2", "id": "x", "status": "creating", "bundle": bed.path("b")});
    bed.file("state.json", state.to_string())?;
    bed.script(&format!("{TOOLS}{}", case.spoil))?.succeed()?;
    refused(
        bed,
        r#"exec timeout 20 "$BRIDGE" hook --config "$CONFIG" < state.json"#,
        1,
        &[case.said],
    )
}
