//! A program that does something each time it is asked, and tells what it took.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::Outcome;
use crate::cost::Cost;

/// A running one. It ends when this is dropped.
pub struct Helper {
    child: Child,
    pipes: RefCell<Option<(ChildStdin, BufReader<ChildStdout>)>>,
}

impl Helper {
    /// Starts it.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(command: &mut Command) -> Outcome<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take().map(BufReader::new));
        Ok(Self {
            child,
            pipes: RefCell::new(pipes),
        })
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a line and gives the numbers of the answer.
    ///
    /// # Errors
    /// If it answers with something else, or has ended.
    pub fn ask(&self, line: &str) -> Outcome<Vec<f64>> {
        if let Some((to, _)) = &mut *self.pipes.borrow_mut() {
            writeln!(to, "{line}")?;
        }
        let answer = self.line()?;
        let numbers: Result<Vec<f64>, _> = answer.split_whitespace().map(str::parse).collect();
        numbers.map_err(|e| format!("{line:?} was answered with {answer:?}: {e}").into())
    }

    /// The same where the answer is CPU and wall nanoseconds of each part.
    ///
    /// # Errors
    /// As [`Helper::ask`].
    pub fn costs(&self, line: &str) -> Outcome<Vec<Cost>> {
        let numbers = self.ask(line)?;
        let costs = numbers.chunks_exact(2).map(|pair| Cost {
            cpu: pair[0] / 1e9,
            wall: pair[1] / 1e9,
        });
        Ok(costs.collect())
    }

    /// The next line that it says.
    ///
    /// # Errors
    /// If it has ended.
    pub fn line(&self) -> Outcome<String> {
        let mut line = String::new();
        if let Some((_, from)) = &mut *self.pipes.borrow_mut() {
            from.read_line(&mut line)?;
        }
        if line.is_empty() {
            return Err("the program ended before it answered".into());
        }
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // The end of its input is its end. What it had started ends with it.
        self.pipes.take();
        let _ = self.child.wait();
    }
}
