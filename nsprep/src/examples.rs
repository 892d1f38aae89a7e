//! Examples of the commands: what `--help` and the manual pages show at the end. CMD, BUNDLE and the like stand for the reader's own.

pub const PLAN: &str = "Examples:
  nsprep plan                            # what is lacking here, and what would be mounted
  nsprep plan --profile kubelet --diff   # key by key, for the kubelet
  nsprep plan --pid PID                  # in a container that runs";

pub const EXEC: &str = "Examples:
  nsprep exec -- CMD                               # CMD with the keys that it lacks
  nsprep exec --profile kubelet -- kubelet ...     # other keys: a built-in profile
  nsprep exec --table mine.toml -- CMD             # or a table of your own
  nsprep exec --ns node --profile runc -- CMD      # in a namespace that others can share
  nsprep exec --ns node --profile kubelet -- CMD   # as this one does";

pub const NS: &str = "Examples:
  nsprep ns list
  nsprep ns remove node";

pub const ATTACH: &str = "Examples:
  nsprep attach --profile runc --pid PID   # to a container that runs
  nsprep attach --rootfs BUNDLE/rootfs     # to one that is being made";

pub const DETACH: &str = "Examples:
  nsprep detach --pid PID         # the latest
  nsprep detach --pid PID --all";

pub const VERIFY: &str = "Examples:
  nsprep verify --profile runc --pid PID
  nsprep exec --table mine.toml -- nsprep verify --table mine.toml --format tap";

pub const BUNDLE: &str = "Examples:
  nsprep bundle BUNDLE --dry-run                   # what would be changed, and why
  nsprep bundle BUNDLE --runtime crun --profile container
  nsprep bundle BUNDLE --table mine.toml";

pub const DOCTOR: &str = "Examples:
  nsprep doctor                                # all that is here
  nsprep doctor --for crun,kubelet
  nsprep doctor --explain 'unknown version specified'
  nsprep doctor --output keys.toml -- CMD      # a table of what CMD is refused";

pub const REPORT: &str = "Examples:
  nsprep report --output report.html
  nsprep report --profile kubelet --output report.html";

pub const CAPTURE: &str = "Examples:
  nsprep capture > all.toml                    # all keys of this kernel
  nsprep capture --keys 'net/ipv4/*' --portable > net.toml";

pub const PROFILES: &str = "Examples:
  nsprep profiles                  # their names
  nsprep profiles runc > mine.toml # one of them, to begin a table with";
