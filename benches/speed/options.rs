//! The command line.

use std::path::{PathBuf, absolute};

use crate::Outcome;
use crate::rows::ROWS;

/// What is asked for.
pub struct Options {
    /// Few rounds at a small scale, to see that everything works.
    pub short: bool,
    /// Rounds of everything, instead of what each row takes.
    rounds: Option<usize>,
    /// The rows; all of them where none is named.
    rows: String,
    /// The folder of the programs that are measured; that of this one where none is named.
    pub programs: Option<PathBuf>,
    /// Where the report goes as JSON.
    pub json: Option<PathBuf>,
    /// Where it goes as a page.
    pub page: Option<PathBuf>,
    /// Set by the bench itself, for the process that measures: a name that no other run has, and a folder for its files.
    pub inside: Option<(String, PathBuf)>,
}

impl Options {
    /// Reads the command line.
    ///
    /// # Errors
    /// For a word that is not known.
    pub fn parse(mut args: impl Iterator<Item = String>) -> Outcome<Self> {
        let mut options = Self {
            short: false,
            rounds: None,
            rows: String::new(),
            programs: None,
            json: None,
            page: None,
            inside: None,
        };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match arg.as_str() {
                // Cargo's own.
                "--bench" | "--test" => {}
                "--short" => options.short = true,
                "--rounds" => options.rounds = Some(value()?.parse()?),
                "--rows" => options.rows = value()?,
                // Absolute: the bench moves between mount namespaces, which ends in the root folder.
                "--programs" => options.programs = Some(absolute(value()?)?),
                "--json" => options.json = Some(absolute(value()?)?),
                "--page" => options.page = Some(absolute(value()?)?),
                "--inside" => options.inside = Some((value()?, value()?.into())),
                other => {
                    return Err(format!(
                        "unknown argument {other:?}, expected --short, --rounds N, --rows abc, --programs DIR, --json FILE or --page FILE"
                    )
                    .into());
                }
            }
        }
        if let Some(row) = (options.rows.chars()).find(|row| ROWS.iter().all(|(known, _)| known != row)) {
            return Err(format!("unknown row {row:?}, expected letters of a to g, without a space").into());
        }
        Ok(options)
    }

    /// Whether this row is wanted.
    pub fn wants(&self, row: char) -> bool {
        self.rows.is_empty() || self.rows.contains(row)
    }

    /// Those of these rows that are wanted.
    pub fn among(&self, rows: &'static str) -> Vec<char> {
        rows.chars().filter(|row| self.wants(*row)).collect()
    }

    /// How many rounds: `full`, or few.
    pub fn rounds(&self, full: usize) -> usize {
        self.rounds.unwrap_or(if self.short { 3 } else { full })
    }
}
