//! `/proc/sys` keys, and files of `/sys`, that a program needs and a kernel lacks, as a tmpfs snapshot mounted over procfs
//! and sysfs.
//!
//! Once attached, the kernel's own tmpfs serves every read. No process has to stay, and nothing is preloaded or traced.
//! What the kernel has itself is passed through and stays its own.
//!
//! This page is a guide for the author of a container runtime. `nsprep` and `runtime-bridge` are made of the same parts.
//!
//! # Step by step
//!
//! 1. **See what is lacking.** `nsprep plan` in the place where a container dies, or `nsprep doctor`, says which keys those are. A
//!    [`Profile`] has them by now, or a table of your own will: a few lines of TOML, [`Table::from_toml`].
//! 2. **Add it.** `cargo add procemu`: no default features, no command line, no output, nothing that runs at start.
//! 3. **Call it** where your runtime has mounted the container's `/proc` and has not yet made parts of it read-only, masked them or called
//!    pivot_root(2): [the function below](#in-a-container). A handle on the procfs outside is opened before the container's namespaces are
//!    entered. Where nothing is lacking that costs a look at each key, and nothing is mounted.
//! 4. **Fail with it.** An error means that nothing was attached; the container must not start then, as it would without the key. Where a
//!    later step of yours fails, [`Attached::detach`] takes it off, or the mount namespace goes with the container.
//! 5. **Write `linux.sysctl` first**, and what the kernel lacks of it put into the table: `keys.rs` of the example is all that is needed.
//! 6. **Test it on a kernel that lacks nothing.** A key that no kernel has is as good: a table with `kernel/made_up`, a container that reads
//!    it, and [`verify`] for the rest. Then those tests of your runtime that compare a container's mounts: it has some more in `/proc`.
//! 7. **Look at it.** What is done is told by `tracing` events of level debug, with targets that begin with `procemu`; without a
//!    subscriber they cost nothing.
//!
//! `examples/minimal-runtime` in the repository is what comes of that: a whole runtime, of 260 lines, of which `keys.rs` has these steps.
//!
//! # In a container
//!
//! To be called once, after the container's `/proc` is mounted and before pivot_root(2), in the container's namespaces:
//!
//! ```no_run
//! use std::fs::File;
//! use std::path::Path;
//!
//! use procemu::{Attached, Filesystem, Options, Placement, Plan, Probing, Profile, Root, Snapshot};
//!
//! /// `host` is the procfs outside, opened before the container's namespaces were entered.
//! fn prepare(rootfs: &Path, host: &Root) -> Result<Attached, Box<dyn std::error::Error>> {
//!     // What may be lacking. A file of your own is read by `Table::from_toml` or `Table::from_json`.
//!     let table = Profile::get("container")?;
//!
//!     // The container's /proc, reached from the handle of its rootfs, which nobody needs to trust.
//!     let proc = Root::beneath(Filesystem::Proc, File::open(rootfs)?, rootfs)?;
//!
//!     // What it has of that, and what has to be done: pure data, to be shown or tested.
//!     let seen = proc.observe(&table, Probing::Open)?;
//!     let placement = Placement::Container {
//!         // The configuration's readonlyPaths and maskedPaths below /proc, whether applied by now or later.
//!         read_only: vec!["bus".into(), "fs".into(), "irq".into(), "sys".into(), "sysrq-trigger".into()],
//!         masked: vec!["kcore".into(), "keys".into()],
//!     };
//!     let plan = Plan::new(&table, &seen, &placement)?;
//!
//!     // Every value is decided here; attaching asks nobody.
//!     let snapshot = Snapshot::compile(&plan, &table, Some(host))?;
//!
//!     // All of it or nothing. An empty plan mounts nothing.
//!     Ok(procemu::attach(&proc, &plan, &snapshot, &Options::default())?)
//! }
//!
//! let host = Root::procfs("/proc")?;
//! // ... enter the container's namespaces, mount its /proc ...
//! let attached = prepare(Path::new("/run/bundle/rootfs"), &host)?;
//! // If a later step fails: attached.detach()?
//! attached.keep();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What must hold, since the library cannot find out all of it:
//!
//! - **Namespaces.** The calling process is in *all* of the container's: mount, network, IPC, UTS, user, PID. A bind of a
//!   key that belongs to a namespace shows the values of the namespace in which it was made, whoever reads it, and a write
//!   goes there. An attach from the host's network namespace would hand the host's `net/*` to the container. A process
//!   outside gets in by [`Target::open`], [`Target::join`] and then [`ask_child`], for the PID namespace.
//! - **One thread.** [`private`] and [`Target::join`] work in a process of one thread only (setns(2), unshare(2)), and what
//!   runs [`ask_child`] may take no lock that another thread could hold. All else may be called from any thread.
//! - **`/proc/self`.** At the absolute path `/proc` there is a procfs that shows the calling process: its mounts are read
//!   and made through `/proc/self`. Before pivot_root that is the host's procfs, and it does.
//! - **Privilege.** `CAP_SYS_ADMIN` in the user namespace that owns the mount namespace.
//! - **Order.** A sysctl of the container is written before the attach: below a read-only path, what is passed through is
//!   read-only from then on. [`Root::unshadowed`] reaches a key whose path is read-only already.
//! - **`linux.sysctl`.** [`Table::apply_sysctls`] gives entries with that source their value. Whether a container may set a
//!   key at all is for the caller to decide.
//! - **Executable.** A process that enters a container can be reached from there through `/proc/<pid>/exe`. A program that
//!   is not sealed yet calls [`reexec_sealed`] first.
//!
//! # Around a program
//!
//! Its children may enter other namespaces. What belongs to one is therefore linked instead of bound,
//! and each reader gets its own:
//!
//! ```no_run
//! use procemu::{Ids, Options, Placement, Plan, Probing, Profile, Snapshot};
//!
//! let table = Profile::get("kubelet")?;
//! // A mount namespace of our own; without CAP_SYS_ADMIN in a user namespace of our own.
//! let proc = procemu::private(Ids::Kept)?;
//! let seen = proc.observe(&table, Probing::WriteBack)?;
//! let placement = Placement::Program { writes: true };
//! let plan = Plan::new(&table, &seen, &placement)?;
//! let snapshot = Snapshot::compile(&plan, &table, Some(&proc))?;
//! let options = Options { spare: true, ..Options::default() };
//! procemu::attach(&proc, &plan, &snapshot, &options)?.keep();
//! // ... exec the program ...
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Keys in `/sys`
//!
//! All of the above is about one file system: of a table with keys in both, [`Root::observe`], [`Plan::new`] and what
//! follows take those of theirs. [`Roots`] holds the procfs and the sysfs of one place and does the same steps for both,
//! all of it or nothing: [`Roots::plan`], [`Both::compile`], [`Roots::attach`].
//!
//! # Afterwards
//!
//! [`verify`] compares a table with what a reader sees. [`layers`] lists what was attached to a procfs, also by other
//! processes, and [`detach`] takes one layer off.
//!
//! # Errors
//!
//! [`Error`] is opaque; [`Error::kind`] tells what a caller can do about it, [`Error::line`] is one line for a log. Wrong
//! tables are a [`TableError`] with file and line. Nothing here writes to standard output or error.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `inherited` | no | `Inherited`: the standard descriptors and ignored signals as the caller left them, for programs that stand in for others |
//! | `trace` | no | `trace`: two requests of ptrace(2), for diagnostics |
//! | `fuzzing` | no | what the project's fuzz targets need; no part of the API |
//!
//! # Versions
//!
//! Versions are [semantic](https://semver.org/); until 1.0 a minor version may break what this covers, and the changelog says so:
//!
//! - **covered**: all public items but those of `fuzzing`; the table format and its schema; what [`Plan`], [`Snapshot`] and [`Check`] are as
//!   JSON; names of profiles and presets; that a layer is named `procemu:N` in mountinfo.
//! - **not covered**: the wording of errors, and of events with their fields; which keys a profile has, as programs come to need others; new
//!   members in JSON; how many mounts an attach makes.
//! - **Rust**: the version in `Cargo.toml`, 1.85, which Debian 12 and 13 have. The project's checks build the library with it, not with a
//!   later one alone. A later one is a minor version.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod attach;
mod child;
mod confine;
mod cut_off;
mod error;
mod filesystem;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
#[cfg(feature = "inherited")]
mod inherited;
mod key;
pub mod keyring;
mod layer;
mod mount;
mod mount_tree;
mod mountinfo;
mod namespace;
mod namespaced;
mod needs;
mod observe;
mod plan;
mod preset;
mod privilege;
mod probe;
mod profile;
mod root;
mod roots;
mod schema;
mod sealed;
mod shared;
mod snapshot;
mod spare;
mod sys;
mod table;
mod template;
#[cfg(feature = "trace")]
pub mod trace;
mod uptime;
mod value;
mod verify;

pub use attach::{Attached, MountApi, Options, attach};
pub use child::{ask_child, wait_for_children};
pub use confine::{Privileges, alone};
pub use error::{Error, ErrorKind, Result, errno_text};
pub use filesystem::Filesystem;
#[cfg(feature = "inherited")]
pub use inherited::Inherited;
pub use key::{KeyError, SysctlKey};
pub use layer::{Layer, detach, layers};
pub use namespace::{Ids, Target, private};
pub use needs::Needs;
pub use observe::{Folder, Kind, Listed, Observation, Probing, Seen};
pub use plan::{Placement, Plan, Step, UNDERLAY};
pub use preset::{Preset, PresetError};
pub use probe::Probe;
pub use profile::{Profile, ProfileError};
pub use root::Root;
pub use roots::{Both, Roots};
pub use schema::json_schema;
pub use sealed::{hide, reexec_sealed};
pub use shared::{Lender, Shared};
pub use snapshot::{Node, Snapshot};
pub use table::{Entry, Mode, Table, TableError, When};
pub use template::Templates;
pub use value::{Scalar, Separator, Value, ValueError, ValueSource};
pub use verify::{Check, Origin, Writes, verify};
