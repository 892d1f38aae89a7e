//! Completions of the command lines, for shells.

use std::error::Error;
use std::fs;
use std::path::Path;

use clap::builder::PossibleValuesParser;
use clap::{Arg, Command};
use clap_complete::{Shell, generate};
use procemu::{Preset, Profile};

/// Writes them, in a folder for each shell.
pub fn write(folder: &Path) -> Result<(), Box<dyn Error>> {
    for (shell, name) in [(Shell::Bash, "bash"), (Shell::Zsh, "zsh"), (Shell::Fish, "fish")] {
        let folder = folder.join(name);
        fs::create_dir_all(&folder)?;
        for command in [nsprep::command(), runtime_bridge::cli::command()] {
            let mut command = naming(command).disable_help_subcommand(true);
            let name = command.get_name().to_owned();
            let file = folder.join(clap_complete::Generator::file_name(&shell, &name));
            let mut text = Vec::new();
            generate(shell, &mut command, &name, &mut text);
            fs::write(file, mended(String::from_utf8(text)?, shell, &name))?;
        }
    }
    Ok(())
}

/// With the names of profiles and presets, which the programs themselves check when they read them.
fn naming(command: Command) -> Command {
    let is_list = command.get_name() == "profiles";
    let with_names = move |arg: Arg| match arg.get_id().as_str() {
        "profile" => arg.value_parser(PossibleValuesParser::new(Profile::names())),
        "name" if is_list => arg.value_parser(PossibleValuesParser::new(Profile::names())),
        "preset" => arg.value_parser(PossibleValuesParser::new(Preset::names())),
        _ => arg,
    };
    command.mut_args(with_names).mut_subcommands(naming)
}

/// clap_complete 4.6 calls the functions of a program with a hyphen by two names in bash.
fn mended(text: String, shell: Shell, name: &str) -> String {
    match shell {
        Shell::Bash => text.replace(
            &format!("{}__subcmd__", name.replace('-', "__subcmd__")),
            &format!("{}__subcmd__", name.replace('-', "__")),
        ),
        _ => text,
    }
}
