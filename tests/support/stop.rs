//! Why a test stops before its end.

use std::fmt::{Debug, Display};

/// A test passes, fails or is skipped.
pub type TestResult<T = ()> = Result<T, Stop>;

/// Why a test stops before its end.
#[derive(Debug)]
pub enum Stop {
    /// It cannot run here; the reason says what is missing.
    Skip(String),
    /// What it should show is not so.
    Fail(String),
}

impl<E: std::error::Error> From<E> for Stop {
    fn from(error: E) -> Self {
        Stop::Fail(format!("{error} ({error:?})"))
    }
}

/// Fails with `why`.
pub fn fail<T>(why: impl Display) -> TestResult<T> {
    Err(Stop::Fail(why.to_string()))
}

/// Fails when `got` is not `expected`; `what` names the thing compared.
pub fn equal<T: PartialEq<U> + Debug, U: Debug>(what: impl Display, got: T, expected: U) -> TestResult {
    if got == expected {
        Ok(())
    } else {
        fail(format!("{what}: expected {expected:?}, got {got:?}"))
    }
}
