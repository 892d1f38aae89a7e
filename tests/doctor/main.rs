//! `nsprep doctor`: what it finds is what goes wrong, and each cure that it names is one.

mod explains;
mod finds;
#[path = "../support/mod.rs"]
mod support;
mod watches;

use std::process::ExitCode;

use support::{Bed, Block, Script, Suite, TestResult, blocks_print, equal, need, typed_blocks};

const PATH: &str = "PATH=\"$(dirname \"$NSPREP\"):$(dirname \"$BRIDGE\"):$PATH\"\n";

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.test("sound", finds::sound);
    suite.test("untried", finds::untried);
    suite.test("absent", finds::absent);
    suite.for_runtimes("version", finds::version);
    suite.test("version::engines", finds::engines);
    suite.test("lacking::crun", finds::lacking_crun);
    suite.test("lacking::kubelet", finds::lacking_kubelet);
    suite.test("lacking::read_only", finds::read_only_proc_sys);
    suite.test("trap::hybrid", finds::hybrid);
    suite.test("trap::hybrid::lacking", finds::hybrid_and_lacking);
    suite.test("trap::hybrid::watched", finds::hybrid_watched);
    suite.test("trap::session_keyring", finds::session_keyring);
    suite.test("trap::detached_procfs", finds::detached_procfs);
    suite.test("bridged", finds::bridged);
    suite.for_runtimes("explain::cap_last_cap", explains::explain_cap_last_cap);
    suite.for_runtimes("explain::sysctl", explains::explain_sysctl);
    suite.test("explain::spec_version", explains::explain_spec_version);
    suite.test("explain::faq", explains::faq);
    suite.test("explain::unknown", explains::explain_unknown);
    suite.test("explain::colour", explains::colour);
    suite.test("wrong::names", wrong_names);
    suite.test("watch::runc", watches::watch_runc);
    suite.test("watch::crun", watches::watch_crun);
    suite.test("watch::calls", watches::watch_calls);
    suite.test("watch::stuck", watches::watch_stuck);
    suite.test("watch::written", watches::watch_written);
    suite.test("watch::ends", watches::watch_ends);
    suite.test("watch::stopped", watches::watch_stopped);
    suite.test("watch::refused", watches::watch_refused);
    let blocks = suite.page("docs/doctor.md").blocks();
    suite.test("page", move |bed| page(bed, &blocks));
    suite.run()
}

/// A script that finds nsprep and runtime-bridge on PATH, as people have them.
fn script(bed: &Bed, text: &str) -> TestResult<Script> {
    need::root()?;
    bed.script(&format!("{PATH}{text}"))
}

fn wrong_names(bed: &Bed) -> TestResult {
    let refused = |options: &str, words: &[&str]| -> TestResult {
        script(bed, &format!("nsprep doctor {options}"))?
            .run()?
            .refuses(2, words)
    };
    refused("--for nonsense", &["nonsense", "no program on PATH", "kubelet"])?;
    let output = script(
        bed,
        "nsprep doctor --output /nonexistent/t.toml -- touch \"$BED/ran\"",
    )?
    .run()?;
    output.refuses(125, &["/nonexistent/t.toml", "no such file or directory"])?;
    let output = script(bed, "nsprep doctor --json -- touch \"$BED/ran\"")?.run()?;
    output.refuses(125, &["--json", "--output FILE"])?;
    for wrong in ["--for nonsense", "--nonsense"] {
        let output = script(bed, &format!("nsprep doctor {wrong} -- touch \"$BED/ran\""))?.run()?;
        equal(wrong, output.status.code(), Some(125))?;
    }
    equal("ran", bed.path("ran").exists(), false)
}

/// The commands of the page.
fn page(bed: &Bed, blocks: &[Block]) -> TestResult {
    need::command("crun")?;
    // A machine where it is all that is found.
    let text = format!(
        "hide_unified; deprive /proc kernel/cap_last_cap\n{}",
        typed_blocks(blocks)
    );
    blocks_print(blocks, &script(bed, &text)?.succeed()?)
}
