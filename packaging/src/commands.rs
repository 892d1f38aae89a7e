//! The command lines of the programs.

use clap::Command;

/// Each program's, with its subcommands complete.
pub fn all() -> [Command; 2] {
    [nsprep::command(), runtime_bridge::cli::command()].map(built)
}

/// `help` is left out: it is no command of its own.
fn built(command: Command) -> Command {
    let mut command = command.term_width(WIDTH).disable_help_subcommand(true);
    command.build();
    command
}

/// Of help texts, whatever the terminal.
const WIDTH: usize = 100;

/// `command` and all below it, those first that come first in its help.
pub fn flattened(command: &Command) -> Vec<&Command> {
    let below = command
        .get_subcommands()
        .filter(|below| !below.is_hide_set())
        .flat_map(flattened);
    std::iter::once(command).chain(below).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_example_is_a_command_line() {
        for program in [nsprep::command(), runtime_bridge::cli::command()] {
            let begins = format!("  {} ", program.get_name());
            let mut examples = 0;
            for command in program.get_subcommands() {
                let text = command.get_after_long_help().map(ToString::to_string);
                for line in text
                    .iter()
                    .flat_map(|text| text.lines())
                    .filter(|line| line.starts_with(&begins))
                {
                    let line = line.split(['#', '>']).next().unwrap_or_default();
                    // Words in quotes have no meaning here but that they are one.
                    let quoted = line.split('\'').enumerate();
                    let plain: String = quoted
                        .map(|(at, part)| if at % 2 == 1 { "QUOTED" } else { part })
                        .collect();
                    let words = plain.split_whitespace().map(|word| word.replace("PID", "1"));
                    if let Err(error) = program.clone().try_get_matches_from(words) {
                        panic!("{line}: {error}");
                    }
                    examples += usize::from(plain.split_whitespace().nth(1) == Some(command.get_name()));
                }
            }
            assert!(examples > 10, "{begins}: {examples}");
        }
    }
}
