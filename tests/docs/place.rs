//! Where the pages' commands are typed: with our programs and what the pages name on PATH, and a `/proc` that lacks a key.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use crate::support::{Bed, Bundle, Script, TestResult, kubelet_keys, need};

/// `/usr/local/bin`, `/run` and `/etc` of its own, with our programs installed.
const OWN: &str = r#"
    mkdir own; mount -t tmpfs own own; mkdir own/upper own/work
    mount -t overlay -o lowerdir=/etc,upperdir=own/upper,workdir=own/work etc /etc
    mount -t tmpfs -o mode=0755 run /run
    mount -t tmpfs -o mode=0755 local /usr/local/bin
    rm -rf /etc/procemu /etc/containerd /etc/crio
    install -m 755 "$NSPREP" /usr/local/bin/
    install -m 711 "$BRIDGE" /usr/local/bin/
    export PATH=$BED/bin:/usr/local/bin:$PATH:/usr/sbin:/sbin
"#;
/// No `kernel/cap_last_cap`, and none of the keys that a kubelet writes: what is typed here never reaches the machine's.
const LACKING: &str = r#"
    deprived_proc inner kernel/cap_last_cap
    deprive /proc kernel/cap_last_cap vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops \
        kernel/keys/root_maxkeys kernel/keys/root_maxbytes
"#;

/// A script in a place with our programs, and all keys of the machine's.
pub fn installed(bed: &Bed, text: &str) -> TestResult<Script> {
    need::root()?;
    need::command("jq")?;
    need::command("busybox")?;
    need::command("runc")?;
    bed.script(&format!("{OWN}\n{text}"))
}

/// A script in such a place that lacks keys.
pub fn script(bed: &Bed, text: &str) -> TestResult<Script> {
    fs::create_dir_all(bed.path("bin"))?;
    // What it does to /proc/sys; but only to keys of ours.
    let kubelet = format!(
        "for key in kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys vm/overcommit_memory vm/panic_on_oom; do
            [ \"$(stat -f -c %T /proc/sys/$key)\" = tmpfs ] || {{ echo \"$key is the machine's\" >&2; exit 9; }}
        done
        exec sh {}",
        kubelet_keys(bed)?.display()
    );
    for (name, does) in [
        ("CMD", "exec cat /proc/sys/kernel/cap_last_cap"),
        ("kubelet", &kubelet),
        // It does nothing to it, and stays.
        ("containerd", "exec sleep 1000"),
    ] {
        let program = bed.file(&format!("bin/{name}"), format!("#!/bin/sh\n{does}\n"))?;
        fs::set_permissions(program, Permissions::from_mode(0o755))?;
    }
    installed(bed, &format!("{LACKING}\n{text}"))
}

/// The bundle `BUNDLE`, whose container lacks the key too, and runs `script`.
pub fn bundle(bed: &Bed, script: &str) -> TestResult {
    let bundle = Bundle::new(bed, "BUNDLE", script)?;
    bundle.bind_proc(&bed.path("inner")).write()?;
    Ok(())
}
