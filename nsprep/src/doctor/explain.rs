//! From the text of an error to what fails, why, and the command that cures it. Pure, but for asking whether a key is here.

use procemu::SysctlKey;
use serde::Serialize;

use super::errno::Refusal;
use super::known::{KNOWN, Known};
use super::wanted::{Proposal, is_of_cgroup};

/// What is known of a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Which error; the same in all versions.
    pub id: &'static str,
    /// The line of a longer text that it is about.
    pub line: Option<String>,
    /// What fails.
    pub what: String,
    /// Why.
    pub why: String,
    /// The key that it names.
    pub key: Option<SysctlKey>,
    /// Whether this place has that key; nothing where none is named or that cannot be told.
    pub here: Option<bool>,
    /// Commands, one of which cures it, or lines beginning with `#` on what to do.
    pub cure: Vec<String>,
}

/// What programs call themselves in their errors, and the profile of each.
const SAYING: [(&str, &str); 7] = [
    ("crun", "crun"),
    ("kubelet", "kubelet"),
    ("dockerd", "dockerd"),
    ("podman", "podman"),
    ("kube-proxy", "kube-proxy"),
    ("runc", "runc"),
    ("bwrap", "bubblewrap"),
];

/// What is known of `text`: of its first line that is known, else of the whole. `is_here` tells whether this place has a key.
pub fn explain(text: &str, is_here: impl Fn(&SysctlKey) -> Option<bool>) -> Option<Explanation> {
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    if lines().nth(1).is_none() {
        return of_one(text, &is_here);
    }
    let known = |line: &str| {
        let known = of_one(line, &is_here)?;
        Some(Explanation {
            line: Some(line.to_owned()),
            ..known
        })
    };
    lines().find_map(known).or_else(|| of_one(text, &is_here))
}

fn of_one(text: &str, is_here: &impl Fn(&SysctlKey) -> Option<bool>) -> Option<Explanation> {
    let lower = text.to_lowercase();
    let key = key_in(text);
    let here = key.as_ref().and_then(is_here);
    let fits = |known: &&Known| known.has.iter().all(|part| lower.contains(part));
    if let Some(known) = KNOWN.iter().find(fits) {
        return Some(Explanation {
            id: known.id,
            line: None,
            what: known.what.to_owned(),
            why: known.why.to_owned(),
            key,
            here,
            cure: known.cure.iter().map(|&line| line.to_owned()).collect(),
        });
    }
    let key = key?;
    let refusal = Refusal::in_text(&lower)?;
    // The first word of a line is as a rule the program that says it.
    let of_program = |(said, profile): &(&str, &'static str)| lower.contains(said).then_some(*profile);
    let preferred: Vec<&str> = SAYING.iter().filter_map(of_program).collect();
    let proposal = Proposal::of(&key, refusal, refusal == Refusal::ReadOnly, &preferred);
    Some(Explanation {
        id: match refusal {
            Refusal::Missing => "key_missing",
            Refusal::Denied | Refusal::ReadOnly => "key_not_writable",
            Refusal::Stuck => "key_stuck",
        },
        line: None,
        what: what(&key, refusal),
        why: why(&key, refusal, here).to_owned(),
        cure: cure(&key, &proposal),
        key: Some(key),
        here,
    })
}

fn what(key: &SysctlKey, refusal: Refusal) -> String {
    match refusal {
        Refusal::Missing => format!("a program needs {key}, which is not there"),
        Refusal::Denied => format!("a program may not open or write {key}"),
        Refusal::ReadOnly => format!("a program writes {key}, which is read-only"),
        Refusal::Stuck => format!("{key} takes no write"),
    }
}

fn why(key: &SysctlKey, refusal: Refusal, here: Option<bool>) -> &'static str {
    match (refusal, here) {
        (Refusal::Missing, _) if is_of_cgroup(key) => {
            "a file of a cgroup is there where the cgroup is and its controller is on: no table gives it"
        }
        (Refusal::Missing, Some(true)) => {
            "this /proc has it: the program saw another one, a container's or that of another namespace"
        }
        (Refusal::Missing, _) => {
            "the kernel, sandbox or container that it runs in lacks the key: another version, a module that is not loaded, gVisor, \
             LXC, a namespace that hides it"
        }
        (Refusal::Denied, _) => {
            "the program's rights do not reach: it is not root of the key's namespace, or a security module or seccomp filter denies it"
        }
        (Refusal::ReadOnly, _) => {
            "/proc/sys is mounted read-only, as Docker, OpenVZ and most containers have it"
        }
        (Refusal::Stuck, _) => "the sandbox has the key as a constant, as gVisor does",
    }
}

fn cure(key: &SysctlKey, proposal: &Proposal) -> Vec<String> {
    match proposal {
        Proposal::Entry { profile: "runc", .. } => vec![
            "nsprep bundle BUNDLE  # once, for the bundle".to_owned(),
            "runtime-bridge install ENGINE --as-default  # for all containers of an engine".to_owned(),
        ],
        Proposal::Entry { profile, .. } => {
            let mut cure = vec![format!("nsprep exec --profile {profile} -- CMD")];
            if key.to_string() == "kernel/cap_last_cap" {
                // Of all keys the one that is read in containers as well.
                cure.push(
                    "runtime-bridge install ENGINE --as-default  # for all containers of an engine"
                        .to_owned(),
                );
            }
            cure
        }
        Proposal::Host => vec![
            format!("# write keys.toml:\n[keys]\n{}", proposal.line(key)),
            "nsprep exec --table keys.toml -- CMD".to_owned(),
        ],
        Proposal::OfCgroup => {
            vec!["nsprep doctor  # which cgroups there are, and for whom they do not do".to_owned()]
        }
        Proposal::OnlyMissing { .. } | Proposal::Unknown => vec![
            format!(
                "# write keys.toml, with a value that is true here:\n[keys]\n{}",
                proposal.line(key).trim_start_matches("# ")
            ),
            "nsprep exec --table keys.toml -- CMD".to_owned(),
        ],
    }
}

/// The first key that the text names: by a path of `/proc` or `/sys`, in the spellings of runtimes too (`/proc/./sys/x`,
/// `fsmount:fscontext:proc/./sys/x`), or as a sysctl (`open sysctl net.x file`, `sysctl net.x=1`, `"net.x"`).
fn key_in(text: &str) -> Option<SysctlKey> {
    let is_end = |c: char| c.is_whitespace() || "\"'`(),;<>|".contains(c);
    let words = || text.split(is_end).map(|word| word.trim_end_matches([':', '.']));
    let of_path = |word: &str| {
        let at = ["/proc/", "/sys/", "fscontext:proc/"]
            .iter()
            .filter_map(|start| {
                word.find(start)
                    .map(|at| at + usize::from(*start == "fscontext:proc/") * 10)
            })
            .min()?;
        let path = word.get(at..)?.replace("/./", "/");
        let path = match path.strip_prefix("proc/") {
            Some(rest) => format!("/proc/{rest}"),
            None => path,
        };
        // Where something follows without a space: `/proc/sys/vm/x:` was cut above, `x=1` is here.
        let path = path.split('=').next().unwrap_or_default();
        path.parse().ok()
    };
    let after_sysctl = || {
        let words: Vec<&str> = words().filter(|word| !word.is_empty()).collect();
        words.windows(2).find_map(|pair| {
            let name = pair[1].split('=').next().unwrap_or_default();
            (pair[0].eq_ignore_ascii_case("sysctl") && name.contains('.'))
                .then(|| name.parse().ok())
                .flatten()
        })
    };
    words()
        .find_map(of_path)
        .or_else(after_sysctl)
        .or_else(|| words().find_map(bare))
}

/// A sysctl that stands by itself: `permission denied on key "vm.x"`, `Couldn't write '1' to 'net/ipv4/x'`. Other words have dots, too, so
/// it has to begin as sysctls do.
fn bare(word: &str) -> Option<SysctlKey> {
    let names: Vec<&str> = word.split(['.', '/']).collect();
    let is_one = match names.as_slice() {
        ["fs" | "kernel" | "vm", _, ..] => true,
        ["net", family, _, ..] => ["core", "ipv4", "ipv6", "netfilter", "bridge", "unix"].contains(family),
        _ => false,
    };
    is_one.then(|| word.parse().ok()).flatten()
}

#[cfg(test)]
#[path = "explain_tests.rs"]
mod tests;
