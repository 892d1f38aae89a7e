//! What a container costs by each runtime: bare, with a wrapper and a hook that do nothing, and with ours.

use super::baseline_template::Template;
use super::bundles::{Stand, Through};
use crate::compare::{Way, compare};
use crate::cost::{of_processes, run};
use crate::report::Unit;
use crate::{Bench, Outcome};

/// A table with one key that no kernel has.
pub const TABLE: &str = "[keys]\n\"kernel/made_up\" = { value = 7 }\n";

/// Measures the row.
///
/// # Errors
/// If something that is measured does not work.
pub fn measure(bench: &mut Bench) -> Outcome {
    let Some(baselines) = &bench.baselines else {
        return Ok(());
    };
    let template = Template::start(bench, baselines)?.held()?;
    let mut groups = Vec::new();
    for (runtime, path) in &bench.runtimes {
        let mut stand = Stand::new(bench, baselines, runtime.command(), path, TABLE)?;
        stand.clone_by_hook(baselines, &template)?;
        let all = [
            Through::Nothing,
            Through::IdleWrapper,
            Through::IdleWrapperAndHook,
            Through::IdleWrapperAndMounts,
            Through::IdleWrapperAndClone,
            Through::Wrapper,
            Through::WrapperAndHook,
            Through::WrapperAndTemplate,
        ];
        let ways = all.map(|through| {
            let stand = &stand;
            Way::new(through.name(), move || {
                of_processes(|| run(&mut stand.make(through, "run")))
            })
            .after(move || stand.prepare(through))
        });
        let rounds = bench.options.rounds(120);
        groups.push(compare('d', runtime.name, Unit::Milli, &ways, rounds)?);
    }
    bench.report.groups.extend(groups);
    Ok(())
}
