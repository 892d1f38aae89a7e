//! Every block of every page is run by a suite, or says why not.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use procemu::Table;
use runtime_bridge::config::Config;

use crate::links::prose;
use crate::support::{
    Bed, Block, CHECKOUT, RUN_BY, Suite, TestResult, blocks, blocks_print, equal, fail, need, parsed, run_by,
    typed_blocks,
};

pub fn add(suite: &mut Suite) {
    suite.test("blocks::are_run", |_| are_run());
    suite.test("blocks::suites", |_| suites());
    suite.test("blocks::files", |_| files());
    suite.test("blocks::read", |_| read());
    suite.test("blocks::printed", printed);
    suite.test("blocks::paths", |_| paths());
    for (page, block) in not_run().unwrap_or_default() {
        let reason = format!("{page}:{}: {}", block.line, block.not_run.unwrap_or_default());
        suite.test(format!("not_run::{page}::{}", block.name), |_| need::skip(reason));
    }
}

/// All pages of the checkout, by their path in it.
pub fn pages() -> TestResult<Vec<String>> {
    let mut pages = Vec::new();
    let mut folders = vec![PathBuf::from(CHECKOUT)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() && !name.starts_with('.') && name != "target" {
                folders.push(path);
            } else if name.ends_with(".md") {
                let page = path.strip_prefix(CHECKOUT).unwrap_or(&path);
                pages.push(page.display().to_string());
            }
        }
    }
    pages.sort();
    equal(
        "README.md is a page",
        pages.iter().any(|page| page == "README.md"),
        true,
    )?;
    Ok(pages)
}

fn all_blocks() -> TestResult<Vec<(String, Block)>> {
    let mut all = Vec::new();
    for page in pages()? {
        let blocks = blocks(&page)?;
        all.extend(blocks.into_iter().map(|block| (page.clone(), block)));
    }
    Ok(all)
}

/// What is typed holds wherever the programs are: the packages have them in /usr/bin. Who makes a link says where.
fn paths() -> TestResult {
    for (page, block) in all_blocks()? {
        if !matches!(block.language.as_str(), "sh" | "console") {
            continue;
        }
        for line in block.commands().lines() {
            let names = |what: &str| line.contains(&format!("/usr/local/bin/{what}"));
            let makes_link = line.starts_with("ln -s");
            if names("nsprep") || names("runtime-bridge") || names("procemu-") && !makes_link {
                return fail(format!("{page}:{}: {}: {line}", block.line, block.name));
            }
        }
    }
    Ok(())
}

fn not_run() -> TestResult<Vec<(String, Block)>> {
    let mut all = all_blocks()?;
    all.retain(|(_, block)| block.not_run.is_some());
    Ok(all)
}

/// What is wrong with a block of `page`, whose names so far are `names`.
fn wrong(page: &str, block: &Block, names: &mut BTreeSet<String>) -> Option<&'static str> {
    match () {
        () if !block.is_to_be_run() || block.is_known_file() => None,
        () if block.language.is_empty() => Some("says no language; `text` is for what nobody types"),
        () if block.name.is_empty() => Some("has no name"),
        () if !names.insert(block.name.clone()) => Some("has a name that another block of the page has"),
        () if block.not_run.is_some() => None,
        () if run_by(page, &block.name).is_none() => Some("is run by no suite: tests/support/owed.rs"),
        () => None,
    }
}

/// Lines that Markdown takes for the beginning of a block, though no ``` is there: nobody could say who runs it.
fn unfenced(page: &str) -> Vec<&str> {
    let lines = prose(page);
    let before = std::iter::once("").chain(lines.iter().copied());
    let begins = |line: &str, before: &str| {
        line.starts_with("~~~") || before.is_empty() && (line.starts_with('\t') || line.starts_with("    "))
    };
    let pairs = lines.iter().copied().zip(before);
    pairs
        .filter(|(line, before)| begins(line, before))
        .map(|(line, _)| line)
        .collect()
}

fn are_run() -> TestResult {
    let mut problems = Vec::new();
    for page in pages()? {
        let text = fs::read_to_string(Path::new(CHECKOUT).join(&page))?;
        problems.extend(
            unfenced(&text)
                .into_iter()
                .map(|line| format!("{page}: a block without ```: {line}")),
        );
        let mut names = BTreeSet::new();
        for block in blocks(&page)? {
            if let Some(wrong) = wrong(&page, &block, &mut names) {
                problems.push(format!("{page}:{}: the block {wrong}", block.line));
            }
        }
    }
    match problems.is_empty() {
        true => Ok(()),
        false => fail(problems.join("\n")),
    }
}

/// Each suite that is said to run something exists, and so does what it is said to run. That it does run it, it says itself.
fn suites() -> TestResult {
    let manifest: toml::Table = fs::read_to_string(Path::new(CHECKOUT).join("Cargo.toml"))?.parse()?;
    let tests = manifest["test"].as_array().cloned().unwrap_or_default();
    let names: BTreeSet<_> = tests.iter().filter_map(|test| test["name"].as_str()).collect();
    for (place, suite) in RUN_BY {
        equal(
            format!("Cargo.toml has the suite {suite}"),
            names.contains(suite),
            true,
        )?;
        let (page, name) = place.split_once('#').unwrap_or((place, ""));
        let found = blocks(page)?.into_iter().any(|block| {
            let is_meant = name.is_empty() || block.name == name;
            is_meant && run_by(page, &block.name) == Some(suite)
        });
        equal(format!("{place} is a block to be run"), found, true)?;
    }
    Ok(())
}

/// Tables and bridge.tomls are read as such, whatever page shows them.
fn files() -> TestResult {
    let mut seen = BTreeSet::new();
    for (page, block) in all_blocks()?
        .into_iter()
        .filter(|(_, block)| block.is_known_file())
    {
        let place = format!("{page}:{}", block.line);
        let refused = match (block.language.as_str(), block.name.as_str()) {
            ("json", _) => Table::from_json(&block.text, &place)
                .err()
                .map(|error| error.to_string()),
            (_, "table") => Table::from_toml(&block.text, &place)
                .err()
                .map(|error| error.to_string()),
            _ => Config::parse(&block.text, Path::new(&place))
                .err()
                .map(|error| error.to_string()),
        };
        equal(&place, refused, None)?;
        seen.insert((block.language, block.name));
    }
    equal("kinds", seen.len(), 3)
}

/// What is taken for a block is one, and what is wrong with one is seen.
fn read() -> TestResult {
    let page = "```sh one\ntrue\n```\n\n```text\nout\n```\nwords\n```text\nalone\n```\n<!-- not run: far -->\n\n```console\n# a\nb\n```\n\
        ```\nplain\n```\n```sh one\n```\n```sh two\n```\n";
    let blocks = parsed(page)?;
    let shown: Vec<_> = blocks
        .iter()
        .map(|block| (block.line, block.prints.as_deref(), block.not_run.as_deref()))
        .collect();
    equal(
        "blocks",
        shown,
        vec![
            (1, Some("out"), None),
            (9, None, None),
            (14, None, Some("far")),
            (18, None, None),
            (21, None, None),
            (23, None, None),
        ],
    )?;
    let mut names = BTreeSet::new();
    let found: Vec<_> = blocks
        .iter()
        .map(|block| wrong("docs/profiles.md", block, &mut names).is_some())
        .collect();
    equal("wrong", found, vec![false, false, true, true, true, false])?;
    let nobody = wrong("nobody.md", &blocks[5], &mut BTreeSet::new());
    equal("run by nobody", nobody.is_some(), true)?;
    let page = "text\n    text\n```text\n\n    a\n```\n~~~\n\n    # b\n    c\n";
    equal("unfenced", unfenced(page), vec!["~~~", "    # b"])?;
    equal("no end", parsed("```sh one\ntrue\n").is_err(), true)
}

/// What a block prints is compared with what stands below it, and `...` is what is left out.
fn printed(bed: &Bed) -> TestResult {
    need::root()?;
    let page = "```console one\n# seq 3\n1\n...\n# ls /none\n...No such file...\n# x=5; echo a $x b\na ... b\n```\n```sh two\necho $x\n```\n\
        ```text\n5\n```\n```toml t.toml\na\n```\n```sh three\ncat t.toml\n```\n```text\na\n```\n";
    let output = bed.script(&typed_blocks(&parsed(page)?))?.succeed()?;
    blocks_print(&parsed(page)?, &output)?;
    for (right, wrong) in [
        ("\n1\n...", "\n1\n2"),
        ("a ... b", "a ... c"),
        ("```text\n5", "```text\n"),
    ] {
        let page = page.replacen(right, wrong, 1);
        equal(wrong, blocks_print(&parsed(&page)?, &output).is_err(), true)?;
    }
    Ok(())
}
