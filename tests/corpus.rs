//! The fuzz targets over the committed corpora and all that fuzzing has found, as plain tests: `make fuzz` looks for more.

#[path = "../fuzz/src/lib.rs"]
#[allow(missing_docs, reason = "the crate has them")]
mod fuzz;

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Failed, Trial};

/// At how many places a file is cut off. Miri is a thousand times as slow, and looks for what a way through the code does, whatever the
/// text: a half has it see where an error is made, and a long text takes few ways that several short ones do not.
const BEGINNINGS: usize = if cfg!(miri) { 2 } else { 64 };
const MIRI_BYTES: usize = 1024;

fn main() -> std::process::ExitCode {
    let trials = fuzz::TARGETS.map(|(name, target)| Trial::test(name, move || run(name, target)));
    libtest_mimic::run(&Arguments::from_args(), trials.into()).exit_code()
}

/// Runs `target` on each of its files, and on each of their beginnings: a file may be cut off anywhere.
fn run(name: &str, target: fuzz::Target) -> Result<(), Failed> {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let seeds = files(&fuzz.join("corpus").join(name))?;
    if seeds.is_empty() {
        return Err("there is no corpus".into());
    }
    for file in seeds
        .into_iter()
        .chain(files(&fuzz.join("regressions").join(name)).unwrap_or_default())
    {
        let bytes = fs::read(&file)?;
        if cfg!(miri) && bytes.len() > MIRI_BYTES {
            let name = file.strip_prefix(&fuzz).unwrap_or(&file);
            println!("skipped {}: more than {MIRI_BYTES} bytes", name.display());
            continue;
        }
        let step = (bytes.len() / BEGINNINGS).max(1);
        for end in (0..bytes.len()).step_by(step).chain([bytes.len()]) {
            catch_unwind(|| target(&bytes[..end]))
                .map_err(|_| format!("{}: the first {end} bytes break a promise", file.display()))?;
        }
    }
    Ok(())
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, Failed> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut files: Vec<_> = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<_>>()?;
    files.sort();
    Ok(files)
}
