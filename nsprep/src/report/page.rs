//! The page around the sections. It loads nothing, and its policy lets nothing be loaded or run but what is its own.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::badge::tile;
use super::{Told, keys, place, tree};
use crate::diff::Action;
use crate::doctor::finding::Level;
use crate::shown::{counted, plain};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("filter.js");
/// What they sum up to, as `openssl dgst -sha256 -binary FILE | base64` says; a test does too.
const STYLE_SUM: &str = "sha256-Y1QWmbYt1Sefli1Cv+bgIlub7U0BvZhUEi3n85egEkE=";
const SCRIPT_SUM: &str = "sha256-qv9xWnQVkpHz6DrDdCh2PBsqnTKxSqd6Xs3Dj4B/4ug=";

/// The states that rows can be filtered by.
const STATES: [&str; 7] = ["add", "replace", "keep", "differs", "missing", "stuck", "zero"];

/// All of it.
pub fn page(told: &Told) -> String {
    let policy = format!(
        "default-src 'none'; style-src '{STYLE_SUM}'; script-src '{SCRIPT_SUM}'; img-src data:; base-uri 'none'; form-action 'none'"
    );
    let title = format!("procemu report: {}", plain(&told.place));
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content=(concat!("nsprep ", env!("CARGO_PKG_VERSION")));
                title { (title) }
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#main" { "Skip to the report" }
                header { (head(told)) }
                nav aria-label="Sections" { ul { @for (id, title, ..) in SECTIONS {
                    li { a href={ "#" (id) } { (title) } }
                } } }
                main #main {
                    (figures(told))
                    (filter())
                    @for (id, title, content) in SECTIONS {
                        section aria-labelledby=(id) { h2 #(id) { (title) } (content(told)) }
                    }
                }
                footer { (foot(told)) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string() + "\n"
}

type Section = (&'static str, &'static str, fn(&Told) -> Markup);

const SECTIONS: [Section; 6] = [
    ("findings", "Findings", |told| {
        place::findings(&told.found.findings)
    }),
    ("keys", "Keys of the table", |told| match &told.seen {
        Ok(seen) => keys::keys(&seen.diff),
        Err(why) => unseen(why),
    }),
    ("plan", "Plan", plan),
    ("attached", "Attached and verified", |told| match &told.seen {
        Ok(seen) => keys::attached(&seen.diff),
        Err(why) => unseen(why),
    }),
    ("profiles", "Profiles", |told| {
        place::profiles(&told.found.profiles)
    }),
    ("environment", "Environment", |told| {
        place::environment(&told.found.place, &told.found.programs)
    }),
];

fn plan(told: &Told) -> Markup {
    match &told.seen {
        Ok(seen) if seen.tree.is_empty() => html! { p { "Nothing to do: no key of the table is lacking." } },
        Ok(seen) => tree::tree(&seen.tree),
        Err(why) => unseen(why),
    }
}

fn unseen(why: &str) -> Markup {
    html! { p.problem { "There is no plan: " (plain(why)) } }
}

fn time(told: &Told) -> String {
    humantime::format_rfc3339_seconds(told.at).to_string()
}

fn head(told: &Told) -> Markup {
    let at = time(told);
    let of = match told.place.as_str() {
        "here" => "where nsprep runs".to_owned(),
        place => plain(place),
    };
    html! {
        h1 { "procemu report" }
        p { "Keys as a reader sees them " strong { (of) } ", " time datetime=(at) { (at.replace('T', " ").replace('Z', " UTC")) } }
    }
}

fn figures(told: &Told) -> Markup {
    let level = |level| {
        told.found
            .findings
            .iter()
            .filter(|finding| finding.level == level)
            .count()
    };
    let keys = |action| told.seen.as_ref().map_or(0, |seen| seen.diff.count(action));
    html! {
        ul.tiles aria-label="In figures" {
            (tile(level(Level::Fails), "fail here", "bad"))
            (tile(level(Level::MayFail), "may fail", "unsure"))
            (tile(keys(Action::Add), "keys to add", "good"))
            (tile(keys(Action::Replace), "to replace", "unsure"))
            (tile(keys(Action::Keep), "as they are", "calm"))
            (tile(keys(Action::Differs), "not as the table has them", "bad"))
        }
    }
}

/// Hidden until the script can do something about it.
fn filter() -> Markup {
    html! {
        form.filter #filter hidden role="search" {
            label { "Filter keys " input type="search" name="q" autocomplete="off" placeholder="kernel/"; }
            label { "State " select name="state" {
                option value="" { "all" }
                @for state in STATES { option value=(state) { (state) } }
            } }
            output aria-live="polite" {}
        }
    }
}

fn foot(told: &Told) -> Markup {
    html! {
        p {
            "nsprep " (env!("CARGO_PKG_VERSION")) " on " (plain(&told.found.place.kernel)) ", with "
            (counted(told.found.programs.len(), "runtime or engine")) " and " (counted(told.found.profiles.len(), "profile"))
            ". Findings, profiles and environment are of where nsprep ran; keys, plan and what is attached, of "
            @match told.place.as_str() { "here" => "there too", place => (plain(place)) } "."
        }
    }
}
