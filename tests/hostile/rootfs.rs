//! Images whose `/proc` leads elsewhere, and root file systems in odd places.

use std::path::Path;

use serde_json::json;

use super::forms::{FORMS, Outcome, bundle, start, start_in};
use super::support::{Bed, Bundle, CRUN, Propagation, RUNC_1_1, RUNC_1_5, RUNTIMES, Runtime, Suite};
use Outcome::{Lacking, Refused, Right};

/// What an image can be: how it is made, and what then becomes of it.
struct Case {
    name: &'static str,
    prepare: &'static str,
    change: fn(&Bed, &mut Bundle),
    expected: fn(Runtime, &str) -> Outcome,
}

/// Images with no folder at `/proc`, or none at `/sys`. The runtimes themselves refuse all of them.
const LINKS: &[(&str, &str)] = &[
    ("link_to_root", "rmdir b/rootfs/proc; ln -s / b/rootfs/proc"),
    ("link_to_itself", "rmdir b/rootfs/proc; ln -s /proc b/rootfs/proc"),
    (
        "link_below",
        "rmdir b/rootfs/proc; mkdir b/rootfs/elsewhere; ln -s elsewhere b/rootfs/proc",
    ),
    (
        "link_out",
        "rmdir b/rootfs/proc; ln -s ../../outside/proc b/rootfs/proc",
    ),
    (
        "link_to_host",
        "rmdir b/rootfs/proc; ln -s \"$BED/outside\" b/rootfs/proc",
    ),
    (
        "link_to_peer",
        "rmdir b/rootfs/proc; peer; ln -s ../../peer/rootfs/proc b/rootfs/proc",
    ),
    (
        "link_to_process",
        "rmdir b/rootfs/proc; peer; ln -s /proc/$(cat peer.pid)/root/proc b/rootfs/proc",
    ),
    (
        "magic_link",
        "rmdir b/rootfs/proc; ln -s /proc/self/root b/rootfs/proc",
    ),
    ("file", "rmdir b/rootfs/proc; : > b/rootfs/proc"),
    ("sys_link", "rmdir b/rootfs/sys; ln -s / b/rootfs/sys"),
];

/// All others.
const CASES: &[Case] = &[
    // The runtimes look into /proc later than they run hooks.
    Case {
        name: "nothing_mounted",
        prepare: "mkdir -p b/rootfs/proc/sys/kernel",
        change: |_, bundle| without_proc(bundle),
        expected: |runtime, _| {
            if runtime == CRUN {
                Lacking
            } else {
                Refused("/proc/")
            }
        },
    },
    Case {
        name: "tmpfs",
        prepare: "",
        change: |_, bundle| {
            without_proc(bundle);
            mount(
                bundle,
                json!({"destination": "/proc", "type": "tmpfs", "source": "tmpfs"}),
            );
        },
        expected: |runtime, form| match (runtime, form) {
            (CRUN, "bare") => Lacking,
            (CRUN, "prestart" | "createRuntime") => Refused("error executing hook"),
            (RUNC_1_1, "bare") => Refused("open /proc/self/fd"),
            (RUNC_1_5, _) => Refused("it is not of type proc"),
            _ => Refused("rootfs/proc is not procfs; a procfs must be mounted there"),
        },
    },
    Case {
        name: "bound_folder",
        prepare: "",
        change: |bed, bundle| {
            without_proc(bundle);
            bind(bundle, &bed.path("outside"), "/proc");
        },
        expected: |runtime, form| match (runtime, form) {
            (CRUN, "bare") => Lacking,
            (_, "bare") => Refused("it is not of type proc"),
            _ => Refused("outside is not procfs; a procfs must be mounted there"),
        },
    },
    Case {
        name: "noexec",
        prepare: "mount --bind b/rootfs b/rootfs; mount -o remount,bind,noexec b/rootfs",
        change: |_, _| (),
        expected: |runtime, form| match runtime {
            CRUN => usual(runtime, form),
            RUNC_1_1 => Refused("permission denied"),
            _ => Refused("executable file not found"),
        },
    },
    Case {
        name: "ro",
        prepare: "mount --bind b/rootfs b/rootfs; mount -o remount,bind,ro b/rootfs",
        change: |_, _| (),
        expected: usual,
    },
    Case {
        name: "nosuid",
        prepare: "mount --bind b/rootfs b/rootfs; mount -o remount,bind,nosuid,nodev b/rootfs",
        change: |_, _| (),
        expected: usual,
    },
    Case {
        name: "shared",
        prepare: "mount --bind b/rootfs b/rootfs; mount --make-shared b/rootfs",
        change: |_, bundle| bundle.config["linux"]["rootfsPropagation"] = json!("rshared"),
        expected: usual,
    },
    Case {
        name: "proc_sys::folder",
        prepare: "",
        change: |bed, bundle| bind(bundle, &bed.path("outside"), "/proc/sys"),
        expected: over_proc_sys,
    },
    Case {
        name: "proc_sys::tmpfs",
        prepare: "",
        change: |_, bundle| {
            mount(
                bundle,
                json!({"destination": "/proc/sys", "type": "tmpfs", "source": "tmpfs"}),
            );
        },
        // runc 1.1 lets it.
        expected: |runtime, form| match runtime {
            RUNC_1_1 => usual(runtime, form),
            _ => over_proc_sys(runtime, form),
        },
    },
    Case {
        name: "proc_sys::bind",
        prepare: "",
        change: |_, bundle| bind(bundle, Path::new("/proc/sys"), "/proc/sys"),
        expected: over_proc_sys,
    },
    Case {
        name: "proc_sys::fuse",
        prepare: "mkdir fuse; play fuse honest fuse; until_true 'the mount' mountpoint -q fuse",
        change: |bed, bundle| bind(bundle, &bed.path("fuse"), "/proc/sys"),
        expected: over_proc_sys,
    },
    Case {
        name: "proc_sys::fuse_mute",
        prepare: "mkdir fuse; play fuse mute fuse; until_true 'the mount' mountpoint -q fuse",
        change: |bed, bundle| bind(bundle, &bed.path("fuse"), "/proc/sys"),
        expected: |runtime, form| match (runtime, form) {
            (CRUN, "createContainer") => Refused("rootfs/proc/sys/fs): function not implemented"),
            (CRUN, "prestart" | "createRuntime") => Refused("error executing hook"),
            _ => over_proc_sys(runtime, form),
        },
    },
    Case {
        name: "proc_sys::fuse_endless",
        prepare: "mkdir fuse; play fuse endless fuse; until_true 'the mount' mountpoint -q fuse",
        change: |bed, bundle| bind(bundle, &bed.path("fuse"), "/proc/sys"),
        expected: |runtime, form| match (runtime, form) {
            (CRUN, "createContainer") => Refused("rootfs/proc/sys/fs): file too large"),
            (CRUN, "prestart" | "createRuntime") => Refused("error executing hook"),
            _ => over_proc_sys(runtime, form),
        },
    },
];

/// Right with us.
fn usual(_: Runtime, form: &str) -> Outcome {
    if form == "bare" { Lacking } else { Right }
}

/// runc lets nobody mount there.
fn over_proc_sys(runtime: Runtime, form: &str) -> Outcome {
    match runtime {
        CRUN => usual(runtime, form),
        _ => Refused("cannot be mounted because it is inside /proc"),
    }
}

fn without_proc(bundle: &mut Bundle) {
    if let Some(mounts) = bundle.config["mounts"].as_array_mut() {
        mounts.retain(|mount| mount["destination"] != "/proc");
    }
}

fn mount(bundle: &mut Bundle, mount: serde_json::Value) {
    if let Some(mounts) = bundle.config["mounts"].as_array_mut() {
        mounts.push(mount);
    }
}

/// A folder of the host's, at `destination`.
fn bind(bundle: &mut Bundle, source: &Path, destination: &str) {
    mount(
        bundle,
        json!({"destination": destination, "type": "bind", "source": source, "options": ["rbind"]}),
    );
}

/// Adds the tests.
pub fn add(suite: &mut Suite) {
    for runtime in RUNTIMES {
        for (name, prepare) in LINKS {
            suite.test(format!("rootfs::{name}::{}", runtime.name), move |bed| {
                bundle(bed)?.write()?;
                start(bed, runtime, prepare, &FORMS[..3], |_| match runtime {
                    CRUN => Refused("Not a directory"),
                    _ => Refused("must be mounted on ordinary directory"),
                })
            });
        }
        for case in CASES {
            suite.test(format!("rootfs::{}::{}", case.name, runtime.name), move |bed| {
                let mut bundle = bundle(bed)?;
                (case.change)(bed, &mut bundle);
                bundle.write()?;
                let propagation = match case.name {
                    "shared" => Propagation::Shared,
                    _ => Propagation::Slave,
                };
                let expected = |form: &str| (case.expected)(runtime, form);
                start_in(bed, runtime, propagation, case.prepare, &FORMS, expected)
            });
        }
    }
}
