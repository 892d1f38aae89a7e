//! The ways in which the hook is called, and what it then has to do.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::support::{
    Bed, Bundle, Output, Pod, Runtime, Stop, TestResult, equal, made_up_table, made_up_values, move_hook,
    print_made_up, runtime_bridge,
};

/// One way.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// As tests are named.
    pub name: &'static str,
    /// Where the hook is called.
    pub stage: &'static str,
    /// Whether the container has a user namespace.
    pub user: bool,
    /// Whether a sysctl is the hook's to write.
    pub sysctl: bool,
    /// Whether keys of a pod's sandbox are shown.
    pub pod: bool,
    /// Whether the bundle is in a folder that its owner has closed to others.
    pub closed: bool,
    /// Whether there are keys whose values the kernel is asked for, by every way that there is.
    pub probes: bool,
}

const PLAIN: Form = Form {
    name: "create_container",
    stage: "createContainer",
    user: false,
    sysctl: false,
    pod: false,
    closed: false,
    probes: false,
};

/// All of them.
pub const FORMS: [Form; 9] = [
    PLAIN,
    Form {
        name: "prestart",
        stage: "prestart",
        ..PLAIN
    },
    Form {
        name: "user_namespace",
        user: true,
        ..PLAIN
    },
    Form {
        name: "user_namespace_prestart",
        user: true,
        stage: "prestart",
        ..PLAIN
    },
    Form {
        name: "sysctl",
        sysctl: true,
        ..PLAIN
    },
    Form {
        name: "user_namespace_sysctl",
        user: true,
        sysctl: true,
        ..PLAIN
    },
    Form {
        name: "pod",
        pod: true,
        ..PLAIN
    },
    Form {
        name: "closed",
        closed: true,
        ..PLAIN
    },
    Form {
        name: "probes",
        probes: true,
        ..PLAIN
    },
];

const SYSCTL: &str = "net.ipv4.ip_unprivileged_port_start";

impl Form {
    /// That form of this name.
    pub fn named(name: &str) -> Self {
        let found = FORMS.into_iter().find(|form| form.name == name);
        found.expect("tests name forms of the list")
    }

    /// Runs a container whose hook is called by `call`, a command before which nothing is; fails where it does, or does not do all.
    /// The hook may write to the folder `out`.
    pub fn run(self, bed: &Bed, runtime: Runtime, policy: &str, call: &str) -> TestResult {
        let script = self.prepare(bed, runtime, policy, call)?;
        let output = self.start(bed, runtime, &script)?;
        let sysctl = if self.sysctl { "\n77" } else { "" };
        equal(
            "values",
            output.success()?,
            format!("{}{sysctl}", made_up_values()),
        )
    }

    /// Prepares that container, and gives the script that runs it.
    pub fn prepare(self, bed: &Bed, runtime: Runtime, policy: &str, call: &str) -> TestResult<String> {
        runtime.path()?;
        let out = bed.path("out");
        fs::create_dir_all(&out)?;
        fs::set_permissions(&out, Permissions::from_mode(0o777))?;
        // Where root of a user namespace can reach it.
        let bridge = bed.path("runtime-bridge");
        fs::copy(runtime_bridge()?, &bridge)?;
        let hook = bed.file(
            "hook.sh",
            format!("#!/bin/sh\nexec {call} {} hook\n", bridge.display()),
        )?;
        fs::set_permissions(&hook, Permissions::from_mode(0o755))?;
        let table = made_up_table(bed)?;
        let probes = if self.probes { probes()? } else { String::new() };
        let probes = bed.file("probes.toml", format!("[keys]\n{probes}"))?;
        let config = bed.config_with(&format!(
            "profiles = []\ntables = [{table:?}, {probes:?}]\n[policy]\n{policy}\n"
        ))?;
        let text = match self.pod {
            true => self.of_pod(bed)?,
            false => self.alone(bed)?,
        };
        let prepared = bed
            .runtime_script(&runtime, &text.0)?
            .env("BRIDGE", &bridge)
            .env("CONFIG", &config);
        prepared.succeed()?;
        if !self.pod && self.stage != "createContainer" {
            move_hook(&bed.path("b"), self.stage)?;
        }
        Ok(text.1)
    }

    /// Runs what was prepared.
    pub fn start(self, bed: &Bed, runtime: Runtime, script: &str) -> TestResult<Output> {
        let script = bed
            .runtime_script(&runtime, script)?
            .env("BRIDGE", bed.path("runtime-bridge"))
            .env("CONFIG", bed.path("bridge.toml"));
        script.run()
    }

    /// A script that prepares, and one that runs.
    fn alone(self, bed: &Bed) -> TestResult<(String, String)> {
        let read = if self.sysctl {
            format!("cat /proc/sys/{}", SYSCTL.replace('.', "/"))
        } else if self.probes {
            "grep '' /proc/sys/kernel/probes/* > /tmp/answers".to_owned()
        } else {
            "true".to_owned()
        };
        let mut bundle =
            Bundle::new(bed, "b", &format!("{}{read}", print_made_up()))?.own_namespace("network");
        if self.user {
            bundle = bundle.user_namespace();
        }
        if self.sysctl {
            bundle = bundle.sysctl(SYSCTL, "77");
        }
        bundle.write()?;
        let close = if self.closed {
            "chown -R 1234 b; chmod 0700 b"
        } else {
            ""
        };
        let rewrite = r#""$BRIDGE" rewrite --runtime "$RUNTIME" --config "$CONFIG" "$BED/b" > /dev/null
            grep -q "\"$BRIDGE\"" b/config.json
            sed -i "s|\"$BRIDGE\"|\"$BED/hook.sh\"|" b/config.json"#;
        Ok((format!("{rewrite}\n{close}"), "run rt b".to_owned()))
    }

    fn of_pod(self, bed: &Bed) -> TestResult<(String, String)> {
        Pod::Containerd.sandbox(bed)?.unprotected().write()?;
        Pod::Containerd.container(bed, "late")?.write()?;
        let text = format!(
            r#"up wrapped sandbox; up wrapped late; down late
            grep -q lending late/config.json
            sed "s|\"$BRIDGE\"|\"$BED/hook.sh\"|" late/config.json > late.json
            at sandbox sh -c 'echo 1 > /proc/sys/fs/made_up'
            status=0
            up rt late && at late sh -c '{}' || status=$?
            down late || true
            down sandbox
            exit $status"#,
            print_made_up()
        );
        Ok((":".to_owned(), text))
    }
}

/// A key for each probe; what has no answer here has a fallback.
fn probes() -> TestResult<String> {
    let line = |probe: &procemu::Probe| {
        let name = serde_json::to_value(probe)?;
        let name = name.as_str().unwrap_or_default();
        Ok(format!(
            "\"kernel/probes/{name}\" = {{ computed = {name:?}, fallback = 1 }}\n"
        ))
    };
    procemu::Probe::ALL.iter().map(line).collect()
}

/// What a container with the probes of [`FORMS`] has put down of their answers.
pub fn answers(bed: &Bed) -> TestResult<String> {
    let text = fs::read_to_string(bed.path("b/rootfs/tmp/answers"))?;
    // Time goes by.
    let lasting = text
        .lines()
        .filter(|line| !line.starts_with("/proc/sys/kernel/probes/stat:"));
    Ok(lasting.map(|line| format!("{line}\n")).collect())
}

/// Whether a form failed, as it was to; `Err` where it did not.
pub fn expect_failure(outcome: TestResult, what: &str) -> TestResult {
    match outcome {
        Err(Stop::Fail(_)) => Ok(()),
        Err(skip) => Err(skip),
        Ok(()) => super::support::fail(format!("does not fail {what}")),
    }
}
