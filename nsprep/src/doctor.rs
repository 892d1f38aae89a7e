//! `doctor`: what programs and containers will miss here, and the command that cures it.

mod by_hand;
mod command;
mod consumers;
mod errno;
mod explain;
pub mod finding;
pub mod keys;
mod known;
mod lacking;
mod look;
pub mod programs;
mod propose;
pub mod report;
mod subjects;
pub mod surroundings;
mod traps;
mod wanted;
mod watch;

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::PathBuf;

use clap::Args;
use procemu::{errno_text, wait_for_children};
use runtime_bridge::progress::Progress;

use crate::exec::become_command;
use crate::exit::{Exit, Failure};
use crate::output::{print_json, show};
use command::Asked;
use finding::Finding;
use report::{Diagnosis, Explained, VERSION};
use traps::Facts;

/// Options of `doctor`.
#[derive(Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Doctor {
    /// Look at this program only: a runtime, an engine, a profile's name or any command; repeats [default: all on PATH]
    #[arg(long = "for", value_name = "PROGRAM", value_delimiter = ',')]
    named: Vec<String>,
    /// Print JSON; with CMD into the FILE of --output, as standard output and error are CMD's own
    #[arg(long)]
    json: bool,
    /// Say what this error means and what cures it; `-` reads it from standard input
    #[arg(
        long,
        value_name = "TEXT",
        conflicts_with = "named",
        allow_hyphen_values = true
    )]
    explain: Option<String>,
    /// Write the table for CMD, or JSON, to FILE instead of standard error
    #[arg(long, value_name = "FILE", requires = "command")]
    output: Option<PathBuf>,
    /// Stop, let signals of these numbers through, and become CMD
    #[arg(long, hide = true, requires = "command", value_name = "SIGNALS")]
    stopped: Option<String>,
    /// Run this command and watch which files of /proc and /sys it and its children are refused
    #[arg(last = true, value_name = "CMD", conflicts_with = "explain")]
    command: Vec<OsString>,
}

/// What its exit codes mean.
pub const AFTER_HELP: &str = "Exit codes:
  0    nothing found; --explain: the text is known
  1    something found; --explain: the text is not known
  125  with CMD: failed before CMD; 126: CMD cannot be executed; 127: CMD not found; else CMD's own";

/// The longest text of an error that is read: a kubelet's log of a day.
const MAX_TEXT: u64 = 64 << 20;

impl Doctor {
    /// `nsprep doctor`.
    pub fn run(&self) -> Result<Exit, Failure> {
        if let Some(release) = &self.stopped {
            watch::stop(release);
            return Err(become_command(&self.command));
        }
        match &self.explain {
            Some(text) => self.explain(text),
            None if !self.command.is_empty() => Asked {
                named: &self.named,
                command: &self.command,
                json: self.json,
                output: self.output.as_ref(),
            }
            .watch(),
            None => self.diagnose(),
        }
    }

    fn explain(&self, text: &str) -> Result<Exit, Failure> {
        let read;
        let text = match text {
            "-" => {
                read = standard_input()?;
                &read
            }
            text => text,
        };
        let known = explain::explain(text, keys::is_here);
        let exit = match known {
            Some(_) => Exit::Done,
            None => Exit::Differs,
        };
        if self.json {
            print_json(&Explained {
                version: VERSION,
                explanation: known.as_ref(),
            })?;
        } else {
            show(&match &known {
                Some(known) => report::explanation(known),
                None => "not known: no pattern fits, and no path of /proc or /sys with an error is in it; \
                    `nsprep doctor -- CMD` watches what CMD fails to open\n"
                    .to_owned(),
            })?;
        }
        Ok(exit)
    }

    fn diagnose(&self) -> Result<Exit, Failure> {
        let found = Found::look(&self.named)?;
        let profiles = found.profiles_shown(&self.named);
        let programs: Vec<_> = found.programs_shown(&self.named);
        let diagnosis = Diagnosis {
            version: VERSION,
            place: &found.place,
            programs: &programs,
            absent: &subjects::absent(&self.named, |name| programs::on_path(name).is_some()),
            profiles: &profiles,
            findings: &found.findings,
        };
        match self.json {
            true => print_json(&diagnosis)?,
            false => show(&report::diagnosis(&diagnosis))?,
        }
        Ok(match found.findings.is_empty() {
            true => Exit::Done,
            false => Exit::Differs,
        })
    }
}

/// All that a look at this place gives.
pub struct Found {
    /// What this place is.
    pub place: surroundings::Surroundings,
    subjects: Vec<subjects::Subject>,
    /// The runtimes and engines on PATH.
    pub programs: Vec<programs::Program>,
    /// Every profile.
    pub profiles: Vec<keys::ProfileState>,
    /// What goes wrong, the worst first.
    pub findings: Vec<Finding>,
}

impl Found {
    /// Looks, for the programs that are named, or for all that are here.
    pub fn look(named: &[String]) -> Result<Self, Failure> {
        // Much is asked of children, whose ends a caller that ignores them would not let this process see.
        wait_for_children();
        let progress = Progress::of("looking for programs");
        let programs = programs::found(&progress);
        let exists = |name: &str| programs::on_path(name).is_some();
        let subjects = subjects::choose(named, &programs, exists).map_err(Failure::usage)?;
        progress.say("trying what can be done here");
        let place = look::surroundings();
        progress.say("comparing keys");
        let asked: Vec<&str> = subjects
            .iter()
            .flat_map(|subject| subject.profiles.iter().copied())
            .collect();
        let profiles = keys::profiles(&asked);
        let missing_of_pods = keys::missing_of_pods();
        let facts = Facts {
            place: &place,
            subjects: &subjects,
            profiles: &profiles,
            missing_of_pods: &missing_of_pods,
        };
        let mut findings = lacking::findings(&facts);
        findings.extend(traps::findings(&facts));
        findings.sort_by_key(|finding| finding.level);
        Ok(Self {
            place,
            subjects,
            programs,
            profiles,
            findings,
        })
    }

    /// What has to stand before a command that calls these runtimes.
    fn before_runtimes(&self) -> &'static str {
        let all = self
            .subjects
            .iter()
            .map(|one| by_hand::before(&self.place, &self.subjects, one));
        all.max_by_key(|text| text.len()).unwrap_or_default()
    }

    fn profiles_shown(&self, named: &[String]) -> Vec<&keys::ProfileState> {
        let is_asked = |state: &&keys::ProfileState| {
            let mut subjects = self.subjects.iter();
            named.is_empty() || subjects.any(|subject| subject.profiles.contains(&state.profile.as_str()))
        };
        self.profiles.iter().filter(is_asked).collect()
    }

    fn programs_shown(&self, named: &[String]) -> Vec<programs::Program> {
        match named.is_empty() {
            true => self.programs.clone(),
            false => self
                .subjects
                .iter()
                .filter_map(|subject| subject.program.clone())
                .collect(),
        }
    }
}

fn standard_input() -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let read = io::stdin().lock().take(MAX_TEXT).read_to_end(&mut bytes);
    read.map_err(|error| Failure::usage(format!("standard input: {}", errno_text(&error))))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
