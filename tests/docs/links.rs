//! Each link of a page leads to a file that is there, and to a heading in it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::pages::pages;
use crate::support::{CHECKOUT, Suite, TestResult, equal, fail};

pub fn add(suite: &mut Suite) {
    suite.test("links::lead_somewhere", |_| lead_somewhere());
    suite.test("links::index", |_| index());
    suite.test("links::read", |_| read());
}

fn lead_somewhere() -> TestResult {
    let mut broken = Vec::new();
    let mut seen = 0;
    for page in pages()? {
        let text = fs::read_to_string(Path::new(CHECKOUT).join(&page))?;
        for link in links(&text) {
            seen += 1;
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => PathBuf::from(&page),
                _ => resolved(&Path::new(&page).with_file_name(file)),
            };
            let Ok(text) = fs::read(Path::new(CHECKOUT).join(&target)) else {
                if !Path::new(CHECKOUT).join(&target).is_dir() {
                    broken.push(format!("{page}: {link}: no such file"));
                }
                continue;
            };
            let text = String::from_utf8_lossy(&text);
            if !heading.is_empty() && !headings(&text).contains(heading) {
                broken.push(format!("{page}: {link}: no such heading"));
            }
        }
    }
    equal("are there any", seen > 80, true)?;
    match broken.is_empty() {
        true => Ok(()),
        false => fail(broken.join("\n")),
    }
}

/// The index leads to each page of its folder, or to the folder that the page is in.
fn index() -> TestResult {
    let index = "docs/README.md";
    let text = fs::read_to_string(Path::new(CHECKOUT).join(index))?;
    let files = links(&text)
        .into_iter()
        .map(|link| link.split('#').next().unwrap_or_default());
    let named: Vec<_> = files
        .map(|file| resolved(&Path::new(index).with_file_name(file)))
        .collect();
    let is_named = |page: &str| named.iter().any(|named| Path::new(page).starts_with(named));
    let all = pages()?;
    let missing: Vec<_> = all
        .iter()
        .filter(|page| page.starts_with("docs/") && *page != index && !is_named(page))
        .collect();
    equal("pages that the index lacks", missing, Vec::<&String>::new())
}

/// Without `..`, as a browser has it: never through the file system.
fn resolved(path: &Path) -> PathBuf {
    let mut resolved = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                resolved.pop();
            }
            Component::CurDir => {}
            part => resolved.push(part),
        }
    }
    resolved
}

/// The relative links of a page, outside of its blocks and of code in its lines.
fn links(page: &str) -> Vec<&str> {
    let mut links = Vec::new();
    for line in prose(page) {
        for (_, rest) in line.match_indices("](").map(|(at, _)| line.split_at(at + 2)) {
            let link = rest.split(')').next().unwrap_or_default();
            if !link.contains("://") {
                links.push(link);
            }
        }
    }
    links
}

/// The lines of a page that are in no block.
pub fn prose(page: &str) -> Vec<&str> {
    let mut inside = false;
    let is_prose = |line: &&str| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence
    };
    page.lines().filter(is_prose).collect()
}

/// What headings are called in links: small letters, digits, `-` and `_`, blanks as `-`, and a number where one is there again.
fn headings(page: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for line in prose(page) {
        let title = line.trim_start_matches('#');
        if line.len() == title.len() || !title.starts_with(' ') {
            continue;
        }
        let name = title.trim().to_lowercase().replace(' ', "-");
        let name: String = name
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
            .collect();
        let again = (1..).map(|number| format!("{name}-{number}"));
        let free = std::iter::once(name.clone())
            .chain(again)
            .find(|name| !names.contains(name));
        names.extend(free);
    }
    names
}

/// What is taken for a link or a heading is one.
fn read() -> TestResult {
    let page = "# One: `two` & three\n[a](b.md#c), [d](https://e)\n```text\n[no](no)\n# no\n```\n## Again\n## Again\n#no\n";
    equal("links", links(page), vec!["b.md#c"])?;
    let found: Vec<_> = headings(page).into_iter().collect();
    equal("headings", found, vec!["again", "again-1", "one-two--three"])?;
    equal(
        "resolved",
        resolved(Path::new("docs/../README.md")),
        PathBuf::from("README.md"),
    )
}
