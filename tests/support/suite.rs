//! The tests of one file: named, skipped visibly, and checked for what they leave behind.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Completion, Trial};

use super::host::Host;
use super::owed::{Owed, Page};
use super::{Bed, RUNTIMES, Runtime, Stop, TestResult};

/// The tests of one file.
pub struct Suite {
    trials: Vec<Trial>,
    host: Arc<Host>,
    owed: Owed,
}

impl Suite {
    /// An empty suite; looks at the host now, so that every test can be held against it.
    pub fn new() -> Self {
        Suite {
            trials: Vec::new(),
            host: Arc::new(Host::observe()),
            owed: Owed::default(),
        }
    }

    /// Adds a test. `body` gets a bed of its own; afterwards the host has to be what it was.
    pub fn test(&mut self, name: impl Into<String>, body: impl FnOnce(&Bed) -> TestResult + Send + 'static) {
        let name = name.into();
        let host = Arc::clone(&self.host);
        self.trials.push(Trial::ignorable_test(name.clone(), move || {
            let bed = Bed::new().map_err(|error| format!("no scratch folder: {error}"))?;
            let outcome = catch_unwind(AssertUnwindSafe(|| body(&bed))).unwrap_or_else(|panic| {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text
                    .or_else(|| panic.downcast_ref::<&str>().copied())
                    .unwrap_or("no message");
                Err(Stop::Fail(format!("panicked: {text}")))
            });
            let left = host.leftovers(&bed);
            match outcome {
                Ok(()) if left.is_empty() => Ok(Completion::Completed),
                Ok(()) => Err(format!("left on the host:\n{}", left.join("\n")).into()),
                Err(Stop::Skip(reason)) if left.is_empty() => {
                    println!("skipped {name}: {reason}");
                    Ok(Completion::ignored_with(reason))
                }
                Err(Stop::Skip(why) | Stop::Fail(why)) => {
                    let left = left.iter().map(|line| format!("\nleft on the host: {line}"));
                    Err(format!("{why}{}", left.collect::<String>()).into())
                }
            }
        }));
    }

    /// Adds a test for each of the runtimes.
    pub fn for_runtimes(&mut self, name: &str, body: fn(&Bed, Runtime) -> TestResult) {
        for runtime in RUNTIMES {
            self.test(format!("{name}::{}", runtime.name), move |bed| body(bed, runtime));
        }
    }

    /// A page of the documentation of which this suite owes blocks.
    pub fn page(&self, path: &str) -> Page {
        self.owed.page(path)
    }

    /// Runs what the command line selects.
    pub fn run(mut self) -> ExitCode {
        if Owed::is_any() {
            let settled = self.owed.settled();
            self.test("blocks_of_pages", |_| settled);
        }
        libtest_mimic::run(&Arguments::from_args(), self.trials).exit_code()
    }
}
