//! `doctor -- CMD`: runs CMD, then tells what it was refused and what gives it that.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::slice;

use procemu::errno_text;

use super::errno::Refusal;
use super::finding::{Finding, Level};
use super::keys::State;
use super::propose::{self, Proposed};
use super::subjects::{self, KNOWN};
use super::wanted::is_of_cgroup;
use super::watch::{self, End, Refused};
use super::{Found, programs, report};
use crate::exit::{Exit, Failure};

/// What is to be done.
pub struct Asked<'a> {
    /// The programs that `--for` names.
    pub named: &'a [String],
    /// The command.
    pub command: &'a [OsString],
    /// Whether as JSON.
    pub json: bool,
    /// Where to, if not to standard error.
    pub output: Option<&'a PathBuf>,
}

impl Asked<'_> {
    /// Ends as the command does.
    pub fn watch(&self) -> Result<Exit, Failure> {
        // What is wrong is told before CMD has done anything.
        if self.json && self.output.is_none() {
            return Err(Failure {
                exit: Exit::ExecFailed,
                line:
                    "doctor: --json with a command needs --output FILE: what is printed is the command's own"
                        .to_owned(),
            });
        }
        let exists = |name: &str| programs::on_path(name).is_some();
        let subjects = subjects::choose(self.named, &[], exists).map_err(|line| Failure {
            exit: Exit::ExecFailed,
            line,
        })?;
        let preferred: Vec<&str> = match self.named.is_empty() {
            true => Vec::new(),
            false => subjects
                .into_iter()
                .flat_map(|subject| subject.profiles)
                .collect(),
        };
        let created = |path: &PathBuf| match File::create(path) {
            Ok(file) => Ok((path.clone(), file)),
            Err(error) => Err(failed(&path.display().to_string(), &error)),
        };
        let output = self.output.map(created).transpose()?;
        let watched = watch::watch(self.command).map_err(|error| failed("watch", &error))?;
        match watched.seen {
            Ok(seen) => {
                let is_well = seen.refused.is_empty() && watched.end == End::Code(0);
                let rest = match is_well {
                    true => Rest::default(),
                    false => Rest::of(&seen.programs)?,
                };
                let proposed = propose::proposed(&seen.refused, &rest.next, &preferred);
                self.tell(&proposed, &rest, output)?;
            }
            Err(why) => {
                let shown = self.shown();
                let found = Found::look(slice::from_ref(&shown)).or_else(|_| Found::look(&[]))?;
                match output {
                    Some((path, mut file)) if self.json => {
                        let text = report::unwatched(&why, &found.findings);
                        write_to(&path, &mut file, &text)?;
                        eprintln!(
                            "nsprep: doctor: {shown} was not watched: {why}; what the place itself tells is in {}",
                            path.display()
                        );
                    }
                    _ => {
                        eprintln!(
                            "nsprep: doctor: {shown} was not watched: {why}; what the place itself tells:"
                        );
                        say(&report::findings(&found.findings));
                    }
                }
            }
        }
        watched.end.repeat()
    }

    fn shown(&self) -> String {
        self.command[0].to_string_lossy().into_owned()
    }

    fn tell(
        &self,
        proposed: &[Proposed],
        rest: &Rest,
        output: Option<(PathBuf, File)>,
    ) -> Result<(), Failure> {
        let table = propose::table(proposed, rest.before);
        let text = match self.json {
            true => report::watched(proposed, &table, &rest.findings),
            false => table,
        };
        let had = proposed.iter().filter(|one| one.profile.is_some()).count();
        // Files of cgroups are told of, and are none.
        let is_key = |one: &&Proposed| one.profile.is_some() || !is_of_cgroup(&one.key);
        let mut keys = match proposed.iter().filter(is_key).filter(|one| one.seen).count() {
            1 => "1 key".to_owned(),
            count => format!("{count} keys"),
        };
        if let next @ 1.. = proposed.iter().filter(|one| !one.seen).count() {
            keys += &format!(" and ended before {next} more");
        }
        eprintln!(
            "nsprep: doctor: {} and its children were refused {keys}; built-in profiles have {had}",
            self.shown()
        );
        match output {
            Some((path, mut file)) => {
                write_to(&path, &mut file, &text)?;
                eprintln!("nsprep: doctor: the table is in {}", path.display());
            }
            None if !proposed.is_empty() => eprint!("{text}"),
            None => {}
        }
        if !rest.findings.is_empty() && !self.json {
            eprintln!("nsprep: doctor: besides keys, the place itself tells:");
            say(&report::findings(&rest.findings));
        }
        Ok(())
    }
}

/// What a command takes besides the keys that it was refused.
#[derive(Default)]
struct Rest {
    /// What has to stand before it.
    before: &'static str,
    /// Keys for want of which it will end, had it come so far or not.
    next: Refused,
    /// What is no matter of keys.
    findings: Vec<Finding>,
}

impl Rest {
    /// For the runtimes and engines among these.
    fn of(programs: &BTreeSet<String>) -> Result<Self, Failure> {
        let names = KNOWN.iter().map(|known| known.name.to_owned());
        let names: Vec<_> = names.filter(|name| programs.contains(name)).collect();
        if names.is_empty() {
            return Ok(Self::default());
        }
        let found = Found::look(&names)?;
        let before = found.before_runtimes();
        let (of_keys, findings): (Vec<_>, Vec<_>) = found
            .findings
            .into_iter()
            .partition(|finding| !finding.keys.is_empty());
        let mut next = Refused::new();
        for finding in of_keys.iter().filter(|finding| finding.level == Level::Fails) {
            for key in &finding.keys {
                let refusal = match key.state {
                    State::Missing => Refusal::Missing,
                    State::Stuck => Refusal::Stuck,
                    State::Zero => continue,
                };
                let whom = next.entry((key.key.clone(), refusal)).or_default();
                whom.programs.extend(finding.who.iter().cloned());
            }
        }
        Ok(Self {
            before,
            next,
            findings,
        })
    }
}

fn failed(what: &str, error: &io::Error) -> Failure {
    Failure {
        exit: Exit::ExecFailed,
        line: format!("doctor: {what}: {}", errno_text(error)),
    }
}

fn write_to(path: &Path, file: &mut File, text: &str) -> Result<(), Failure> {
    let written = file.write_all(text.as_bytes());
    written.map_err(|error| failed(&path.display().to_string(), &error))
}

/// In colour where that is wanted.
fn say(text: &str) {
    // Nobody is left to tell where it cannot be written.
    let _ = anstream::stderr().lock().write_all(text.as_bytes());
}
