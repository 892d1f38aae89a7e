//! What containers have in common is built once and cloned, for those that cannot make it take writes, and goes with the last.

mod support;

use std::process::ExitCode;

use serde_json::json;
use support::{Bed, Bundle, Runtime, Suite, TestResult, equal};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.for_runtimes("shared", shared);
    suite.for_runtimes("around_the_runtime", around_the_runtime);
    suite.for_runtimes("own_namespaces", own_namespaces);
    suite.for_runtimes("not_for_all", not_for_all);
    suite.for_runtimes("written_to", written_to);
    suite.for_runtimes("tampered", tampered);
    suite.for_runtimes("gone", gone);
    suite.for_runtimes("at_once", at_once);
    suite.run()
}

/// Functions about containers that run: `tmpfs NAME` is the file system that has the key, `templates` how many there are.
const ABOUT: &str = r#"
    STATE=${BED%/}/bridge-state
    started() {
      wrapped create --no-new-keyring --bundle "$BED/$1" --pid-file "$BED/$1.pid" "$ID-$1" < /dev/null > "$BED/$1.out" 2>&1 ||
        { cat "$BED/$1.out" >&2; return 1; }
      wrapped start "$ID-$1"
    }
    # The first container asks for a template, the second one has it built.
    warm() { started y; started z; }
    ended() { for name in "$@"; do wrapped delete --force "$ID-$name"; done; }
    in_container() { nsenter --mount --root --target "$(cat "$BED/$1.pid")" "${@:2}"; }
    tmpfs() { in_container "$1" stat -c %d /proc/sys/kernel/made_up; }
    templates() { ls "$STATE/templates" 2> /dev/null | wc -l; }
    pinned() { grep -c "$STATE/templates/" /proc/self/mountinfo || true; }
    left() { ls -A "$STATE" | grep -v '^runtime-\|^network-keys$\|^tables.json$\|^changes.log' || true; grep "$STATE" /proc/self/mountinfo || true; }
    trap 'for name in a b c d y z; do "$RUNTIME" --root "$BED/state" delete --force "$ID-$name" 2> /dev/null || true; done' EXIT
"#;

/// Bundles of these names and a configuration whose table has a key that no kernel has; then `text`.
fn told(bed: &Bed, runtime: Runtime, names: &[&str], text: &str) -> TestResult<String> {
    for name in names {
        Bundle::new(bed, name, "sleep 1000")?.write()?;
    }
    told_of(bed, runtime, text)
}

fn told_of(bed: &Bed, runtime: Runtime, text: &str) -> TestResult<String> {
    for name in ["y", "z"] {
        Bundle::new(bed, name, "sleep 1000")?.write()?;
    }
    let table = bed.table(
        "table.toml",
        &[
            ("kernel/made_up", "{ value = 7 }"),
            ("vm/made_up", "{ value = 8 }"),
            ("kernel/cap_last_cap", "{ computed = 'cap_last_cap' }"),
        ],
    )?;
    let config = bed.config_with(&format!(
        "profiles = []\ntables = [{:?}]\n[policy]\ntemplates = true\n",
        table.display()
    ))?;
    let script = bed.runtime_script(&runtime, &format!("{ABOUT}{text}"))?;
    script.env("CONFIG", config).succeed()
}

/// Two containers show one file system, nobody writes to it, and with the last container everything goes.
fn shared(bed: &Bed, runtime: Runtime) -> TestResult {
    let text = r#"
        started y
        pinned
        started z; started a; started b
        [ "$(tmpfs y)" != "$(tmpfs z)" ] || echo "built for one container"
        [ "$(tmpfs z)$(tmpfs a)" = "$(tmpfs a)$(tmpfs b)" ] || echo "two file systems"
        templates; pinned
        grep ' /proc/sys/kernel ' "/proc/$(cat "$BED/b.pid")/mountinfo" | cut -d ' ' -f 6 | sort -u
        in_container b cat /proc/sys/kernel/made_up /proc/sys/vm/made_up /proc/sys/kernel/ostype
        for file in kernel/made_up kernel/panic vm/made_up; do
          in_container b sh -c "echo 3 > /proc/sys/$file" 2> /dev/null && echo "took a write: $file"
          in_container b rm "/proc/sys/$file" 2> /dev/null && echo "gone: $file"
        done
        ended a y z
        ls "$STATE/containers" | wc -l
        started c
        [ "$(tmpfs b)" = "$(tmpfs c)" ] || echo "another one while b is there"
        ended b
        in_container c cat /proc/sys/kernel/made_up
        ended c
        left"#;
    let said = told(bed, runtime, &["a", "b", "c"], text)?;
    equal(
        "what was said",
        said.as_str(),
        "0\n1\n1\nro,nosuid,nodev,noexec,relatime\n7\n8\nLinux\n1\n7",
    )
}

/// The same where the runtime itself is given a mount namespace: what keeps the template is found by way of whoever called.
fn around_the_runtime(bed: &Bed, runtime: Runtime) -> TestResult {
    let text = r#"
        deprive /proc kernel/cap_last_cap
        warm; started a; started b
        [ "$(tmpfs a)" = "$(tmpfs b)" ] || echo "two file systems"
        templates
        ended a b y z
        left"#;
    equal(
        "what was said",
        told(bed, runtime, &["a", "b"], text)?.as_str(),
        "1",
    )
}

/// What belongs to a namespace is the container's own, and follows it.
fn own_namespaces(bed: &Bed, runtime: Runtime) -> TestResult {
    for (name, value) in [("a", "5001"), ("b", "5002")] {
        let bundle = Bundle::new(bed, name, "sleep 1000")?.own_namespace("network");
        bundle.sysctl("kernel.shmmni", value).write()?;
    }
    let text = r#"
        warm; started a; started b
        [ "$(tmpfs a)" = "$(tmpfs b)" ] || echo "two file systems"
        for name in a b; do in_container "$name" cat /proc/sys/kernel/shmmni; done
        in_container a cat /proc/sys/kernel/msgmax > one; cat /proc/sys/kernel/msgmax > two; cmp one two
        ended a b y z; left"#;
    equal(
        "what was said",
        told_of(bed, runtime, text)?.as_str(),
        "5001\n5002",
    )
}

/// Who may mount, in a container or a user namespace of its own, has files of its own.
fn not_for_all(bed: &Bed, runtime: Runtime) -> TestResult {
    Bundle::new(bed, "a", "sleep 1000")?.write()?;
    Bundle::new(bed, "b", "sleep 1000")?
        .capability("CAP_SYS_ADMIN")
        .write()?;
    Bundle::new(bed, "c", "sleep 1000")?.user_namespace().write()?;
    let mut bundle = Bundle::new(bed, "d", "sleep 1000")?;
    bundle.config["process"]["capabilities"] = json!(null);
    bundle.write()?;
    let text = r#"
        warm; started a; started b; started c; started d
        [ "$(tmpfs a)" = "$(tmpfs z)" ] || echo "a has no clone"
        for name in b c d; do [ "$(tmpfs a)" != "$(tmpfs "$name")" ] || echo "$name has what a has"; done
        for name in a b c d; do in_container "$name" cat /proc/sys/kernel/made_up; done
        templates
        ended a b c d y z; left"#;
    equal(
        "what was said",
        told_of(bed, runtime, text)?.as_str(),
        "7\n7\n7\n7\n1",
    )
}

/// Who may mount in a container with a clone, by joining its namespaces, makes mounts and file system writable, and writes nothing for all
/// that.
fn written_to(bed: &Bed, runtime: Runtime) -> TestResult {
    let text = r#"
        warm; started a; started b
        [ "$(tmpfs a)" = "$(tmpfs b)" ] || echo "two file systems"
        # All that a container could be given but for the one capability.
        setpriv --bounding-set=-linux_immutable --inh-caps=-linux_immutable \
          nsenter --mount --pid --target "$(cat "$BED/a.pid")" sh -c '
            cd /proc/sys
            mount -t tmpfs -o remount,rw tmpfs kernel && mount -o remount,bind,rw kernel || echo "not writable at all"
            for file in made_up cap_last_cap; do
              (echo 3 > kernel/$file) 2> /dev/null && echo "took a write: $file"
              truncate --size 0 kernel/$file 2> /dev/null && echo "truncated: $file"
              chmod 0666 kernel/$file 2> /dev/null && echo "changed: $file"
              rm kernel/$file 2> /dev/null && echo "gone: $file"
            done
            (: > kernel/new) 2> /dev/null && echo "a new one"
            chmod 0777 kernel 2> /dev/null && echo "changed: kernel"
            true'
        for name in a b; do in_container "$name" cat /proc/sys/kernel/made_up; done
        ended a b y z; left"#;
    equal(
        "what was said",
        told(bed, runtime, &["a", "b"], text)?.as_str(),
        "7\n7",
    )
}

/// Whatever is in the folder instead, containers start, and have what they are to have.
fn tampered(bed: &Bed, runtime: Runtime) -> TestResult {
    let text = r#"
        warm; started a
        pin=$(echo "$STATE"/templates/*)
        # Another namespace, which is found out and taken off.
        umount "$pin"; until unshare --mount="$pin" true 2> /dev/null; do :; done
        started b; in_container b cat /proc/sys/kernel/made_up
        ls "$STATE/templates"
        # No namespace at all.
        echo 9 > "$pin"
        started c; in_container c cat /proc/sys/kernel/made_up
        # Others may write there.
        rm "$pin"; chmod 0777 "$STATE/templates"
        started d; in_container d cat /proc/sys/kernel/made_up
        templates
        chmod 0700 "$STATE/templates"
        ended a b c d y z; left"#;
    let said = told(bed, runtime, &["a", "b", "c", "d"], text)?;
    equal("what was said", said.as_str(), "7\n7\n7\n0")
}

/// A template that was taken off is built again; clones stay what they are.
fn gone(bed: &Bed, runtime: Runtime) -> TestResult {
    let text = r#"
        warm; started a
        [ "$(tmpfs a)" = "$(tmpfs z)" ] || echo "a has no clone"
        umount --lazy "$STATE/templates"
        started b; in_container b cat /proc/sys/kernel/made_up
        [ "$(tmpfs a)" != "$(tmpfs b)" ] || echo "the old one"
        started c
        [ "$(tmpfs b)" = "$(tmpfs c)" ] || echo "not the new one"
        in_container a cat /proc/sys/kernel/made_up
        # A container that is gone without the wrapper counts no longer.
        for name in a b y z; do rt delete --force "$ID-$name"; done
        ended c; left"#;
    let said = told(bed, runtime, &["a", "b", "c"], text)?;
    equal("what was said", said.as_str(), "7\n7")
}

/// Containers that start at the same time, without a template to begin with.
fn at_once(bed: &Bed, runtime: Runtime) -> TestResult {
    let text = r#"
        for name in a b c d y z; do started "$name" & done
        wait
        for name in a b c d; do in_container "$name" cat /proc/sys/kernel/made_up; done
        templates
        ended a b c d y z; left"#;
    let said = told(bed, runtime, &["a", "b", "c", "d"], text)?;
    equal("what was said", said.as_str(), "7\n7\n7\n7\n1")
}
