//! Completions of the command lines, for shells.

use std::error::Error;
use std::fs;
use std::path::Path;

use clap::builder::PossibleValuesParser;
use clap::{Arg, Command, ValueHint};
use clap_complete::{Shell, generate};
use procemu::{Preset, Profile};

/// Writes them, in a folder for each shell.
pub fn write(folder: &Path) -> Result<(), Box<dyn Error>> {
    for (shell, name) in [(Shell::Bash, "bash"), (Shell::Zsh, "zsh"), (Shell::Fish, "fish")] {
        let folder = folder.join(name);
        fs::create_dir_all(&folder)?;
        for command in [nsprep::command(), runtime_bridge::cli::command()] {
            let mut command = shown(&command).disable_help_subcommand(true);
            let name = command.get_name().to_owned();
            let file = folder.join(clap_complete::Generator::file_name(&shell, &name));
            let mut text = Vec::new();
            generate(shell, &mut command, &name, &mut text);
            fs::write(file, mended(String::from_utf8(text)?, shell, &name))?;
        }
    }
    Ok(())
}

/// What is shown of a command: what is hidden is for the program itself, and clap_complete does not leave it out. With the names of
/// profiles and presets, which the programs themselves check when they read them.
fn shown(command: &Command) -> Command {
    let is_list = command.get_name() == "profiles";
    let with_names = |arg: &Arg| match arg.get_id().as_str() {
        "profile" => arg
            .clone()
            .value_parser(PossibleValuesParser::new(Profile::names())),
        "name" if is_list => arg
            .clone()
            .value_parser(PossibleValuesParser::new(Profile::names())),
        "preset" => arg
            .clone()
            .value_parser(PossibleValuesParser::new(Preset::names())),
        "command" => arg
            .clone()
            .last(false)
            .trailing_var_arg(true)
            .value_hint(ValueHint::CommandWithArguments),
        _ => arg.clone(),
    };
    let args = command.get_arguments().filter(|arg| !arg.is_hide_set());
    let below = command.get_subcommands().filter(|below| !below.is_hide_set());
    let mut made = Command::new(lasting(command.get_name()))
        .args(args.map(with_names))
        .subcommands(below.map(shown));
    if let Some(about) = command.get_about() {
        made = made.about(about.clone());
    }
    match command.get_version() {
        Some(version) => made.version(lasting(version)),
        None => made,
    }
}

/// Such texts are all that clap takes.
fn lasting(text: &str) -> &'static str {
    text.to_owned().leak()
}

/// What clap_complete 4.6 leaves out or gets wrong.
fn mended(text: String, shell: Shell, name: &str) -> String {
    // The runtime's arguments follow `--` there, which are its own to complete.
    let has_commands = name == "nsprep";
    match shell {
        Shell::Bash => {
            // The functions of a program with a hyphen are called by two names.
            let text = text.replace(
                &format!("{}__subcmd__", name.replace('-', "__subcmd__")),
                &format!("{}__subcmd__", name.replace('-', "__")),
            );
            match has_commands {
                true => text.replacen("() {\n", &format!("() {{\n{BASH_COMMAND}\n"), 1),
                false => text,
            }
        }
        Shell::Fish if has_commands => text + FISH_COMMAND,
        _ => text,
    }
}

/// A command with arguments of its own: bash-completion completes it where that is, else commands and files are offered. Without an
/// offer readline takes files.
const BASH_COMMAND: &str = r#"    local at
    for ((at = 1; at < COMP_CWORD; at++)); do
        [[ ${COMP_WORDS[at]} == -- ]] || continue
        COMPREPLY=()
        if declare -F _comp_command_offset > /dev/null; then
            _comp_command_offset $((at + 1))
        elif declare -F _command_offset > /dev/null; then
            _command_offset $((at + 1))
        elif ((at + 1 == COMP_CWORD)); then
            COMPREPLY=($(compgen -c -- "$2"))
        fi
        return 0
    done
"#;

const FISH_COMMAND: &str = r#"
function __fish_nsprep_command
    set -l words (commandline -opc)
    set -l at (contains -i -- -- $words)
    set -e words[1..$at]
    complete -C (string join ' ' -- (string escape -- $words) (commandline -ct))
end
complete -c nsprep -n "contains -- -- (commandline -opc)" -xa "(__fish_nsprep_command)"
"#;
