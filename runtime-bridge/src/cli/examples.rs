//! Examples of the commands: what `--help` and the manual pages show at the end. BUNDLE, ID and the like stand for the reader's own.

pub const REWRITE: &str = "Examples:
  runtime-bridge rewrite BUNDLE --dry-run        # what would be changed, and why
  runtime-bridge rewrite BUNDLE --runtime crun";

pub const INSTALL: &str = "Examples:
  runtime-bridge install containerd              # a runtime `procemu` beside the engine's own
  runtime-bridge install docker --as-default     # for all containers
  runtime-bridge install containerd --restart 'systemctl restart containerd'";

pub const UNINSTALL: &str = "Examples:
  runtime-bridge uninstall containerd
  runtime-bridge uninstall docker --restart 'systemctl restart docker'";

pub const STATUS: &str = "Examples:
  runtime-bridge status                          # of all engines
  runtime-bridge status containerd";

pub const NODE: &str = "Examples:
  runtime-bridge node -- install containerd --restart 'systemctl restart containerd'
  runtime-bridge node --files /config -- install k3s";

pub const RUNTIME: &str = "Examples:
  runtime-bridge runtime --exec runc -- run --bundle BUNDLE ID
  runtime-bridge runtime --exec crun --config bridge.toml -- --version";

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use crate::cli::Cli;

    #[test]
    fn every_example_is_a_command_line() {
        let mut examples = 0;
        for command in Cli::command().get_subcommands() {
            let text = command.get_after_long_help().map(ToString::to_string);
            for line in text.iter().flat_map(|text| text.lines()) {
                let Some(line) = line.strip_prefix("  ") else {
                    continue;
                };
                let line = line.split('#').next().unwrap_or_default();
                // Words in quotes have no meaning here but that they are one.
                let quoted = line.split('\'').enumerate();
                let plain: String = quoted
                    .map(|(at, part)| if at % 2 == 1 { "QUOTED" } else { part })
                    .collect();
                assert_eq!(plain.split_whitespace().nth(1), Some(command.get_name()));
                if let Err(error) = Cli::try_parse_from(plain.split_whitespace()) {
                    panic!("{line}: {error}");
                }
                examples += 1;
            }
        }
        assert!(examples > 10, "{examples}");
    }
}
