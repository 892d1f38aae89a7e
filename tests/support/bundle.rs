//! Bundles: a busybox root filesystem and the runtime's own default spec, changed where a test asks for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::{Bed, RUNC_1_1, RUNC_1_5, TestResult, fail, need};

const APPLETS: &[&str] = &[
    "sh",
    "cat",
    "ls",
    "find",
    "sysctl",
    "sleep",
    "echo",
    "id",
    "mount",
    "umount",
    "mkdir",
    "rmdir",
    "rm",
    "touch",
    "chmod",
    "ln",
    "mv",
    "true",
    "test",
    "sort",
    "wc",
    "grep",
    "hostname",
    "unshare",
    "mountpoint",
    "stat",
    "head",
    "tail",
    "env",
];

/// What Docker and containerd give root in a container: enough to pass by file modes, not enough to mount.
const CAPABILITIES: &[&str] = &[
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// A bundle being made: `config` may be changed freely before it is written.
pub struct Bundle {
    folder: PathBuf,
    /// The whole config.json.
    pub config: Value,
}

impl Bundle {
    /// A bundle `name` in the bed, whose process is `sh -c script`: the default spec of `runc spec`, without a terminal.
    pub fn new(bed: &Bed, name: &str, script: &str) -> TestResult<Self> {
        let folder = bed.path(name);
        let busybox = need::command("busybox")?;
        for directory in ["bin", "proc", "sys", "dev", "tmp", "mnt"] {
            fs::create_dir_all(folder.join("rootfs").join(directory))?;
        }
        let bin = folder.join("rootfs/bin");
        fs::copy(busybox, bin.join("busybox"))?;
        for applet in APPLETS {
            fs::hard_link(bin.join("busybox"), bin.join(applet))?;
        }
        let runc = RUNC_1_1.path().or_else(|_| RUNC_1_5.path())?;
        let output = Command::new(runc).arg("spec").current_dir(&folder).output()?;
        if !output.status.success() {
            return fail(format!("runc spec: {}", String::from_utf8_lossy(&output.stderr)));
        }
        let mut config: Value = serde_json::from_slice(&fs::read(folder.join("config.json"))?)?;
        config["process"]["terminal"] = json!(false);
        config["process"]["args"] = json!(["sh", "-c", script]);
        for set in ["bounding", "effective", "permitted"] {
            config["process"]["capabilities"][set] = json!(CAPABILITIES);
        }
        for set in ["inheritable", "ambient"] {
            config["process"]["capabilities"][set] = json!([]);
        }
        config["root"]["readonly"] = json!(false);
        config["linux"]["cgroupsPath"] = json!(format!("/{}-{name}", bed.id()));
        let mut bundle = Bundle { folder, config };
        // A network namespace only where a test is about it.
        bundle.remove_namespace("network");
        Ok(bundle)
    }

    /// Binds the procfs at `source`, with all that is mounted below it, in place of a fresh one.
    pub fn bind_proc(mut self, source: &Path) -> Self {
        for mount in self.list("/mounts") {
            if mount["destination"] == "/proc" {
                *mount =
                    json!({"destination": "/proc", "type": "bind", "source": source, "options": ["rbind"]});
            }
        }
        self
    }

    /// No readonlyPaths and no maskedPaths, as in a privileged container.
    pub fn unprotected(mut self) -> Self {
        self.config["linux"]["readonlyPaths"] = json!(null);
        self.config["linux"]["maskedPaths"] = json!(null);
        self
    }

    /// A new namespace of this kind (`network`, `ipc`, ...).
    pub fn own_namespace(mut self, kind: &str) -> Self {
        self.remove_namespace(kind);
        self.list("/linux/namespaces").push(json!({"type": kind}));
        self
    }

    /// The namespace of this kind that `path` names.
    pub fn join_namespace(mut self, kind: &str, path: &Path) -> Self {
        self.remove_namespace(kind);
        self.list("/linux/namespaces")
            .push(json!({"type": kind, "path": path}));
        self
    }

    /// The runtime's namespace of this kind.
    pub fn host_namespace(mut self, kind: &str) -> Self {
        self.remove_namespace(kind);
        self
    }

    /// A user namespace whose root is uid 100000 outside; with it a network namespace, without which it may not mount sysfs.
    pub fn user_namespace(mut self) -> Self {
        let ids = json!([{"containerID": 0, "hostID": 100_000, "size": 65_536}]);
        self.config["linux"]["uidMappings"] = ids.clone();
        self.config["linux"]["gidMappings"] = ids;
        self.own_namespace("user").own_namespace("network")
    }

    /// `linux.sysctl` gets this key.
    pub fn sysctl(mut self, key: &str, value: &str) -> Self {
        self.config["linux"]["sysctl"][key] = json!(value);
        self
    }

    /// An additional bind mount.
    pub fn bind(mut self, source: &Path, destination: &str, options: &[&str]) -> Self {
        let mount = json!({"destination": destination, "type": "bind", "source": source, "options": options});
        self.list("/mounts").push(mount);
        self
    }

    /// As the engine asks for it where a volume is to propagate to the host.
    pub fn shared_root(mut self) -> Self {
        self.config["linux"]["rootfsPropagation"] = json!("rshared");
        self
    }

    /// An additional path that the container may not see.
    pub fn mask(mut self, path: &str) -> Self {
        self.list("/linux/maskedPaths").push(json!(path));
        self
    }

    /// Adds a capability to every set.
    pub fn capability(mut self, name: &str) -> Self {
        for set in ["bounding", "effective", "permitted"] {
            self.list(&format!("/process/capabilities/{set}"))
                .push(json!(name));
        }
        self
    }

    /// Writes config.json and gives the bundle's folder.
    pub fn write(self) -> TestResult<PathBuf> {
        fs::write(
            self.folder.join("config.json"),
            serde_json::to_vec_pretty(&self.config)?,
        )?;
        Ok(self.folder)
    }

    fn remove_namespace(&mut self, kind: &str) {
        self.list("/linux/namespaces")
            .retain(|namespace| namespace["type"] != kind);
    }

    /// The list at a JSON pointer, made where there is none.
    fn list(&mut self, pointer: &str) -> &mut Vec<Value> {
        let mut place = &mut self.config;
        for member in pointer.split('/').skip(1) {
            place = &mut place[member];
        }
        if !place.is_array() {
            *place = json!([]);
        }
        place.as_array_mut().expect("made an array just above")
    }
}

/// Changes the config.json of the bundle at `folder`, as it is by now.
///
/// # Errors
/// It cannot be read, parsed or written.
pub fn edit_config(folder: &Path, change: impl FnOnce(&mut Value)) -> TestResult {
    let path = folder.join("config.json");
    let mut config = serde_json::from_slice(&fs::read(&path)?)?;
    change(&mut config);
    fs::write(path, serde_json::to_vec_pretty(&config)?)?;
    Ok(())
}

/// Moves our hook, which a rewrite put at `createContainer`, to another stage.
///
/// # Errors
/// There is no such hook.
pub fn move_hook(folder: &Path, stage: &str) -> TestResult {
    let mut hooks = Value::Null;
    edit_config(folder, |config| {
        hooks = config["hooks"]["createContainer"].take();
        config["hooks"] = json!({ stage: hooks });
    })?;
    if hooks.is_array() {
        Ok(())
    } else {
        fail("the rewrite put no hook at createContainer")
    }
}
