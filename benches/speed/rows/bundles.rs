//! A bundle, and the ways in which a runtime can be called with it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::mount::{MsFlags, mount};
use serde_json::{Value, json};

use super::baseline_template::Held;
use crate::baseline::Baselines;
use crate::cost::run;
use crate::tests_support::{Bed, Bundle};
use crate::{Bench, Outcome, had};

/// How a runtime is called.
#[derive(Clone, Copy, PartialEq)]
pub enum Through {
    /// By itself.
    Nothing,
    /// By a wrapper that does nothing.
    IdleWrapper,
    /// The same, and the bundle has a hook that does nothing.
    IdleWrapperAndHook,
    /// The same, with a hook in C that makes the mounts for one key, and looks at nothing.
    IdleWrapperAndMounts,
    /// The same, with a hook in C that clones a template, and looks at nothing.
    IdleWrapperAndClone,
    /// By ours, where the container lacks nothing.
    Wrapper,
    /// By ours, where it lacks one key.
    WrapperAndHook,
    /// The same, with templates.
    WrapperAndTemplate,
}

impl Through {
    /// As tables name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "bare",
            Self::IdleWrapper => "wrapper that does nothing",
            Self::IdleWrapperAndHook => "wrapper and hook that do nothing",
            Self::IdleWrapperAndMounts => "wrapper that does nothing, hook that only mounts",
            Self::IdleWrapperAndClone => "wrapper that does nothing, hook that only clones a template",
            Self::Wrapper => "ours, nothing lacking",
            Self::WrapperAndHook => "ours, 1 key lacking",
            Self::WrapperAndTemplate => "ours, 1 key lacking, by template",
        }
    }
}

/// Makes the machine's `/etc` one of this process's namespace, so that bridge.toml can lie where it is looked for.
///
/// # Errors
/// If overlayfs cannot be mounted.
pub fn own_etc(bench: &Bench) -> Outcome {
    if Path::new("/etc").join(&bench.name).exists() {
        return Ok(());
    }
    let (upper, work) = (bench.folder("etc")?, bench.folder("etc.work")?);
    let options = format!(
        "lowerdir=/etc,upperdir={},workdir={}",
        upper.display(),
        work.display()
    );
    mount(
        Some("overlay"),
        "/etc",
        Some("overlay"),
        MsFlags::empty(),
        Some(options.as_str()),
    )
    .map_err(|e| format!("overlay over /etc: {e}"))?;
    // By this it is known the next time.
    fs::write(Path::new("/etc").join(&bench.name), "")?;
    Ok(fs::create_dir_all("/etc/procemu")?)
}

/// A runtime with a bundle, on a tmpfs as the bundles of engines are.
pub struct Stand {
    /// The bundle.
    pub bundle: PathBuf,
    /// The container's id.
    pub id: String,
    runtime: PathBuf,
    /// The folder of all this.
    folder: PathBuf,
    /// The wrapper, by the name that an engine has for it.
    wrapper: PathBuf,
    become_: PathBuf,
    /// config.json as an engine would write it, plain, with the idle hook and with the one that only mounts.
    plain: String,
    idle: String,
    mounting: String,
    /// With the one that clones a template, once there is one.
    cloning: String,
    /// The lines of bridge.toml that say what containers get.
    profiles: &'static str,
    _bed: Bed,
}

impl Stand {
    /// For the runtime at `path`, which is called `command`, with `table` for containers that lack something.
    ///
    /// # Errors
    /// If it cannot be set up, or the wrapper does not do to the bundle what it is measured for.
    pub fn new(
        bench: &Bench,
        baselines: &Baselines,
        command: &str,
        path: &Path,
        table: &str,
    ) -> Outcome<Self> {
        own_etc(bench)?;
        let folder = tempfile::Builder::new()
            .prefix("stand.")
            .disable_cleanup(true)
            .tempdir_in(&bench.folder)?
            .path()
            .to_owned();
        let bed = Bed::within(&folder)?;
        let id = format!(
            "{}-{}",
            bench.name,
            folder.extension().unwrap_or_default().display()
        );
        let mut bundle = had(Bundle::new(&bed, "b", "true"))?;
        bundle.config["process"]["args"] = json!(["true"]);
        bundle.config["linux"]["cgroupsPath"] = json!(format!("/{id}"));
        let mut idle = bundle.config.clone();
        let nothing = baselines.path("nothing");
        idle["hooks"]["createContainer"] = json!([{"path": nothing, "args": ["nothing"]}]);
        let plain = bundle.config.clone();
        let bundle = had(bundle.write())?;
        let mut mounting = plain.clone();
        let rootfs = bundle.join("rootfs");
        mounting["hooks"]["createContainer"] =
            json!([{"path": baselines.path("bind_hook"), "args": ["bind_hook", rootfs]}]);
        let wrapper = folder.join(format!("procemu-{command}"));
        symlink(&bench.bridge, &wrapper)?;
        fs::write(folder.join("table.toml"), table)?;
        let mut stand = Self {
            id,
            runtime: path.to_owned(),
            wrapper,
            become_: baselines.path("become"),
            plain: plain.to_string(),
            idle: idle.to_string(),
            mounting: mounting.to_string(),
            cloning: String::new(),
            profiles: "",
            bundle,
            folder,
            _bed: bed,
        };
        // What runtimes and common programs read, unless this machine lacks some of it.
        if stand.hook(Through::Wrapper)?.is_some() {
            stand.profiles = "profiles = []\n";
        }
        for (through, hooked) in [(Through::Wrapper, false), (Through::WrapperAndHook, true)] {
            if stand.hook(through)?.is_some() != hooked {
                let name = through.name();
                return Err(
                    format!("{name}: there should be {} hook", if hooked { "a" } else { "no" }).into(),
                );
            }
        }
        Ok(stand)
    }

    /// For [`Through::IdleWrapperAndClone`]: the template of a `template` of `baselines`, cloned by a hook.
    ///
    /// # Errors
    /// If the configuration cannot be read.
    pub fn clone_by_hook(&mut self, baselines: &Baselines, template: &Held) -> Outcome {
        let rootfs = self.bundle.join("rootfs");
        let mut arguments = vec!["template_hook".to_owned(), rootfs.display().to_string()];
        arguments.extend(template.arguments());
        let mut cloning: Value = serde_json::from_str(&self.plain)?;
        cloning["hooks"]["createContainer"] =
            json!([{"path": baselines.path("template_hook"), "args": arguments}]);
        self.cloning = cloning.to_string();
        Ok(())
    }

    /// The engine's config.json, which every container has a new one of, and the administrator's bridge.toml.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn prepare(&self, through: Through) -> Outcome {
        let text = match through {
            Through::IdleWrapperAndHook => &self.idle,
            Through::IdleWrapperAndMounts => &self.mounting,
            Through::IdleWrapperAndClone => &self.cloning,
            _ => &self.plain,
        };
        let config = self.bundle.join("config.json");
        // Not over the old one, which the wrapper may have replaced by another file.
        let _ = fs::remove_file(&config);
        fs::write(config, text)?;
        let tables = match through {
            Through::WrapperAndHook | Through::WrapperAndTemplate => {
                format!("tables = [{:?}]\n", self.folder.join("table.toml"))
            }
            _ => String::new(),
        };
        let policy = match through {
            Through::WrapperAndTemplate => "[policy]\ntemplates = true\n",
            _ => "",
        };
        let name = self.wrapper.file_name().unwrap_or_default().to_string_lossy();
        let bridge = format!(
            "{}{tables}state_dir = {:?}\n{policy}[runtimes]\n{} = {:?}\n",
            self.profiles,
            self.folder.join("bridge-state"),
            name.trim_start_matches("procemu-"),
            self.runtime,
        );
        Ok(fs::write("/etc/procemu/bridge.toml", bridge)?)
    }

    /// The runtime with `arguments`; nothing is on its standard input.
    pub fn command(&self, through: Through, arguments: &[&str]) -> Command {
        let mut command = match through {
            Through::Nothing => Command::new(&self.runtime),
            Through::IdleWrapper
            | Through::IdleWrapperAndHook
            | Through::IdleWrapperAndMounts
            | Through::IdleWrapperAndClone => {
                let mut command = Command::new(&self.become_);
                command.arg(&self.runtime);
                command
            }
            Through::Wrapper | Through::WrapperAndHook | Through::WrapperAndTemplate => {
                Command::new(&self.wrapper)
            }
        };
        command
            .arg("--root")
            .arg(self.folder.join("state"))
            .args(arguments);
        command.stdin(Stdio::null());
        command
    }

    /// `create` or `run`, with what such calls of engines have.
    pub fn make(&self, through: Through, verb: &str) -> Command {
        let mut command = self.command(through, &[verb, "--no-new-keyring", "--bundle"]);
        command.arg(&self.bundle).arg(&self.id);
        command
    }

    /// Program and arguments of the hook that a wrapper puts into the bundle, if it does.
    fn hook(&self, through: Through) -> Outcome<Option<Vec<String>>> {
        self.prepare(through)?;
        run(&mut self.make(through, "run"))?;
        hook_of(&self.bundle)
    }
}

/// Program and arguments of the hook in a bundle.
///
/// # Errors
/// If its config.json cannot be read.
pub fn hook_of(bundle: &Path) -> Outcome<Option<Vec<String>>> {
    let config: Value = serde_json::from_slice(&fs::read(bundle.join("config.json"))?)?;
    let hook = &config["hooks"]["createContainer"][0];
    let Some(path) = hook["path"].as_str() else {
        return Ok(None);
    };
    let arguments = hook["args"].as_array().into_iter().flatten();
    let arguments = arguments.filter_map(|argument| argument.as_str().map(str::to_owned));
    Ok(Some(std::iter::once(path.to_owned()).chain(arguments).collect()))
}
