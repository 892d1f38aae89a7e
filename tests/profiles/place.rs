//! Where keys are missing: the same command there, bare and with a profile.

use super::support::{Bed, Script, TestResult, section};

/// `lack KEY...`: a procfs without them, which takes no new files either.
pub const LACK: &str = r#"lack() {
        local key folder
        deprive /proc "$@"
        for folder in $(printf '%s\n' "$@" | sed 's|/[^/]*$||' | sort -u); do mount -o remount,bind,ro "/proc/sys/$folder"; done
        for key in "$@"; do [ ! -e "/proc/sys/$key" ] || exit 9; done
    }
    "#;

/// What `try` (a function that puts its arguments before its command) prints in `place`, bare and in `nsprep exec --profile`.
pub struct Tried {
    /// Without us.
    pub bare: Vec<String>,
    /// With the profile.
    pub cured: Vec<String>,
}

/// Runs it.
pub fn tried(bed: &Bed, profile: &str, with: impl FnOnce(Script) -> Script, text: &str) -> TestResult<Tried> {
    let text = format!(
        "{LACK}{text}\necho '== bare'; try env 2>&1\necho '== cured'; try \"$NSPREP\" exec --profile {profile} -- 2>&1"
    );
    let output = with(bed.script(&text)?).succeed()?;
    let lines = |name| -> TestResult<Vec<String>> {
        Ok(section(&output, name)?.into_iter().map(str::to_owned).collect())
    };
    Ok(Tried {
        bare: lines("bare")?,
        cured: lines("cured")?,
    })
}
