//! Calls that have to be refused.

use super::{Bed, TestResult, equal, need};

/// Runs `call`, which has to end with `code` and one line with all the words; nothing may be mounted or written by it.
///
/// # Errors
/// It is not refused, or not like that.
pub fn refused(bed: &Bed, call: &str, code: i32, words: &[&str]) -> TestResult {
    need::root()?;
    let text = format!(
        r#"look() {{ cat /proc/self/mountinfo; find "$BED" -mindepth 1 ! -name 'std*' ! -name 'look.*' -printf '%p %i %m %s %T@\n'; }}
        look > look.1
        status=0; ({call}) || status=$?
        look > look.2
        diff look.1 look.2
        exit $status"#
    );
    let output = bed.script(&text)?.run()?;
    equal("standard output", output.stdout.as_str(), "")
        .or_else(|_| output.fail("something was printed or changed"))?;
    output.refuses(code, words)
}
