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
