//! Nothing becomes writable that was not; with the default spec not even what we add.

mod support;

use std::process::ExitCode;

use support::{Bed, Bundle, RUNTIMES, Runtime, Suite, TestResult, edit_config, equal, move_hook, same_lines};

/// A key of each sort: missing and read-only, missing and writable, in a folder of the network, replaced both ways.
const TABLE: [(&str, &str); 7] = [
    ("kernel/made_up_key", "{ value = 7 }"),
    ("kernel/made_up_writable", r#"{ value = 7, mode = "0644" }"#),
    ("net/ipv4/made_up", r#"{ value = 7, mode = "0644" }"#),
    ("net/made/up", "{ value = 7 }"),
    ("kernel/keys/made_up", "{ value = 7 }"),
    ("vm/swappiness", r#"{ value = 7, when = "always" }"#),
    (
        "vm/dirty_ratio",
        r#"{ value = 7, mode = "0644", when = "always" }"#,
    ),
];

/// Prints what may be opened for writing and which folders take new entries. Opening writes nothing.
const SCAN: &str = r#"
find /proc/sys \( -type f -o -type d \) | sort | while read -r path; do
  if [ -d "$path" ]; then
    { true > "$path/procemu_new"; } 2> /dev/null && echo "create $path"
    mkdir "$path/procemu_folder" 2> /dev/null && echo "mkdir $path"
  else
    { true >> "$path"; } 2> /dev/null && echo "write $path"
  fi
done
for path in /proc/sys/kernel/made_up_key /proc/sys/kernel/made_up_writable /proc/sys/net/made/up /proc/sys/vm/dirty_ratio; do
  [ -e "$path" ] || continue
  chmod 0777 "$path" 2> /dev/null && echo "chmod $path"
  rm -f "$path" 2> /dev/null && echo "rm $path"
  mv "$path" "$path.moved" 2> /dev/null && echo "mv $path"
done
umount /proc/sys/kernel 2> /dev/null && echo "umount"
mount -o remount,bind,rw /proc/sys/kernel 2> /dev/null && echo "remount"
true"#;

fn main() -> ExitCode {
    let mut suite = Suite::new();
    for runtime in RUNTIMES {
        let name = runtime.name;
        suite.test(format!("bare::default_spec::{name}"), move |bed| {
            Bundle::new(bed, "b", SCAN)?.write()?;
            equal(
                "writable",
                bed.runtime_script(&runtime, "run rt b")?.succeed()?,
                "",
            )
        });
        // The scan finds what there is to find.
        suite.test(format!("bare::unprotected::{name}"), move |bed| {
            Bundle::new(bed, "b", SCAN)?.unprotected().write()?;
            let found = bed.runtime_script(&runtime, "run rt b")?.succeed()?;
            let expected = [
                "write /proc/sys/kernel/pid_max",
                "write /proc/sys/kernel/randomize_va_space",
            ];
            equal(
                "found",
                expected.map(|line| found.lines().any(|other| other == line)),
                [true, true],
            )
        });
        for stage in ["createContainer", "prestart", "createRuntime"] {
            suite.test(format!("cured::default_spec::{stage}::{name}"), move |bed| {
                default_spec(bed, runtime, stage)
            });
            suite.test(format!("cured::masks::{stage}::{name}"), move |bed| {
                masks(bed, runtime, stage)
            });
            suite.test(format!("cured::read_only_proc::{stage}::{name}"), move |bed| {
                read_only_proc(bed, runtime, stage)
            });
        }
        suite.test(format!("bare::masks::{name}"), move |bed| {
            masks_bare(bed, runtime)
        });
        suite.test(format!("cured::odd_read_only_paths::{name}"), move |bed| {
            odd_read_only_paths(bed, runtime)
        });
        suite.test(format!("cured::spare_in_given_proc::{name}"), move |bed| {
            spare_in_given_proc(bed, runtime)
        });
        for destination in ["/proc", "/mnt"] {
            for spelling in ["plain", "type", "link"] {
                // Whose `/proc` is to be behind a link gets no container: a link may lead elsewhere by then.
                if (destination, spelling) == ("/proc", "link") {
                    continue;
                }
                suite.test(
                    format!("cured::binds_outer_proc::{destination}::{spelling}::{name}"),
                    move |bed| binds_outer_proc(bed, runtime, destination, spelling),
                );
            }
        }
        suite.test(format!("cured::attach_in_hook::{name}"), move |bed| {
            attach_in_hook(bed, runtime)
        });
        suite.test(format!("cured::unprotected::{name}"), move |bed| {
            unprotected(bed, runtime)
        });
    }
    suite.run()
}

/// Rewrites the bundle `b`, moves the hook to `stage` and gives what the bare runtime's container prints.
fn run_hooked(bed: &Bed, runtime: Runtime, stage: &str) -> TestResult<String> {
    let config = bed.config(&bed.table("t.toml", &TABLE)?)?;
    let rewrite = r#""$BRIDGE" rewrite --runtime "$RUNTIME" --config "$CONFIG" "$BED/b""#;
    bed.runtime_script(&runtime, rewrite)?
        .env("CONFIG", config)
        .succeed()?;
    if stage != "createContainer" {
        move_hook(&bed.path("b"), stage)?;
    }
    bed.runtime_script(&runtime, "run rt b")?.succeed()
}

fn default_spec(bed: &Bed, runtime: Runtime, stage: &str) -> TestResult {
    let keys = TABLE.map(|(key, _)| format!("cat /proc/sys/{key}\n")).concat();
    Bundle::new(bed, "b", &format!("{keys}echo '== scan'\n{SCAN}"))?.write()?;
    equal(
        "values and writable",
        run_hooked(bed, runtime, stage)?,
        format!("{}== scan", "7\n".repeat(TABLE.len())),
    )
}

/// Masked are a file and a folder beside a missing key, a file in a folder that is passed through, a folder that lacks a key
/// itself, and a file in a folder that lacks nothing.
fn masked(bed: &Bed) -> TestResult<Bundle> {
    let program =
        "cat /proc/sys/kernel/core_pattern; ls -A /proc/sys/kernel/random; cat /proc/sys/kernel/pty/max
        ls -A /proc/sys/kernel/keys; cat /proc/sys/fs/file-max /proc/sys/kernel/osrelease /proc/sys/vm/max_map_count; echo end";
    let bundle = Bundle::new(bed, "b", program)?;
    Ok(bundle
        .mask("/proc/sys/kernel/core_pattern")
        .mask("/proc/sys/kernel/random")
        .mask("/proc/sys/kernel/pty/max")
        .mask("/proc/sys/kernel/keys")
        .mask("/proc/sys/fs/file-max")
        .mask("/proc/sys/kernel/osrelease")
        .mask("/proc/sys/vm/max_map_count"))
}

fn masks_bare(bed: &Bed, runtime: Runtime) -> TestResult {
    masked(bed)?.write()?;
    equal(
        "masked",
        bed.runtime_script(&runtime, "run rt b")?.succeed()?,
        "end",
    )
}

fn masks(bed: &Bed, runtime: Runtime, stage: &str) -> TestResult {
    masked(bed)?.write()?;
    edit_config(&bed.path("b"), |config| {
        let text = config["process"]["args"][2].as_str().unwrap_or_default();
        config["process"]["args"][2] = format!("cat /proc/sys/kernel/made_up_key; {text}").into();
    })?;
    equal("masked", run_hooked(bed, runtime, stage)?, "7\nend")
}

/// Without readonlyPaths: what was writable before, less what a read-only entry replaced, and the entries with mode 0644.
fn unprotected(bed: &Bed, runtime: Runtime) -> TestResult {
    let writes = "echo 5 > /proc/sys/kernel/made_up_writable; cat /proc/sys/kernel/made_up_writable\n";
    Bundle::new(bed, "a", SCAN)?.unprotected().write()?;
    let bare = bed.runtime_script(&runtime, "run rt a")?.succeed()?;
    Bundle::new(bed, "b", &format!("{writes}{SCAN}"))?
        .unprotected()
        .write()?;
    let cured = run_hooked(bed, runtime, "createContainer")?;
    let (read, cured) = cured.split_once('\n').unwrap_or_default();
    equal("read after a write", read, "5")?;
    let ours = [
        "write /proc/sys/kernel/made_up_writable",
        "write /proc/sys/net/ipv4/made_up",
        "write /proc/sys/vm/dirty_ratio",
    ];
    let kept = bare
        .lines()
        .filter(|line| *line != "write /proc/sys/vm/swappiness");
    // A mode is the owner's to change where the mount is writable.
    let cured = cured.lines().filter(|line| !line.starts_with("chmod "));
    same_lines(
        "writable",
        cured,
        kept.filter(|line| !line.starts_with("chmod ")).chain(ours),
    )
}

/// `nsprep attach --rootfs` in a hook of one's own knows nothing of readonlyPaths, which come after it.
fn attach_in_hook(bed: &Bed, runtime: Runtime) -> TestResult {
    let table = bed.table("t.toml", &TABLE)?;
    let mut bundle = Bundle::new(bed, "b", &format!("cat /proc/sys/kernel/made_up_key\n{SCAN}"))?;
    let rootfs = bed.path("b/rootfs");
    let arguments = ["nsprep", "attach", "--rootfs"].map(std::path::Path::new);
    let arguments: Vec<_> = arguments
        .into_iter()
        .chain([rootfs.as_path(), "--table".as_ref(), table.as_path()])
        .collect();
    bundle.config["hooks"]["createContainer"] = serde_json::json!([{"path": "@NSPREP@", "args": arguments}]);
    bundle.write()?;
    let text = r#"sed -i "s|@NSPREP@|$NSPREP|" b/config.json; run rt b"#;
    equal(
        "value and writable",
        bed.runtime_script(&runtime, text)?.succeed()?,
        "7",
    )
}

/// Every way to name a path that the runtimes understand.
fn odd_read_only_paths(bed: &Bed, runtime: Runtime) -> TestResult {
    for path in [
        "/proc/sys/../sys",
        "/proc/self/../sys",
        "proc/sys",
        "//proc/./sys/",
        "/tmp/link/sys",
    ] {
        let folder = bed.path("b");
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        let mut bundle = Bundle::new(bed, "b", SCAN)?;
        std::os::unix::fs::symlink("/proc", folder.join("rootfs/tmp/link"))?;
        bundle.config["linux"]["readonlyPaths"] = serde_json::json!([path]);
        bundle.write()?;
        let found = run_hooked(bed, runtime, "createContainer")?;
        equal(format!("writable with {path}"), found, String::new())?;
    }
    Ok(())
}

/// The whole of `/proc` is mounted read-only. crun does that after its first hooks, and not to what lies below it.
fn read_only_proc(bed: &Bed, runtime: Runtime, stage: &str) -> TestResult {
    let mut bundle = Bundle::new(
        bed,
        "b",
        &format!("cat /proc/sys/kernel/made_up_writable\n{SCAN}"),
    )?
    .unprotected();
    for mount in bundle.config["mounts"].as_array_mut().into_iter().flatten() {
        if mount["destination"] == "/proc" {
            mount["options"] = serde_json::json!(["nosuid", "noexec", "nodev", "ro"]);
        }
    }
    bundle.write()?;
    equal("value and writable", run_hooked(bed, runtime, stage)?, "7")
}

/// A container that is given the /proc around the runtime gets ours with it, and `ro` on that bind does not reach into it.
///
/// Runtimes bind what has the option, whatever its type; and a link on the host leads where it leads.
fn binds_outer_proc(bed: &Bed, runtime: Runtime, destination: &str, spelling: &str) -> TestResult {
    let scan = format!(
        "cd {destination}; cat sys/kernel/made_up_key; for path in sys/kernel/* sys/kernel/procemu/* sys/vm/* tty/ldisc/sys/kernel/*; do
           [ -d $path ] || {{ true >> $path; }} 2> /dev/null && [ -f $path ] && echo write $path; done; true"
    );
    let mut bundle = Bundle::new(bed, "b", &scan)?;
    if destination == "/proc" {
        bundle = bundle.bind_proc("/proc".as_ref()).host_namespace("pid");
    } else {
        bundle = bundle.bind("/proc".as_ref(), destination, &["rbind", "ro"]);
    }
    let mounts = bundle.config["mounts"].as_array_mut().into_iter().flatten();
    for mount in mounts.filter(|mount| mount["source"] == "/proc") {
        match (spelling, destination) {
            ("type", "/proc") => mount["type"] = "proc".into(),
            ("type", _) => mount["type"] = "sysfs".into(),
            ("link", _) => {
                let link = bed.path("link");
                std::os::unix::fs::symlink("/proc", &link)?;
                mount["source"] = serde_json::json!(link);
            }
            _ => {}
        }
    }
    bundle.write()?;
    let table = bed.table("t.toml", &TABLE[..2])?;
    // Inside `nsprep exec` the layer around the program takes writes; the wrapper's own namespace must not.
    // A runtime of a name that says nothing is given every key, not only those that known runtimes read.
    let unknown = r#"ln -sf "$RUNTIME" "$BED/other"; export RUNTIME=$BED/other; run wrapped b"#;
    let inside = r#"export -f run wrapped; "$NSPREP" exec --table "$TABLE" -- bash -c 'run wrapped b'"#;
    for text in [unknown, inside] {
        let script = bed
            .runtime_script(&runtime, text)?
            .env("CONFIG", bed.config(&table)?)
            .env("TABLE", &table);
        equal(
            format!("value and writable by {text}"),
            script.succeed()?,
            "7".to_owned(),
        )?;
    }
    Ok(())
}

/// The spare procfs that a container with a user namespace may need is not shown to one that is given the outer `/proc`: no mask
/// of the container's covers what is in there.
fn spare_in_given_proc(bed: &Bed, runtime: Runtime) -> TestResult {
    let bundle = Bundle::new(
        bed,
        "b",
        "cat /proc/sys/kernel/cap_last_cap; ls -A /proc/tty/ldisc",
    )?;
    let bundle = bundle.bind_proc("/proc".as_ref()).user_namespace();
    bundle.host_namespace("pid").write()?;
    // What all runtimes are given around them, whatever they are called.
    let key = ("kernel/cap_last_cap", r#"{ value = 40, when = "always" }"#);
    let config = bed.config(&bed.table("t.toml", &[key])?)?;
    let script = bed
        .runtime_script(&runtime, "run wrapped b")?
        .env("CONFIG", config);
    equal("value and spare", script.succeed()?.as_str(), "40")
}
