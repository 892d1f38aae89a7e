//! A diagnosis for people, in a hundred columns, and for programs.

pub mod tables;

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::explain::Explanation;
use super::finding::{Finding, Level};
use super::keys::ProfileState;
use super::programs::Program;
use super::propose::Proposed;
use super::surroundings::Surroundings;

/// The version of the JSON: another one where a reader of this one would be wrong.
pub const VERSION: u32 = 1;

/// All that was found.
#[derive(Serialize)]
pub struct Diagnosis<'a> {
    /// [`VERSION`].
    pub version: u32,
    /// What this place is.
    pub place: &'a Surroundings,
    /// Which runtimes and engines are here.
    pub programs: &'a [Program],
    /// Which programs were named and are not here.
    pub absent: &'a [String],
    /// Every profile that was asked about, else every one.
    pub profiles: &'a [&'a ProfileState],
    /// What goes wrong.
    pub findings: &'a [Finding],
}

/// What is known of a text.
#[derive(Serialize)]
pub struct Explained<'a> {
    /// [`VERSION`].
    pub version: u32,
    /// Nothing where the text is not known.
    pub explanation: Option<&'a Explanation>,
}

/// What a command was refused.
#[derive(Serialize)]
struct Watched<'a> {
    version: u32,
    refused: Option<&'a [Proposed]>,
    table: Option<&'a str>,
    findings: &'a [Finding],
    unwatched: Option<&'a str>,
}

/// The same as JSON, with what is no matter of keys.
pub fn watched(refused: &[Proposed], table: &str, findings: &[Finding]) -> String {
    json(&Watched {
        version: VERSION,
        refused: Some(refused),
        table: Some(table),
        findings,
        unwatched: None,
    })
}

/// Where nothing could be seen, as JSON.
pub fn unwatched(why: &str, findings: &[Finding]) -> String {
    json(&Watched {
        version: VERSION,
        refused: None,
        table: None,
        findings,
        unwatched: Some(why),
    })
}

fn json(watched: &Watched) -> String {
    let text = serde_json::to_string_pretty(watched);
    text.expect("texts and lists of them have a JSON form") + "\n"
}

const WIDTH: usize = 100;
const HEAD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const UNSURE: Style = AnsiColor::Yellow.on_default().bold();
const COMMAND: Style = AnsiColor::Cyan.on_default();

/// The keys of one finding that are shown; the rest is counted.
const KEYS_SHOWN: usize = 8;

/// The whole diagnosis. Styles are for the writer to keep or to strip.
pub fn diagnosis(found: &Diagnosis) -> String {
    let mut text = String::new();
    head(&mut text, "place");
    tables::place(&mut text, found.place);
    head(&mut text, "programs");
    tables::programs(&mut text, found.programs, found.absent);
    head(&mut text, "keys");
    tables::profiles(&mut text, found.profiles);
    head(&mut text, "findings");
    text += &findings(found.findings);
    if !found.place.untried.is_empty() {
        let _ = writeln!(
            text,
            "  {DIM}not all was tried: see the place; root is told more{DIM:#}"
        );
    }
    text
}

/// The findings alone.
pub fn findings(findings: &[Finding]) -> String {
    let mut text = String::new();
    if findings.is_empty() {
        let _ = writeln!(
            text,
            "  {GOOD}nothing found{GOOD:#}: what is looked at works here"
        );
    }
    for (at, finding) in findings.iter().enumerate() {
        let _ = write_finding(&mut text, at + 1, finding);
    }
    text
}

/// What is known of an error.
pub fn explanation(known: &Explanation) -> String {
    let mut text = String::new();
    if let Some(line) = &known.line {
        field(&mut text, "text", &cut(line, 4 * WIDTH));
    }
    field(&mut text, "what", &known.what);
    field(&mut text, "why", &known.why);
    if let (Some(key), Some(here)) = (&known.key, known.here) {
        let has = if here { "has" } else { "lacks" };
        field(
            &mut text,
            "here",
            &format!(
                "this /{} {has} {key}",
                key.filesystem().mountpoint().trim_start_matches('/')
            ),
        );
    }
    cure(&mut text, &known.cure);
    text
}

fn head(text: &mut String, title: &str) {
    let gap = if text.is_empty() { "" } else { "\n" };
    // Writing to a String does not fail, here and below.
    let _ = writeln!(text, "{gap}{HEAD}{title}{HEAD:#}");
}

fn write_finding(text: &mut String, number: usize, finding: &Finding) -> std::fmt::Result {
    let says = finding.level.word();
    let style = match finding.level {
        Level::Fails => BAD,
        Level::MayFail => UNSURE,
    };
    writeln!(
        text,
        "{number:>2}. {HEAD}{}{HEAD:#} {style}{says}{style:#}",
        finding.who.join(", ")
    )?;
    field(text, "what", &finding.what);
    for key in finding.keys.iter().take(KEYS_SHOWN) {
        let state = key.state.word();
        // The whole of it is in `nsprep profiles` and in JSON.
        let line = cut(&format!("{state:<8}{}  {}", key.key, key.doc), WIDTH - 11);
        writeln!(text, "           {DIM}{line}{DIM:#}")?;
    }
    if let more @ 1.. = finding.keys.len().saturating_sub(KEYS_SHOWN) {
        writeln!(text, "           {DIM}and {more} more{DIM:#}")?;
    }
    field(text, "why", &finding.why);
    cure(text, &finding.cure);
    Ok(())
}

fn field(text: &mut String, name: &str, value: &str) {
    let mut name = name;
    for line in wrapped(value, WIDTH - 11) {
        let _ = writeln!(text, "    {DIM}{name:<6}{DIM:#} {line}");
        name = "";
    }
}

/// Commands are not broken: they are there to be copied.
fn cure(text: &mut String, cure: &[String]) {
    let mut name = "cure";
    for line in cure.iter().flat_map(|command| command.lines()) {
        let style = if line.starts_with('#') { DIM } else { COMMAND };
        let _ = writeln!(text, "    {DIM}{name:<6}{DIM:#} {style}{line}{style:#}");
        name = "";
    }
}

/// At most `width` characters, of whole words, with dots for the rest.
fn cut(line: &str, width: usize) -> String {
    if line.chars().count() <= width {
        return line.to_owned();
    }
    let some: String = line.chars().take(width.saturating_sub(3)).collect();
    let end = some.rfind(' ').unwrap_or(some.len());
    format!("{} ...", some[..end].trim_end_matches([' ', ',', ';', ':']))
}

/// The words of `value` in lines of at most `width` characters; a longer word has a line of its own.
fn wrapped(value: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in value.split_whitespace() {
        let last = lines.last_mut().expect("it begins with one, and none goes");
        if last.is_empty() {
            last.push_str(word);
        } else if last.chars().count() + 1 + word.chars().count() <= width {
            last.push(' ');
            last.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_wrapped_and_kept() {
        assert_eq!(wrapped("a bb ccc", 4), ["a bb", "ccc"]);
        assert_eq!(wrapped("long-word a", 4), ["long-word", "a"]);
        assert_eq!(wrapped("", 4), [""]);
    }

    #[test]
    fn what_is_cut_has_whole_words() {
        assert_eq!(cut("one two", 7), "one two");
        assert_eq!(cut("one two, three", 13), "one two ...");
    }

    #[test]
    fn a_report_is_a_hundred_columns_wide_but_for_commands() {
        let finding = Finding::new("x", Level::Fails, &["runc", "crun"], "what ".repeat(40))
            .because("because ".repeat(40))
            .cured_by("nsprep exec -- CMD");
        let place = Surroundings {
            user_namespaces_refused: Some("refused ".repeat(30)),
            ..Surroundings::default()
        };
        let text = diagnosis(&Diagnosis {
            version: VERSION,
            place: &place,
            programs: &[Program::made_up("runc", "1.5.2")],
            absent: &["kubelet".to_owned()],
            profiles: &[],
            findings: &[finding],
        });
        let plain = anstream::adapter::strip_str(&text).to_string();
        assert!(plain.contains("nsprep exec -- CMD"));
        for line in plain.lines() {
            assert!(line.chars().count() <= WIDTH, "{line}");
        }
    }
}
