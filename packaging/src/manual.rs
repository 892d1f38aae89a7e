//! Manual pages: of each command from its command line, of each file format from the page that describes it.

use std::error::Error;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, roman};

use crate::{bridge, commands, markdown};

const TABLES: &str = include_str!("../../docs/tables.md");

/// All of them, by their file names.
pub fn pages(date: &str) -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let mut pages = Vec::new();
    for program in commands::all() {
        let known = commands::flattened(&program);
        for command in &known {
            let see = see_also(command, &known);
            pages.push((format!("{}.1", name(command)), of_command(command, date, &see)?));
        }
    }
    let formats = [
        (
            "bridge.toml",
            "configuration of runtime-bridge",
            bridge::PAGE,
            ["runtime-bridge(1)", "procemu-table(5)"],
        ),
        (
            "procemu-table",
            "tables of files of /proc and /sys that a program needs",
            TABLES,
            ["nsprep(1)", "bridge.toml(5)"],
        ),
    ];
    for (name, about, text, see) in formats {
        let mut page = Roff::new();
        let source = format!("procemu {}", env!("CARGO_PKG_VERSION"));
        page.control("TH", [name, "5", date, &source]);
        page.control("SH", ["NAME"]);
        page.text([roman(format!("{name} - {about}"))]);
        page.control("SH", ["DESCRIPTION"]);
        markdown::render(text, &mut page);
        page.control("SH", ["SEE ALSO"]);
        page.text(references(&see.map(str::to_owned)));
        pages.push((format!("{name}.5"), tidy(&page.to_roff())));
    }
    Ok(pages)
}

fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or(command.get_name())
}

fn of_command(command: &Command, date: &str, see: &[String]) -> Result<String, Box<dyn Error>> {
    let source = format!("procemu {}", env!("CARGO_PKG_VERSION"));
    // What stands in its help has the values' names and the `--`.
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").to_owned();
    let man = Man::new(command.clone().override_usage(usage))
        .title(name(command))
        .date(date)
        .source(source);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let mut rest = Roff::new();
    if let Some(after) = command.get_after_long_help().or(command.get_after_help()) {
        // Each part has its heading.
        for part in after.to_string().split("\n\n") {
            let (heading, lines) = part.split_once('\n').unwrap_or(("Notes", part));
            rest.control("SH", [heading.trim_end_matches(':').to_uppercase().as_str()]);
            markdown::verbatim(lines, &mut rest);
        }
    }
    rest.control("SH", ["SEE ALSO"]);
    rest.text(references(see));
    rest.to_writer(&mut page)?;
    Ok(tidy(&String::from_utf8(page)?))
}

/// Without what mandoc(1) warns of: spaces before line ends, a paragraph that begins with its section, two breaks at once.
fn tidy(page: &str) -> String {
    let mut tidied = String::new();
    let mut before = "";
    for line in page.lines().map(str::trim_end) {
        let begins = before.starts_with(".SH ") || before.starts_with(".SS ");
        before = line;
        if !(begins && line == ".PP") {
            tidied.push_str(line);
            tidied.push('\n');
        }
    }
    tidied.replace("\n.br\n\n.br\n", "\n.sp\n")
}

/// The page above, those below, the program's file formats.
fn see_also(command: &Command, known: &[&Command]) -> Vec<String> {
    let own = name(command);
    let page = |command: &&Command| format!("{}(1)", name(command));
    let is_above = |other: &&Command| {
        own.strip_prefix(name(other))
            .is_some_and(|rest| rest.starts_with('-') && !rest[1..].contains('-'))
    };
    let above = known.iter().filter(|other| is_above(other)).map(page);
    let below = command
        .get_subcommands()
        .filter(|below| !below.is_hide_set())
        .collect::<Vec<_>>();
    above
        .chain(below.iter().map(page))
        .chain(["procemu-table(5)".to_owned(), "bridge.toml(5)".to_owned()])
        .collect()
}

/// `name(section)`, separated by commas.
fn references(pages: &[String]) -> Vec<Inline> {
    let mut line = Vec::new();
    for (at, page) in pages.iter().enumerate() {
        let (name, section) = page.split_at(page.find('(').unwrap_or(page.len()));
        line.push(bold(name));
        line.push(roman(match at + 1 == pages.len() {
            true => section.to_owned(),
            false => format!("{section}, "),
        }));
    }
    line
}
