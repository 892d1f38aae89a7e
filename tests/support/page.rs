//! The commands of a page of the documentation, to be executed as they stand there.

use super::{TestResult, equal, fail, section};

/// One block of commands: "```sh NAME" and what follows it as "```text", where that is said.
#[derive(Debug)]
pub struct Step<'a> {
    /// Its name, which readers do not see.
    pub name: &'a str,
    /// The commands.
    pub commands: String,
    /// What they print.
    pub prints: Option<String>,
}

/// The steps of a page, in their order.
///
/// # Errors
/// There are none, one has no name, or a `text` block has no step before it.
pub fn steps(page: &str) -> TestResult<Vec<Step<'_>>> {
    let mut steps: Vec<Step<'_>> = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(kind) = line.strip_prefix("```") else {
            continue;
        };
        let block: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
        let block = block.join("\n");
        match (kind.split_once(' '), steps.last_mut()) {
            (Some(("sh", name)), _) => steps.push(Step {
                name,
                commands: block,
                prints: None,
            }),
            (None, Some(step)) if kind == "text" => step.prints = Some(block),
            (None, _) if kind == "sh" => return fail(format!("a step without a name: {block:?}")),
            (None, None) if kind == "text" => return fail(format!("no step prints {block:?}")),
            _ => {}
        }
    }
    if steps.is_empty() {
        return fail("a page without steps");
    }
    Ok(steps)
}

/// A script that types all commands of a page. What each step prints comes below its name.
///
/// # Errors
/// As [`steps`].
pub fn typed_page(page: &str) -> TestResult<String> {
    let typed = |step: &Step<'_>| format!("echo '== {}'\n{}\n", step.name, step.commands);
    Ok(steps(page)?.iter().map(typed).collect())
}

/// Whether that script has printed what the page says.
///
/// # Errors
/// A step has printed something else.
pub fn page_prints(page: &str, output: &str) -> TestResult {
    for step in steps(page)? {
        if let Some(prints) = &step.prints {
            equal(step.name, &section(output, step.name)?.join("\n"), prints)?;
        }
    }
    Ok(())
}
