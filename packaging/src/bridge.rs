//! An example of `bridge.toml`, from the page that describes it.

use std::fmt::Write;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// The page.
pub const PAGE: &str = include_str!("../../docs/bridge-toml.md");

const BEGINNING: &str = "\
# What runtime-bridge prepares containers with: bridge.toml(5). All is optional; what stands here is what holds without it.
";

/// A file with every key, its default and its meaning, all in comments.
pub fn example() -> Result<String, String> {
    let mut text = BEGINNING.to_owned();
    let mut within = String::new();
    let rows = rows(PAGE);
    if rows.is_empty() {
        return Err("docs/bridge-toml.md has no table of keys".to_owned());
    }
    for row in rows {
        let [key, default, means] = row.as_slice() else {
            return Err(format!(
                "docs/bridge-toml.md: a row has {} columns, expected key, default, means",
                row.len()
            ));
        };
        let (table, name) = match key.text.split_once("] ") {
            Some((table, name)) => (format!("{table}]"), name),
            None => (String::new(), key.text.as_str()),
        };
        if table != within {
            let _ = write!(text, "\n{table}\n");
            within = table;
        }
        // One that is none can only be told.
        let comment = match default.is_code {
            true => means.text.clone(),
            false => format!("{name} (default: {}): {}", default.text, means.text),
        };
        text.push('\n');
        for line in wrapped(&comment, 117) {
            let _ = writeln!(text, "# {line}");
        }
        if default.is_code {
            let _ = writeln!(text, "#{name} = {}", default.text);
        }
    }
    Ok(text)
}

/// A cell of a table.
#[derive(Default)]
struct Cell {
    text: String,
    /// Whether that is all code.
    is_code: bool,
}

/// The rows of the tables in `markdown`, without their heads.
fn rows(markdown: &str) -> Vec<Vec<Cell>> {
    let mut rows = Vec::new();
    let mut row: Vec<Cell> = Vec::new();
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::TableCell) => row.push(Cell {
                text: String::new(),
                is_code: true,
            }),
            Event::End(TagEnd::TableHead) => row.clear(),
            Event::End(TagEnd::TableRow) => rows.push(std::mem::take(&mut row)),
            Event::Code(code) => {
                if let Some(cell) = row.last_mut() {
                    cell.text.push_str(&code);
                }
            }
            Event::Text(text) => {
                if let Some(cell) = row.last_mut() {
                    cell.text.push_str(&text);
                    cell.is_code = false;
                }
            }
            _ => {}
        }
    }
    rows
}

/// `text` in lines of at most `width` bytes, longer words excepted.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use runtime_bridge::config::Config;

    use super::example;

    fn parse(text: &str) -> Config {
        Config::parse(text, Path::new("bridge.toml")).unwrap()
    }

    #[test]
    fn as_it_is_it_changes_nothing() {
        assert_eq!(parse(&example().unwrap()), Config::default());
    }

    #[test]
    fn the_page_tells_the_defaults() {
        let text = example().unwrap();
        let settings: Vec<_> = text
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(setting) if !setting.starts_with(' ') => setting,
                _ => line,
            })
            .collect();
        let config = parse(&settings.join("\n"));
        let default = Config {
            policy: config.policy,
            ..Config::default()
        };
        assert_eq!(config, default);
        // Policies that a preset turns on are told by what holds without one.
        let keep = Config::default();
        for (told, default) in [
            (config.policy.crun_cgroups, keep.policy.crun_cgroups),
            (config.policy.cgroup_namespace, keep.policy.cgroup_namespace),
            (config.policy.unified_resources, keep.policy.unified_resources),
        ] {
            assert_eq!(config.cures(told), keep.cures(default));
        }
        let rest = runtime_bridge::config::Policy {
            crun_cgroups: None,
            cgroup_namespace: None,
            unified_resources: None,
            ..config.policy
        };
        assert_eq!(rest, keep.policy);
    }
}
