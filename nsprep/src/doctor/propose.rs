//! From what a command was refused to a table that gives it. Pure.

use std::collections::BTreeSet;
use std::fmt::Write;

use procemu::{Profile, SysctlKey};
use serde::Serialize;

use super::errno::Refusal;
use super::wanted::Proposal;
use super::watch::Refused;

/// One key that a command was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proposed {
    /// The key.
    pub key: SysctlKey,
    /// How it was refused.
    pub refusal: Refusal,
    /// To which programs, as the kernel names them.
    pub programs: BTreeSet<String>,
    /// Whether it was seen; else it is lacking for a program that ended before it came to it.
    pub seen: bool,
    /// The profile whose entry is proposed.
    pub profile: Option<&'static str>,
    /// Its line in a table; a comment where a value has to be found first.
    pub line: String,
}

/// What to do about each that was refused, and about those that would be next. `named` are the profiles that were asked for.
pub fn proposed(refused: &Refused, next: &Refused, named: &[&str]) -> Vec<Proposed> {
    let is_new = |one: &(SysctlKey, Refusal)| !refused.keys().any(|(key, _)| *key == one.0);
    let next = next.iter().filter(|(one, _)| is_new(one));
    let seen = refused.iter().map(|one| (one, true));
    let mut all: Vec<Proposed> = seen
        .chain(next.map(|one| (one, false)))
        .map(|(((key, refusal), whom), seen)| {
            let mut preferred = named.to_vec();
            // `runc:[2:INIT]` is runc.
            let names = whom
                .programs
                .iter()
                .filter_map(|name| name.split([':', ' ']).next());
            preferred.extend(names.filter_map(|name| Some(Profile::find(name).ok()?.name())));
            let proposal = Proposal::of(key, *refusal, whom.writes, &preferred);
            Proposed {
                key: key.clone(),
                refusal: *refusal,
                programs: whom.programs.clone(),
                seen,
                profile: match &proposal {
                    Proposal::Entry { profile, .. } => Some(profile),
                    _ => None,
                },
                line: proposal.line(key),
            }
        })
        .collect();
    // A key may be there twice, missing and refused: the table takes one line of it.
    let mut given = BTreeSet::new();
    let is_comment = |one: &Proposed| one.line.starts_with('#');
    all.retain(|one| is_comment(one) || given.insert(one.key.clone()));
    // What can be had comes first.
    all.sort_by_key(|one| (is_comment(one), one.key.clone()));
    all
}

/// The table, to be written to a file as it is. `before` has to stand before the command that it is for.
pub fn table(proposed: &[Proposed], before: &str) -> String {
    let mut text = format!(
        "# Proposed by `nsprep doctor -- CMD`. Around a program: {before}nsprep exec --table FILE -- CMD\n\
         # In a container: nsprep bundle --table FILE BUNDLE, or tables = [\"FILE\"] in /etc/procemu/bridge.toml\n\n[keys]\n",
    );
    for one in proposed {
        let programs: Vec<_> = one.programs.iter().map(String::as_str).collect();
        let of = one
            .profile
            .map(|name| format!("; profile {name}"))
            .unwrap_or_default();
        // Names of programs are theirs to choose.
        let programs = programs.join(", ").replace(|c: char| c.is_control(), "?");
        let next = if one.seen { "" } else { ", had it come so far" };
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "# {programs}: {}{next}{of}\n{}",
            one.refusal.words(),
            one.line
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::watch::Whom;
    use procemu::Table;

    fn refused(all: &[(&str, Refusal, &str)]) -> Refused {
        let one = |(key, refusal, program): &(&str, Refusal, &str)| {
            (
                (key.parse().unwrap(), *refusal),
                Whom {
                    programs: BTreeSet::from([(*program).to_owned()]),
                    writes: *refusal == Refusal::ReadOnly,
                },
            )
        };
        all.iter().map(one).collect()
    }

    #[test]
    fn a_proposal_is_a_table_with_what_is_known() {
        let seen = refused(&[
            ("kernel/cap_last_cap", Refusal::Missing, "runc:[2:INIT]"),
            ("kernel/made_up", Refusal::Missing, "cat\nx = 1"),
            ("vm/overcommit_memory", Refusal::Stuck, "kubelet"),
            ("/sys/module/made/parameters/up", Refusal::Missing, "modprobe"),
        ]);
        let all = proposed(&seen, &Refused::new(), &[]);
        let text = table(&all, "");
        let read = Table::from_toml(&text, "proposal").unwrap_or_else(|error| panic!("{error}: {text}"));
        let keys: Vec<_> = read.keys().map(ToString::to_string).collect();
        assert_eq!(keys, ["kernel/cap_last_cap", "vm/overcommit_memory"]);
        assert_eq!(all[0].profile, Some("runc"));
        assert_eq!(all[1].profile, Some("kubelet"));
        assert!(text.contains("# \"kernel/made_up\" = { value = ... }"), "{text}");
    }

    #[test]
    fn a_key_has_one_line_in_the_table() {
        let seen = refused(&[
            ("vm/overcommit_memory", Refusal::Missing, "a"),
            ("vm/overcommit_memory", Refusal::Stuck, "b"),
            ("kernel/made_up", Refusal::ReadOnly, "c"),
            ("kernel/made_up", Refusal::Missing, "d"),
        ]);
        assert!(Table::from_toml(&table(&proposed(&seen, &Refused::new(), &[]), ""), "proposal").is_ok());
    }

    #[test]
    fn what_comes_next_is_in_the_table_once() {
        let cap = [("kernel/cap_last_cap", Refusal::Missing, "crun")];
        let text = |seen: &[_]| table(&proposed(&refused(seen), &refused(&cap), &[]), "");
        assert!(text(&[]).contains("# crun: no such file or directory, had it come so far; profile crun\n"));
        assert_eq!(text(&cap).matches("cap_last_cap\" =").count(), 1);
        assert!(!text(&cap).contains("had it come"));
    }

    #[test]
    fn nothing_refused_is_an_empty_table() {
        assert!(Table::from_toml(&table(&[], ""), "proposal").unwrap().is_empty());
    }
}
