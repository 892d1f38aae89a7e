//! The blocks of a page of the documentation, to be executed as they stand there.

use std::fs;
use std::path::Path;

use super::{TestResult, fail, section};

/// The checkout that the tests are from.
pub const CHECKOUT: &str = env!("CARGO_MANIFEST_DIR");

/// One fenced block: "```LANGUAGE NAME", of which readers see the text alone.
#[derive(Clone, Debug, Default)]
pub struct Block {
    /// The line that begins it, from 1.
    pub line: usize,
    /// `sh`, `console`, `toml`, ...; empty where none is said.
    pub language: String,
    /// Its name; empty where it has none.
    pub name: String,
    /// What stands in it.
    pub text: String,
    /// What it prints: the text block right below it.
    pub prints: Option<String>,
    /// Why it cannot be run here: the comment right above it, `<!-- not run: REASON -->`.
    pub not_run: Option<String>,
}

/// The blocks of the page at `path` in the checkout, in their order. A `text` block right below commands belongs to these.
///
/// # Errors
/// There is no such page, or a block has no end.
pub fn blocks(path: &str) -> TestResult<Vec<Block>> {
    parsed(&fs::read_to_string(Path::new(CHECKOUT).join(path))?)
}

/// The same of a page's text.
///
/// # Errors
/// A block has no end.
pub fn parsed(page: &str) -> TestResult<Vec<Block>> {
    let mut blocks: Vec<Block> = Vec::new();
    // The last line that is not empty, and whether it ended a block.
    let (mut last, mut below_block) = ("", false);
    let mut lines = page.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(info) = line.trim_start().strip_prefix("```") else {
            if !line.trim().is_empty() {
                (last, below_block) = (line, false);
            }
            continue;
        };
        let indent = line.len() - line.trim_start().len();
        let mut text = Vec::new();
        loop {
            match lines.next() {
                Some((_, line)) if line.trim() == "```" => break,
                Some((_, line)) => text.push(line.get(indent..).unwrap_or_default()),
                None => return fail(format!("line {}: a block without an end", number + 1)),
            }
        }
        let (language, name) = info.split_once(' ').unwrap_or((info, ""));
        let text = text.join("\n");
        match blocks.last_mut() {
            Some(commands) if below_block && info == "text" && commands.language == "sh" => {
                commands.prints = Some(text);
            }
            _ => {
                let comment = last.strip_prefix("<!-- not run: ").filter(|_| !below_block);
                blocks.push(Block {
                    line: number + 1,
                    language: language.to_owned(),
                    name: name.to_owned(),
                    text,
                    prints: None,
                    not_run: comment
                        .and_then(|rest| rest.strip_suffix(" -->"))
                        .map(str::to_owned),
                });
            }
        }
        below_block = true;
    }
    Ok(blocks)
}

impl Block {
    /// Whether a reader would type it, or put it into a file.
    pub fn is_to_be_run(&self) -> bool {
        self.language != "text"
    }

    /// Whether what it is says all: any table, any bridge.toml, which tests/docs reads on whatever page.
    pub fn is_known_file(&self) -> bool {
        matches!(self.language.as_str(), "toml" | "json") && matches!(self.name.as_str(), "table" | "bridge")
    }

    /// What a shell is to execute. In `console` those are the lines behind a prompt, and a terminal shows errors as well. In other
    /// languages the block is a file of that name.
    pub fn commands(&self) -> String {
        match self.language.as_str() {
            "sh" => return self.text.clone(),
            "console" => {}
            _ => {
                return format!(
                    "cat > '{}' << 'END OF BLOCK'\n{}\nEND OF BLOCK",
                    self.name, self.text
                );
            }
        }
        let commands = self.text.lines().filter_map(typed);
        commands
            .map(|command| format!("{{ {command}\n}} 2>&1 || true\n"))
            .collect()
    }

    /// What it is to print, where that is said.
    pub fn expected(&self) -> Option<String> {
        if self.language != "console" {
            return self.prints.clone();
        }
        let lines = self.text.lines().filter(|line| typed(line).is_none());
        Some(lines.collect::<Vec<_>>().join("\n"))
    }
}

fn typed(line: &str) -> Option<&str> {
    line.strip_prefix("# ").or_else(|| line.strip_prefix("$ "))
}

/// A script that types these blocks. What each prints comes below its name.
pub fn typed_blocks(blocks: &[Block]) -> String {
    let typed = |block: &Block| format!("echo '== {}'\n{}\n", block.name, block.commands());
    blocks.iter().map(typed).collect()
}

/// Whether that script has printed what the page says.
///
/// # Errors
/// A block has printed something else.
pub fn blocks_print(blocks: &[Block], output: &str) -> TestResult {
    for block in blocks {
        let printed = section(output, &block.name)?;
        let Some(expected) = block.expected() else {
            continue;
        };
        if !alike(&printed, &expected.lines().collect::<Vec<_>>()) {
            return fail(format!(
                "{} in line {} should print\n{expected}\n--- and prints\n{}",
                block.name,
                block.line,
                printed.join("\n")
            ));
        }
    }
    Ok(())
}

/// Whether lines are those that a page shows, in which `...` stands for any text, and alone on its line for any lines.
fn alike(lines: &[&str], shown: &[&str]) -> bool {
    match (lines.split_first(), shown.split_first()) {
        (None, None) => true,
        (_, Some((&"...", shown))) => (0..=lines.len()).any(|skipped| alike(&lines[skipped..], shown)),
        (Some((line, lines)), Some((pattern, shown))) => line_alike(line, pattern) && alike(lines, shown),
        _ => false,
    }
}

/// The same of one line.
pub fn line_alike(line: &str, pattern: &str) -> bool {
    let Some((first, rest)) = pattern.split_once("...") else {
        return line == pattern;
    };
    let Some(mut line) = line.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<_> = rest.split("...").collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match line.split_once(part) {
            Some((_, after)) => line = after,
            None => return false,
        }
    }
    line.ends_with(last)
}
