//! Holding the wrapper against the bare runtime: the same script, called in each form, has to see the same.

use super::{Bed, Runtime, Script, TestResult, fail, made_up_table};

const SCRIPT: &str = include_str!("transcript.sh");

/// How the runtime is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Itself.
    Bare,
    /// By a link on PATH, on a machine that lacks nothing, with the default configuration.
    Named,
    /// By `runtime-bridge runtime --exec`, where the runtime's `/proc` lacks a key and so does the container's.
    Lacking,
}

impl Form {
    /// All of them.
    pub const ALL: [Form; 3] = [Form::Bare, Form::Named, Form::Lacking];

    /// A script that finds the functions of `transcript.sh`.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn script(self, bed: &Bed, runtime: Runtime, text: &str) -> TestResult<Script> {
        let tables = [made_up_table(bed)?];
        let config = bed.config_with(&format!("profiles = [\"runc\", \"crun\"]\ntables = {tables:?}\n"))?;
        let script = bed.runtime_script(&runtime, &format!("{SCRIPT}{text}"))?;
        let name = format!("{self:?}").to_lowercase();
        Ok(script.env("FORM", name).env("CONFIG", config))
    }
}

/// Runs `text` in each form: it has to succeed, and to print the same. Gives what it printed.
///
/// # Errors
/// It fails or cannot run, or prints something else than with the bare runtime.
pub fn same(bed: &Bed, runtime: Runtime, text: &str) -> TestResult<String> {
    same_by(|form| form.script(bed, runtime, text)?.succeed())
}

/// The same of whatever gives a transcript.
///
/// # Errors
/// It gives none, or another one than with the bare runtime.
pub fn same_by(each: impl Fn(Form) -> TestResult<String>) -> TestResult<String> {
    let bare = each(Form::Bare)?;
    for form in [Form::Named, Form::Lacking] {
        same_transcript(form, &bare, &each(form)?)?;
    }
    Ok(bare)
}

/// Holds two transcripts against each other.
///
/// # Errors
/// They differ: says from where on.
pub fn same_transcript(form: Form, bare: &str, ours: &str) -> TestResult {
    if bare == ours {
        return Ok(());
    }
    let (bare, ours): (Vec<_>, Vec<_>) = (bare.lines().collect(), ours.lines().collect());
    let same = bare.iter().zip(&ours).take_while(|(bare, ours)| bare == ours);
    let from = same.count();
    let some = |lines: &[&str]| {
        lines[from..]
            .iter()
            .take(20)
            .copied()
            .collect::<Vec<_>>()
            .join("\n")
    };
    fail(format!(
        "{form:?}: after\n{}\n--- bare\n{}\n--- wrapped\n{}",
        bare[from.saturating_sub(5)..from].join("\n"),
        some(&bare),
        some(&ours)
    ))
}
