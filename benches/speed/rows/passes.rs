//! Commands that are not about making a container: the wrapper only becomes the runtime.

use std::process::Command;

use super::bundles::{Stand, Through};
use super::starts::TABLE;
use crate::compare::{Way, compare};
use crate::cost::{beside_others, run};
use crate::report::{Group, Unit};
use crate::{Bench, Outcome};

/// Measures the row.
///
/// # Errors
/// If something that is measured does not work.
pub fn measure(bench: &mut Bench) -> Outcome {
    let Some(baselines) = &bench.baselines else {
        return Ok(());
    };
    let (mut groups, mut skipped) = (Vec::new(), Vec::new());
    for (runtime, path) in &bench.runtimes {
        let stand = Stand::new(bench, baselines, runtime.command(), path, TABLE)?;
        stand.prepare(Through::Nothing)?;
        run(&mut stand.make(Through::Nothing, "create"))?;
        let id = stand.id.clone();
        let measured = (|| -> Outcome<Vec<Group>> {
            let mut groups = Vec::new();
            for arguments in [vec!["state", &id], vec!["kill", &id, "CONT"], vec!["features"]] {
                let title = format!("{} {}", runtime.name, arguments[0]);
                if let Err(error) = run(&mut stand.command(Through::Nothing, &arguments)) {
                    let error = error.to_string();
                    let last = error.rsplit(": ").next().unwrap_or_default();
                    skipped.push(format!("{title}, which it does not know: {last}"));
                    continue;
                }
                let all = [Through::Nothing, Through::IdleWrapper, Through::WrapperAndHook];
                let ways = all.map(|through| {
                    let (stand, arguments) = (&stand, &arguments);
                    let name = match through {
                        Through::WrapperAndHook => "ours",
                        other => other.name(),
                    };
                    Way::new(name, move || {
                        beside_others(|| run(&mut stand.command(through, arguments)))
                    })
                });
                let rounds = bench.options.rounds(100);
                groups.push(compare('g', &title, Unit::Milli, &ways, rounds)?);
            }
            Ok(groups)
        })();
        let deleted = run(&mut delete(&stand));
        groups.extend(measured?);
        deleted?;
    }
    bench.report.groups.extend(groups);
    for reason in skipped {
        bench.report.skip('g', reason);
    }
    Ok(())
}

fn delete(stand: &Stand) -> Command {
    stand.command(Through::Nothing, &["delete", "--force", &stand.id])
}
