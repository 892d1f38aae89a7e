//! The hook and the wrapper as processes, with nothing else in the way.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use serde_json::json;

use super::bundles::{Stand, Through, hook_of};
use super::starts::TABLE;
use crate::compare::{Way, compare};
use crate::cost::{beside_others, run};
use crate::helper::Helper;
use crate::report::Unit;
use crate::{Bench, Outcome};

/// Measures the row.
///
/// # Errors
/// If something that is measured does not work.
pub fn measure(bench: &mut Bench) -> Outcome {
    let Some(baselines) = &bench.baselines else {
        return Ok(());
    };
    let runtime = bench.folder("small")?.join("runc");
    fs::copy(baselines.path("runtime"), &runtime)?;
    let stand = Stand::new(bench, baselines, "runc", &runtime, TABLE)?;
    let rounds = bench.options.rounds(200);
    let ways = [
        Through::Nothing,
        Through::IdleWrapper,
        Through::Wrapper,
        Through::WrapperAndHook,
    ];
    let ways = ways.map(|through| {
        let stand = &stand;
        let work = move || beside_others(|| run(&mut stand.make(through, "run")));
        Way::new(through.name(), work).after(move || stand.prepare(through))
    });
    let wrapper = compare(
        'c',
        "the wrapper, and a runtime that does nothing",
        Unit::Milli,
        &ways,
        rounds,
    )?;

    // The hook does what the wrapper has ordered, and that is about a runtime that is still there.
    stand.prepare(Through::WrapperAndHook)?;
    let waiting = Helper::start(&mut stand.make(Through::WrapperAndHook, "run"))?;
    waiting.line()?;
    let Some(words) = hook_of(&stand.bundle)? else {
        return Err("the wrapper put no hook into the bundle".into());
    };
    let state = stand.bundle.join("state.json");
    fs::write(&state, state_of(&stand))?;
    let proc = stand.bundle.join("rootfs/proc");
    let nothing = baselines.path("nothing");
    let hook = |program: &Path, arguments: &[String]| {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::from(File::open(&state)?));
        beside_others(|| run(&mut command))
    };
    let ways = [
        Way::new("hook that does nothing", || hook(&nothing, &[])),
        Way::new("ours, 1 key lacking", || hook(Path::new(&words[0]), &words[2..])).after(|| fresh(&proc)),
    ];
    let hook = compare('c', "the hook", Unit::Milli, &ways, rounds)?;
    let made_up = proc.join("sys/kernel/made_up");
    let found =
        fs::read_to_string(&made_up).map_err(|e| format!("after the hook: {}: {e}", made_up.display()))?;
    if found != "7\n" {
        return Err(format!("after the hook, {} is {found:?}", made_up.display()).into());
    }
    umount2(&proc, MntFlags::MNT_DETACH)?;
    bench.report.groups.extend([wrapper, hook]);
    Ok(())
}

/// What a runtime tells its hooks of a container. The pid, in its own namespace, is none that the hook could take for another.
pub fn state_of(stand: &Stand) -> String {
    json!({"ociVersion": "1.0.2", "id": stand.id, "status": "creating", "pid": 0, "bundle": stand.bundle})
        .to_string()
}

/// A procfs without anything over it at `at`.
fn fresh(at: &Path) -> Outcome {
    // None is there the first time.
    let _ = umount2(at, MntFlags::MNT_DETACH);
    Ok(mount(
        Some("proc"),
        at,
        Some("proc"),
        MsFlags::empty(),
        None::<&str>,
    )?)
}
