//! What the hook may do, and does: its capabilities, its descriptors, its system calls, and what it opens in a container.

#[path = "../support/mod.rs"]
mod support;

mod calls;
mod forms;

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::process::{Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use calls::{another_rootfs, left_inside, list_is_right, nothing_by_path, with_filter};
use forms::{FORMS, Form, expect_failure};
use support::{Bed, RUNC_1_1, RUNC_1_5, RUNTIMES, Suite, TestResult, equal, fail, need, runtime_bridge};

/// What the hook keeps, as setpriv(1) spells it, and the forms that fail without it; none where only templates need it.
const KEPT: [(&str, &[&str]); 6] = [
    (
        "sys_admin",
        &["create_container", "prestart", "user_namespace", "sysctl", "pod"],
    ),
    ("sys_ptrace", &["prestart", "user_namespace_prestart", "pod"]),
    ("sys_chroot", &["prestart", "pod"]),
    ("dac_read_search", &["closed"]),
    ("net_admin", &["user_namespace_sysctl"]),
    ("linux_immutable", &[]),
];

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.test("capabilities::before_anything_is_read", before_anything_is_read);
    for form in FORMS {
        suite.test(format!("capabilities::exactly::{}", form.name), move |bed| {
            let all: Vec<_> = KEPT.iter().map(|(name, _)| format!("+{name}")).collect();
            let call = format!("setpriv --bounding-set=-all,{}", all.join(","));
            form.run(bed, RUNC_1_1, "", &call)
        });
    }
    for form in FORMS {
        suite.test(format!("capabilities::inside::{}", form.name), move |bed| {
            left_inside(bed, RUNC_1_1, form)
        });
    }
    // crun drops what a hook says.
    for runtime in [RUNC_1_1, RUNC_1_5] {
        suite.test(format!("paths::another_rootfs::{}", runtime.name), move |bed| {
            another_rootfs(bed, runtime)
        });
    }
    for (name, forms) in KEPT {
        for form in forms {
            suite.test(format!("capabilities::without::{name}::{form}"), move |bed| {
                let call = format!("setpriv --bounding-set=-{name}");
                expect_failure(Form::named(form).run(bed, RUNC_1_1, "", &call), name)
            });
        }
    }
    for runtime in RUNTIMES {
        suite.test(format!("calls::list::{}", runtime.name), move |bed| {
            list_is_right(bed, runtime)
        });
        for form in FORMS {
            suite.test(
                format!("calls::filter::{}::{}", form.name, runtime.name),
                move |bed| with_filter(bed, runtime, form),
            );
        }
        for form in ["prestart", "user_namespace_prestart"] {
            suite.test(format!("paths::{form}::{}", runtime.name), move |bed| {
                nothing_by_path(bed, runtime, Form::named(form))
            });
        }
    }
    suite.run()
}

/// While it waits for the state the hook has given up all that no container's preparing needs, and has none of its caller's files.
fn before_anything_is_read(bed: &Bed) -> TestResult {
    need::root()?;
    let inherited = File::open(bed.file("inherited", "")?)?;
    rustix::io::fcntl_setfd(&inherited, rustix::io::FdFlags::empty())?;
    let mut hook = Command::new(runtime_bridge()?)
        .arg("hook")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let outcome = (|| {
        let proc = format!("/proc/{}", hook.id());
        let start = Instant::now();
        let status = loop {
            let status = fs::read_to_string(format!("{proc}/status"))?;
            // The last of the three.
            if value(&status, "CapPrm") != value(&fs::read_to_string("/proc/self/status")?, "CapPrm") {
                break status;
            }
            if start.elapsed() > Duration::from_secs(60) {
                return fail(format!("it keeps everything:\n{status}"));
            }
            sleep(Duration::from_millis(5));
        };
        let kept = KEPT
            .iter()
            .map(|(name, _)| number(name))
            .fold(0, |all, number| all | 1 << number);
        let kept = format!("{kept:016x}");
        for (name, expected) in [
            ("CapInh", "0000000000000000"),
            ("CapPrm", &*kept),
            ("CapEff", &*kept),
            ("CapAmb", "0000000000000000"),
            ("NoNewPrivs", "1"),
        ] {
            equal(name, value(&status, name), Some(expected.to_owned()))?;
        }
        let mut open: Vec<_> = fs::read_dir(format!("{proc}/fd"))?
            .flatten()
            .map(|entry| entry.file_name().into_string().unwrap_or_default())
            .collect();
        open.sort();
        equal(
            format!("descriptors, with {} inherited", inherited.as_raw_fd()),
            open,
            ["0", "1", "2"].map(str::to_owned).to_vec(),
        )
    })();
    // It ends with its input.
    if let Some(mut input) = hook.stdin.take() {
        let _ = input.write_all(b"{}");
    }
    hook.wait()?;
    outcome
}

fn value(status: &str, name: &str) -> Option<String> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{name}:")));
    line.map(|value| value.trim().to_owned())
}

/// As in linux/capability.h.
fn number(name: &str) -> u32 {
    match name {
        "dac_read_search" => 2,
        "linux_immutable" => 9,
        "net_admin" => 12,
        "sys_chroot" => 18,
        "sys_ptrace" => 19,
        "sys_admin" => 21,
        _ => unreachable!("the hook keeps no other"),
    }
}
