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
