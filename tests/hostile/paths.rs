//! Paths that are hard to read, too long, or that lead through what a runtime has open.

use serde_json::json;

use super::forms::{FORMS, Outcome, bundle, script, start};
use super::support::{Bed, RUNTIMES, Runtime, Suite, TestResult, edit_config, equal, fail};
use Outcome::{Lacking, Refused, Right};

/// With everything that mountinfo escapes or that could be taken for ours.
const ODD: &str = "odd \t\n\\040 # procemu:1 - tmpfs é";

/// The length of a path that is still one to system calls, with what is in the image; and of one that is not (`PATH_MAX`).
const LONG: usize = 3900;
const TOO_LONG: usize = 4096;

/// Descriptors that a runtime may have open when it enters the working directory.
const DESCRIPTORS: std::ops::RangeInclusive<u32> = 3..=9;

/// Adds the tests.
pub fn add(suite: &mut Suite) {
    for runtime in RUNTIMES {
        let name = runtime.name;
        suite.test(format!("paths::odd::{name}"), move |bed| odd(bed, runtime));
        suite.test(format!("paths::long::{name}"), move |bed| {
            long(bed, runtime, LONG)
        });
        suite.test(format!("paths::too_long::{name}"), move |bed| {
            long(bed, runtime, TOO_LONG)
        });
        suite.test(format!("paths::descriptor::{name}"), move |bed| {
            descriptor(bed, runtime)
        });
    }
}

fn usual(form: &str) -> Outcome {
    if form == "bare" { Lacking } else { Right }
}

fn odd(bed: &Bed, runtime: Runtime) -> TestResult {
    let mut bundle = bundle(bed)?;
    bundle.config["root"]["path"] = json!(ODD);
    let folder = bundle.write()?;
    std::fs::rename(folder.join("rootfs"), folder.join(ODD))?;
    start(bed, runtime, "", &FORMS, usual)
}

/// A root file system whose path has that many bytes.
fn long(bed: &Bed, runtime: Runtime, length: usize) -> TestResult {
    let mut path = bed.path("").to_string_lossy().trim_end_matches('/').to_owned();
    let mut names = Vec::new();
    while path.len() < length {
        let name = "x".repeat((length - path.len() - 1).min(200));
        path = format!("{path}/{name}");
        names.push(name);
    }
    let mut bundle = bundle(bed)?;
    bundle.config["root"]["path"] = json!(path);
    bundle.write()?;
    let last = names.pop().unwrap_or_default();
    let prepare = format!(
        "for name in {}; do mkdir $name; cd $name; done; mv \"$BED/b/rootfs\" {last}; cd \"$BED\"",
        names.join(" ")
    );
    start(bed, runtime, &prepare, &FORMS, |form| {
        if length == LONG {
            usual(form)
        } else {
            Refused("too long")
        }
    })
}

/// A working directory behind a descriptor that a runtime forgot to close (CVE-2024-21626): with us there is none more.
fn descriptor(bed: &Bed, runtime: Runtime) -> TestResult {
    bundle(bed)?.write()?;
    edit_config(&bed.path("b"), |config| {
        config["process"]["args"] = json!(["sh", "-c", "echo started"]);
        config["process"]["cwd"] = json!("/proc/self/fd/NUMBER");
    })?;
    let text = format!(
        r#"cp b/config.json template.json
        for number in $(seq {} {}); do
            sed "s|NUMBER|$number|" template.json > b/config.json; rm -f b.json
            try bare; try createContainer
        done"#,
        DESCRIPTORS.start(),
        DESCRIPTORS.end()
    );
    let output = script(bed, runtime, &text)?.succeed()?;
    let started: Vec<bool> = output
        .split("== ")
        .skip(1)
        .map(|tried| tried.contains("\nstarted\n"))
        .collect();
    equal("starts", started.len(), 2 * DESCRIPTORS.count())?;
    if output.contains("touched: ") {
        return fail(output);
    }
    for (pair, number) in started.chunks(2).zip(DESCRIPTORS) {
        println!("{} {number} {pair:?}", runtime.name);
        if pair[1] && !pair[0] {
            return fail(format!("with us it starts in descriptor {number}: {output}"));
        }
    }
    Ok(())
}
