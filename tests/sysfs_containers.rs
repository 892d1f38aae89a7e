//! Keys below /sys in containers, which have a sysfs of their own that is mostly read-only.

mod support;

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;
use support::{
    Bed, Bundle, CRUN, RUNC_1_5, RUNTIMES, Runtime, Suite, TestResult, edit_config, equal, move_hook,
};

/// Missing and replaced, with and without writes.
const KEYS: [(&str, &str); 4] = [
    (
        "/sys/module/made_up/parameters/size",
        r#"{ value = 65536, mode = "0644" }"#,
    ),
    ("/sys/kernel/made_up", "{ value = 4 }"),
    (
        "/sys/kernel/mm/transparent_hugepage/enabled",
        r#"{ value = "never", mode = "0644", when = "always" }"#,
    ),
    ("/sys/power/state", r#"{ value = "off", when = "always" }"#),
];

const PRINT: &str = "cat /sys/module/made_up/parameters/size /sys/kernel/made_up \
    /sys/kernel/mm/transparent_hugepage/enabled /sys/power/state\n";

const VALUES: &str = "65536\n4\nnever\noff";

/// Prints what may be opened for writing, and which folders take new entries. Opening writes nothing.
const SCAN: &str =
    "find /sys/module /sys/kernel /sys/power -type f -o -type d | sort | while read -r path; do
  if [ -d $path ]; then
    { mkdir $path/made_new || true > $path/made_new; } 2> /dev/null && echo create $path
  else
    { true >> $path; } 2> /dev/null && echo write $path
  fi
done
for path in /sys/module/made_up/parameters/size /sys/kernel/made_up; do
  [ -e $path ] || continue
  for try in 'chmod 0666' 'rm -f' 'touch'; do $try $path 2> /dev/null && echo $try $path; done
done; true\n";

fn main() -> ExitCode {
    let mut suite = Suite::new();
    for runtime in RUNTIMES {
        let name = runtime.name;
        suite.test(format!("bare::{name}"), move |bed| {
            Bundle::new(bed, "b", PRINT)?.write()?;
            let output = bed.runtime_script(&runtime, "run rt b")?.run()?;
            equal("can read", output.status.success(), false)
        });
        suite.test(format!("cured::default_spec::{name}"), move |bed| {
            default_spec(bed, runtime)
        });
        suite.test(format!("cured::prestart::{name}"), move |bed| {
            prestart(bed, runtime)
        });
        suite.test(format!("cured::writable::{name}"), move |bed| {
            writable(bed, runtime)
        });
        suite.test(format!("cured::masks::{name}"), move |bed| masks(bed, runtime));
        suite.test(format!("cured::user_namespace::{name}"), move |bed| {
            user_namespace(bed, runtime)
        });
        suite.test(format!("cured::no_sysfs::{name}"), move |bed| {
            no_sysfs(bed, runtime)
        });
        suite.test(format!("cured::bound::{name}"), move |bed| bound(bed, runtime));
        suite.test(format!("around::user_namespace::{name}"), move |bed| {
            user_namespace_in_a_prepared_place(bed, runtime)
        });
        suite.test(format!("around::shared_again::{name}"), move |bed| {
            shared_again(bed, runtime)
        });
        suite.test(format!("cured::link_of_a_volume::{name}"), move |bed| {
            link_of_a_volume(bed, runtime)
        });
        suite.test(format!("around::bound::{name}"), move |bed| {
            bound_from_a_prepared_place(bed, runtime)
        });
    }
    for runtime in [RUNC_1_5, CRUN] {
        suite.test(format!("refused::no_sysfs_there::{}", runtime.name), move |bed| {
            no_sysfs_there(bed, runtime)
        });
    }
    suite.run()
}

fn table(bed: &Bed) -> TestResult<PathBuf> {
    Ok(bed.table("sysfs.toml", &KEYS)?)
}

/// Runs the bundle `b` by the wrapper; gives what its container prints.
fn wrapped(bed: &Bed, runtime: Runtime) -> TestResult<String> {
    let config = bed.config(&table(bed)?)?;
    let text = "cp /proc/self/mountinfo before; run wrapped b; diff before /proc/self/mountinfo";
    bed.runtime_script(&runtime, text)?
        .env("CONFIG", config)
        .succeed()
}

/// sysfs is read-only there, and so is all of ours.
fn default_spec(bed: &Bed, runtime: Runtime) -> TestResult {
    Bundle::new(bed, "b", &format!("{PRINT}{SCAN}"))?.write()?;
    equal("values, and nothing writable", wrapped(bed, runtime)?, VALUES)
}

fn prestart(bed: &Bed, runtime: Runtime) -> TestResult {
    Bundle::new(bed, "b", &format!("{PRINT}{SCAN}"))?.write()?;
    let config = bed.config(&table(bed)?)?;
    let rewrite = r#""$BRIDGE" rewrite --runtime "$RUNTIME" --config "$CONFIG" "$BED/b""#;
    bed.runtime_script(&runtime, rewrite)?
        .env("CONFIG", config)
        .succeed()?;
    move_hook(&bed.path("b"), "prestart")?;
    let output = bed.runtime_script(&runtime, "run rt b")?.succeed()?;
    equal("values, and nothing writable", output, VALUES)
}

/// Where sysfs takes writes, keys with mode 0644 do, and of what was there exactly what did before.
fn writable(bed: &Bed, runtime: Runtime) -> TestResult {
    let scan = SCAN.replace(" -type f ", " -type f ! -path '*/slab/*' ");
    let bundle = |name: &str, script: &str| -> TestResult {
        Bundle::new(bed, name, script)?.unprotected().write()?;
        edit_config(&bed.path(name), |config| {
            for mount in config["mounts"].as_array_mut().into_iter().flatten() {
                if mount["destination"] == "/sys" {
                    mount["options"] = json!(["nosuid", "noexec", "nodev"]);
                }
            }
        })
    };
    bundle("bare", &scan)?;
    let before = bed.runtime_script(&runtime, "run rt bare")?.succeed()?;
    bundle("b", &scan)?;
    let after = wrapped(bed, runtime)?;
    let new: Vec<_> = after
        .lines()
        .filter(|line| !before.lines().any(|old| old == *line))
        .collect();
    let gone: Vec<_> = before
        .lines()
        .filter(|line| !after.lines().any(|new| new == *line))
        .collect();
    equal("found before", before.lines().count() > 10, true)?;
    let size = "/sys/module/made_up/parameters/size";
    let new_ones = ["write", "chmod 0666", "touch"].map(|word| format!("{word} {size}"));
    equal(
        "new",
        new,
        new_ones.iter().map(String::as_str).collect::<Vec<_>>(),
    )?;
    equal("gone", gone, vec!["write /sys/power/state"])
}

/// What is masked stays so, in and beside what we overmount, and no key is put there.
fn masks(bed: &Bed, runtime: Runtime) -> TestResult {
    let script = "cat /sys/kernel/made_up; cat /sys/kernel/mm/transparent_hugepage/enabled; ls /sys/module/made_up || true
        ls /sys/module/printk | wc -l; ls /sys/firmware | wc -l";
    Bundle::new(bed, "b", script)?
        .mask("/sys/kernel/mm/transparent_hugepage/enabled")
        .mask("/sys/module/printk")
        .write()?;
    equal("values", wrapped(bed, runtime)?, "4\nparameters\n0\n0")
}

/// It gets a sysfs of its own, since nothing covers the one outside, and its root may write no more than others.
fn user_namespace(bed: &Bed, runtime: Runtime) -> TestResult {
    Bundle::new(bed, "b", &format!("{PRINT}{SCAN}"))?
        .user_namespace()
        .write()?;
    equal("values, and nothing writable", wrapped(bed, runtime)?, VALUES)
}

/// A container without /sys has no place for keys there.
fn no_sysfs(bed: &Bed, runtime: Runtime) -> TestResult {
    Bundle::new(bed, "b", "ls /sys | wc -l")?.write()?;
    edit_config(&bed.path("b"), |config| {
        if let Some(mounts) = config["mounts"].as_array_mut() {
            mounts.retain(|mount| {
                !mount["destination"]
                    .as_str()
                    .unwrap_or_default()
                    .starts_with("/sys")
            });
        }
    })?;
    equal("entries", wrapped(bed, runtime)?, "0")
}

/// The host's /sys in place of a new one.
fn bind_sys(bed: &Bed, name: &str, script: &str) -> TestResult {
    Bundle::new(bed, name, script)?.write()?;
    edit_config(&bed.path(name), |config| {
        if let Some(mounts) = config["mounts"].as_array_mut() {
            mounts.retain(|mount| mount["destination"] != "/sys/fs/cgroup");
            for mount in mounts.iter_mut().filter(|mount| mount["destination"] == "/sys") {
                *mount = json!({"destination": "/sys", "type": "none", "source": "/sys",
                    "options": ["rbind", "nosuid", "noexec", "nodev", "ro"]});
            }
        }
    })
}

fn bound(bed: &Bed, runtime: Runtime) -> TestResult {
    bind_sys(bed, "b", &format!("{PRINT}{SCAN}"))?;
    equal("values, and nothing writable", wrapped(bed, runtime)?, VALUES)
}

/// Around the runtime sysfs is covered; a spare one lets the kernel give out new ones. The container's own has no keys of
/// ours.
fn user_namespace_in_a_prepared_place(bed: &Bed, runtime: Runtime) -> TestResult {
    Bundle::new(bed, "b", "ls /sys/module | grep made_up; echo started")?
        .user_namespace()
        .write()?;
    let text = r#"export -f rt run; "$NSPREP" exec --table "$TABLE" -- bash -c 'test -e /sys/module/made_up; run rt b'"#;
    let script = bed.runtime_script(&runtime, text)?.env("TABLE", table(bed)?);
    equal("container", script.succeed()?, "started")
}

/// An engine shares all mounts of the prepared place. What the wrapper takes off in a namespace of its own stays there.
fn shared_again(bed: &Bed, runtime: Runtime) -> TestResult {
    bind_sys(bed, "b", "cat /sys/kernel/made_up")?;
    let text = r#"export -f wrapped run; "$NSPREP" exec --table "$TABLE" -- bash -c 'mount --make-rshared /
            cat /proc/self/mountinfo > inner; run wrapped b; diff inner /proc/self/mountinfo'"#;
    let script = bed
        .runtime_script(&runtime, text)?
        .env("TABLE", table(bed)?)
        .env("CONFIG", bed.config(&table(bed)?)?);
    equal("container", script.succeed()?, "4")
}

/// A volume that is mounted below /sys has a link to a file of the host where a key is looked for: nobody follows it.
fn link_of_a_volume(bed: &Bed, runtime: Runtime) -> TestResult {
    let key = r#"{ value = 7, when = "zero" }"#;
    let table = bed.table("zero.toml", &[("/sys/kernel/mm/hugepages/made", key)])?;
    std::fs::create_dir(bed.path("volume"))?;
    std::os::unix::fs::symlink(bed.file("secret", "0\n")?, bed.path("volume/made"))?;
    Bundle::new(bed, "b", "readlink /sys/kernel/mm/hugepages/made | wc -l")?.write()?;
    edit_config(&bed.path("b"), |config| {
        if let Some(mounts) = config["mounts"].as_array_mut() {
            mounts.push(
                json!({"destination": "/sys/kernel/mm/hugepages", "type": "bind", "source": bed.path("volume"),
                    "options": ["bind"]}),
            );
        }
    })?;
    let script = bed.runtime_script(&runtime, "run wrapped b")?;
    let output = script.env("CONFIG", bed.config(&table)?).succeed()?;
    equal("links", output, "1")
}

/// A container that is given the prepared /sys reads what is there, and by the wrapper writes nothing of it.
fn bound_from_a_prepared_place(bed: &Bed, runtime: Runtime) -> TestResult {
    bind_sys(
        bed,
        "b",
        &format!("{PRINT}{SCAN}ls /sys/kernel/software_nodes | grep -c class\n"),
    )?;
    let other = bed.table("other.toml", &[("/sys/kernel/made_up_too", "{ value = 1 }")])?;
    let text = r#"export -f wrapped run; "$NSPREP" exec --table "$TABLE" -- bash -c 'run wrapped b'"#;
    let script = bed
        .runtime_script(&runtime, text)?
        .env("TABLE", table(bed)?)
        .env("CONFIG", bed.config(&other)?);
    equal(
        "values, and nothing writable",
        script.run()?.stdout,
        format!("{VALUES}\n0\n"),
    )
}

/// Something else where the configuration says sysfs.
fn no_sysfs_there(bed: &Bed, runtime: Runtime) -> TestResult {
    Bundle::new(bed, "b", "true")?.write()?;
    std::fs::create_dir_all(bed.path("other/kernel"))?;
    edit_config(&bed.path("b"), |config| {
        if let Some(mounts) = config["mounts"].as_array_mut() {
            mounts.retain(|mount| mount["destination"] != "/sys/fs/cgroup");
            for mount in mounts.iter_mut().filter(|mount| mount["destination"] == "/sys") {
                *mount = json!({"destination": "/sys", "type": "bind", "source": bed.path("other"), "options": ["bind"]});
            }
        }
    })?;
    let text = r#"cp "$BED/b/config.json" before; status=0; run wrapped b || status=$?
        diff before "$BED/b/config.json"; exit $status"#;
    let config = bed.config(&table(bed)?)?;
    let script = bed.runtime_script(&runtime, text)?.env("CONFIG", config);
    script.run()?.fails_with("not sysfs")
}
