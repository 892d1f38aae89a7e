//! The system calls that the hook makes, against the list in docs/security.md.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::forms::{FORMS, Form, answers};
use super::support::{Bed, Runtime, TestResult, edit_config, equal, fail, need};

/// Where the list is.
const PAGE: &str = include_str!("../../docs/security.md");
const BEGIN: &str = "<!-- system calls of the hook -->";
const END: &str = "<!-- end -->";

/// One call of a trace.
struct Call {
    pid: u32,
    name: String,
    arguments: String,
}

/// The calls that the hook and its children make in `form`, from the first that is its own on: what loads the program is another's.
/// `inject` is what strace(1) is to do to them.
fn trace(bed: &Bed, runtime: Runtime, form: Form, inject: &str) -> TestResult<Vec<Call>> {
    let strace = need::command("strace")?;
    let file = bed.path("out/trace");
    let call = format!(
        "{} -f -qq -s 4096 -o {} {inject}",
        strace.display(),
        file.display()
    );
    form.run(bed, runtime, "", &call)?;
    let text = fs::read_to_string(file)?;
    let mut own: BTreeMap<u32, bool> = BTreeMap::new();
    let mut calls = Vec::new();
    for line in text.lines() {
        let Some((pid, rest)) = line.split_once(char::is_whitespace) else {
            continue;
        };
        let Some((name, arguments)) = rest.trim_start().split_once('(') else {
            continue;
        };
        let (Ok(pid), true) = (
            pid.parse(),
            name.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'),
        ) else {
            continue;
        };
        // The first process begins as another program; those that it makes, as the hook.
        let is_first = own.is_empty();
        let is_own = own.entry(pid).or_insert(!is_first);
        if name == "prctl" && arguments.starts_with("PR_SET_NO_NEW_PRIVS") {
            *is_own = true;
        }
        if *is_own {
            calls.push(Call {
                pid,
                name: named(name).to_owned(),
                arguments: arguments.to_owned(),
            });
        }
        if name == "execve" || name == "execveat" {
            *is_own = false;
        }
    }
    match calls.is_empty() {
        true => fail(format!("the hook makes no call of its own:\n{text}")),
        false => Ok(calls),
    }
}

/// Its name where strace is older than the call, and writes its number (of x86_64, and of all others but alpha and mips).
fn named(name: &str) -> &str {
    match name {
        "syscall_0x1c9" => "statmount",
        "syscall_0x1ca" => "listmount",
        name => name,
    }
}

/// Every call of every form is in the list; and each of the list is made in one, or said to be for another case.
pub fn list_is_right(bed: &Bed, runtime: Runtime) -> TestResult {
    let (mut made, mut listed) = (BTreeSet::new(), BTreeSet::new());
    for form in FORMS {
        for (name, inject) in [("new", ""), ("classic", "-e inject=fsopen:error=ENOSYS")] {
            let within = Bed::within(&bed.path(""))?;
            let calls = trace(&within, runtime, form, inject)?;
            if std::env::var_os("PROCEMU_SHOW_CALLS").is_some() {
                let names: BTreeSet<_> = calls.iter().map(|call| call.name.as_str()).collect();
                println!("{} {name}: {names:?}", form.name);
            }
            made.extend(calls.into_iter().map(|call| call.name));
        }
    }
    let list = PAGE.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END));
    let (list, _) = list.ok_or(super::support::Stop::Fail(
        "docs/security.md has no list".to_owned(),
    ))?;
    let mut elsewhere = BTreeSet::new();
    for line in list.lines().filter(|line| line.starts_with("| `")) {
        let calls = line.split('|').nth(1).unwrap_or_default();
        let names = calls.split('`').skip(1).step_by(2).map(str::to_owned);
        match line.contains("(elsewhere)") {
            true => elsewhere.extend(names),
            false => listed.extend(names),
        }
    }
    let unlisted: Vec<_> = made
        .iter()
        .filter(|name| !listed.contains(*name) && !elsewhere.contains(*name))
        .collect();
    equal("made and not listed", unlisted, Vec::<&String>::new())?;
    let unmade: Vec<_> = listed.difference(&made).collect();
    equal("listed and not made", unmade, Vec::<&String>::new())
}

/// With the filter nothing is different, and there is one.
pub fn with_filter(bed: &Bed, runtime: Runtime, form: Form) -> TestResult {
    let strace = need::command("strace")?;
    let file = bed.path("out/trace");
    let call = format!(
        "{} -f -qq -e trace=seccomp,prctl -o {}",
        strace.display(),
        file.display()
    );
    form.run(bed, runtime, "seccomp_hook = true", &call)?;
    let text = fs::read_to_string(file)?;
    let filters = text.lines().filter(|line| line.contains("_MODE_FILTER")).count();
    equal("filters", filters, 1)?;
    if form.probes {
        let within = Bed::within(&bed.path(""))?;
        form.run(&within, runtime, "", "")?;
        equal("answers", answers(bed)?, answers(&within)?)?;
    }
    Ok(())
}

/// What the hook has given up last is all but what this form needs.
pub fn left_inside(bed: &Bed, runtime: Runtime, form: Form) -> TestResult {
    let calls = trace(bed, runtime, form, "")?;
    let last = calls.iter().rfind(|call| call.name == "capset");
    let last = last.map(|call| call.arguments.as_str()).unwrap_or_default();
    let mut kept = vec!["DAC_READ_SEARCH"];
    if form.sysctl {
        kept.push("NET_ADMIN");
    }
    if form.pod {
        kept.extend(["SYS_CHROOT", "SYS_PTRACE"]);
    }
    kept.push("SYS_ADMIN");
    let kept: Vec<_> = kept.iter().map(|name| format!("1<<CAP_{name}")).collect();
    let kept = kept.join("|");
    let expected = format!("{{effective={kept}, permitted={kept}, inheritable=0}}) = 0");
    match last.ends_with(&expected) {
        true => Ok(()),
        false => fail(format!("the last capset is ({last}, not {expected}")),
    }
}

/// A mount over the rootfs, made in the container's mount namespace before the hook enters it, is not taken for it.
pub fn another_rootfs(bed: &Bed, runtime: Runtime) -> TestResult {
    let form = Form::named("prestart");
    let script = form.prepare(bed, runtime, "", "")?;
    let cover = format!(
        r#"pid=$(sed 's/.*"pid": *\([0-9]*\).*/\1/'); mkdir -p {0}/other/proc
        nsenter --target "$pid" --mount bash -euc 'mount --bind {0}/other {0}/b/rootfs; mount -t proc proc {0}/b/rootfs/proc'"#,
        bed.path("").display()
    );
    edit_config(&bed.path("b"), |config| {
        let cover = serde_json::json!({"path": "/bin/bash", "args": ["bash", "-euc", cover]});
        if let Some(hooks) = config["hooks"]["prestart"].as_array_mut() {
            hooks.insert(0, cover);
        }
    })?;
    let output = form.start(bed, runtime, &script)?;
    output.fails_with("is another folder in the container's mount namespace")
}

/// After the hook has entered a container it opens by their paths only the rootfs, which it compares with what it saw outside, and what
/// is its own in the procfs of before pivot_root.
pub fn nothing_by_path(bed: &Bed, runtime: Runtime, form: Form) -> TestResult {
    let calls = trace(bed, runtime, form, "")?;
    let rootfs = format!("\"{}\"", bed.path("b/rootfs").display());
    let mut entered = BTreeSet::new();
    let (mut opened, mut others) = (0, Vec::new());
    for call in &calls {
        if call.name == "setns" {
            entered.insert(call.pid);
        }
        // Their children, too: none is made before the one that enters.
        if entered.is_empty() || !(entered.contains(&call.pid) || call.pid > *entered.first().unwrap_or(&0)) {
            continue;
        }
        let Some(path) = call
            .arguments
            .split('"')
            .nth(1)
            .filter(|path| path.starts_with('/'))
        else {
            continue;
        };
        opened += 1;
        let own = ["/proc/self/mountinfo", "/proc/self/fd/", "/proc/self/fdinfo/"];
        if format!("\"{path}\"") != rootfs && !own.iter().any(|own| path.starts_with(own)) {
            others.push(format!("{}({}", call.name, call.arguments));
        }
    }
    if opened == 0 {
        return fail("nothing was opened after a setns");
    }
    equal("opened by path", others, Vec::<String>::new())
}
