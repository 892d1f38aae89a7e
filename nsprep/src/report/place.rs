//! What `doctor` tells: findings, keys of profiles, what is here.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::badge::badge;
use crate::doctor::finding::Finding;
use crate::doctor::keys::ProfileState;
use crate::doctor::programs::Program;
use crate::doctor::report::tables::{facts, lacking, view};
use crate::doctor::surroundings::Surroundings;
use crate::shown::{counted, plain};

/// What goes wrong, and the cures.
pub fn findings(findings: &[Finding]) -> Markup {
    html! {
        @if findings.is_empty() { p { "Nothing found: what is looked at works here." } }
        ol.findings { @for finding in findings { li {
            h3 { (finding.who.join(", ")) " " (badge(finding.level.word())) }
            p { strong { (plain(&finding.what)) } }
            @if !finding.keys.is_empty() {
                ul.plain { @for key in &finding.keys {
                    li { (badge(key.state.word())) " " code { (plain(&key.key.to_string())) } " " span.dim { (plain(&key.doc)) } }
                } }
            }
            @if !finding.why.is_empty() { p { (plain(&finding.why)) } }
            @if !finding.cure.is_empty() {
                pre tabindex="0" aria-label="Cure" { (plain_lines(&finding.cure.join("\n"))) }
            }
        } } }
    }
}

fn plain_lines(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(plain).collect();
    lines.join("\n")
}

/// How each profile fares, and each key that is lacking.
pub fn profiles(profiles: &[ProfileState]) -> Markup {
    let mut keys: BTreeMap<_, (&str, &str, Vec<&str>)> = BTreeMap::new();
    for state in profiles {
        for key in &state.lacking {
            let known = keys.entry(&key.key);
            let known = known.or_insert((key.state.word(), &key.doc, Vec::new()));
            known.2.push(&state.profile);
        }
    }
    html! {
        div.scroll tabindex="0" role="region" aria-label="Profiles" {
            table.figures {
                thead { tr {
                    th scope="col" { "Profile" }
                    th.number scope="col" { "Keys" }
                    th.number scope="col" { "Here" }
                    th.number scope="col" { "Missing" }
                    th.number scope="col" { "Stuck or zero" }
                    th scope="col" { "Looked for in" }
                } }
                tbody { @for state in profiles {
                    @let (missing, stuck) = lacking(state);
                    tr {
                        th scope="row" { (state.profile) }
                        td.number { (state.keys) }
                        td.number { @if state.problem.is_none() { (state.keys - missing - stuck) } @else { "?" } }
                        td.number.lacks[missing > 0] { (missing) }
                        td.number.lacks[stuck > 0] { (stuck) }
                        td { (plain(view(state))) }
                    }
                } }
            }
        }
        h3 { "Keys that are lacking" }
        @if keys.is_empty() { p { "None." } } @else {
            div.scroll tabindex="0" role="region" aria-label="Keys that are lacking" {
                table {
                    thead { tr {
                        th scope="col" { "Key" }
                        th scope="col" { "State" }
                        th scope="col" { "Who reads it" }
                        th scope="col" { "Profiles" }
                    } }
                    tbody { @for (key, (state, doc, of)) in &keys {
                        tr data-row data-state=(state) {
                            th scope="row" { code { (plain(&key.to_string())) } }
                            td { (badge(state)) }
                            td { (plain(doc)) }
                            td { (of.join(", ")) }
                        }
                    } }
                }
            }
        }
    }
}

/// What the place is, and which programs are there.
pub fn environment(place: &Surroundings, programs: &[Program]) -> Markup {
    html! {
        dl { @for (name, value) in facts(place) {
            div { dt { (name) } dd { (plain(&value)) } }
        } }
        h3 { "Runtimes and engines" }
        @if programs.is_empty() { p { "No runtime and no engine on PATH." } } @else {
            div.scroll tabindex="0" role="region" aria-label="Runtimes and engines" {
                table {
                    thead { tr {
                        th scope="col" { "Program" }
                        th scope="col" { "Version" }
                        th scope="col" { "Path" }
                        th scope="col" { "Containers" }
                    } }
                    tbody { @for program in programs { tr {
                        th scope="row" { (program.name) }
                        td { (plain(program.told.as_deref().unwrap_or("?"))) }
                        td { code { (plain(&program.path)) } }
                        td { @if program.bridged { "prepared by runtime-bridge" } @else { "as they are" } }
                    } } }
                }
            }
        }
        p.dim { (counted(programs.len(), "program")) " found on PATH." }
    }
}
