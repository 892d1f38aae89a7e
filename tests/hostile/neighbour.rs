//! A container beside the one that is prepared, in the same pid namespace, as in a pod with `shareProcessNamespace`: it may look
//! into no process of ours, and overwrite no program of ours.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::forms::{bundle, script};
use super::support::{
    Bed, Bundle, RUNC_1_5, RUNTIMES, Runtime, Script, Suite, TestResult, equal, made_up_values, need,
};

/// include/uapi/linux/capability.h, in the order of their numbers.
const CAPABILITIES: &str = "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE \
    NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT \
    SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP \
    MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE";

/// What the neighbour does in its container, for a process whose name begins with `$1`: tries what it may, keeps the program open,
/// and overwrites it when the process has ended. It says what it could.
const ATTACK: &str = r#"
find_it() { for p in /proc/[0-9]*; do case $(cat $p/comm 2> /dev/null) in $1*) it=$p; return 0 ;; esac; done; return 1; }
until [ -e /share/begin ]; do :; done
until find_it $1; do [ ! -e /share/over ] || exit 0; done
cat $it/exe > /dev/null 2>&1 && echo could read exe
ls $it/root/ > /dev/null 2>&1 && echo could enter root
[ -e $it/fd/0 ] && echo could follow fd
true 2> /dev/null <> $it/mem && echo could open mem
if { true < $it/exe; } 2> /dev/null; then exec 3< $it/exe; fi
echo tried > /share/tried
while [ -e $it ]; do test -e /share/over && break; done
until [ -e /share/over ]; do :; done
if { true <&3; } 2> /dev/null && { echo forged > /proc/self/fd/3; } 2> /dev/null; then echo could overwrite; fi
true
"#;

/// The hook of a bundle, made to wait in the container's namespaces until `go` is there: by `$BED/hook.sh`.
const PREPARE: &str = r#"
cp "$BRIDGE" program; mv program runtime-bridge; export BRIDGE="$BED/runtime-bridge"
chmod $MODE runtime-bridge
mkdir -m 777 share
rt() { setpriv $DROP "$RUNTIME" --root "$BED/state" "$@"; }
up rt peer
sed -i "s|/proc/SANDBOX/|/proc/$(cat peer.pid)/|" b/config.json
"$BRIDGE" rewrite --runtime "$RUNTIME" --config "$CONFIG" "$BED/b" > /dev/null
sed -i 's|"path": *"[^"]*runtime-bridge"|"path": "/bin/sh"|; s|"runtime-bridge", *$|"sh",|; s|"hook" *$|"'"$BED"'/hook.sh"|; s|"timeout": *10|"timeout": 100|' b/config.json
sed -i "s|\"createContainer\"|\"$FORM\"|" b/config.json
cp b/config.json again.json
guard > before
try_it() {
    rm -f share/* go
    rt exec "$ID-peer" sh /share.sh "$1" > could 2> could.err & attacker=$!
    run rt b > out 2> err & container=$!
}
# Whether the hook waits for its input: it has hidden itself by then, as it could not when it was just executed.
waits() {
    local process
    for process in /proc/[0-9]*; do
        case $(tr '\0' ' ' 2> /dev/null < $process/cmdline) in
            "${BED%/}/runtime-bridge"*) ! grep -q pipe_read $process/wchan || return 0 ;;
        esac
    done
    return 1
}
"#;

/// Which neighbour it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Neighbour {
    /// One as engines make them.
    Usual,
    /// One with every capability that the runtime has, itself in a container without CAP_SYS_PTRACE.
    Nested,
    /// One with every capability that there is.
    Privileged,
    /// The same in a user namespace, in which the new container is too.
    User,
}

/// Adds the tests.
pub fn add(suite: &mut Suite) {
    for runtime in RUNTIMES {
        let neighbours = [
            ("usual", Neighbour::Usual),
            ("nested", Neighbour::Nested),
            ("privileged", Neighbour::Privileged),
            ("user", Neighbour::User),
        ];
        for (name, neighbour) in neighbours {
            // runc 1.5 does without CAP_SYS_PTRACE in no other container's pid namespace: `open container mntns: permission denied`.
            // Nor does a hook outside, which may not look at the container's process.
            let nested = neighbour == Neighbour::Nested;
            if !(nested && runtime == RUNC_1_5) {
                suite.test(format!("neighbour::bare::{name}::{}", runtime.name), move |bed| {
                    bare(bed, runtime, neighbour)
                });
            }
            if neighbour != Neighbour::Privileged && !(nested && runtime == RUNC_1_5) {
                suite.test(
                    format!("neighbour::within::{name}::{}", runtime.name),
                    move |bed| within(bed, runtime, neighbour),
                );
            }
            if !nested {
                suite.test(
                    format!("neighbour::from_outside::{name}::{}", runtime.name),
                    move |bed| from_outside(bed, runtime, neighbour),
                );
            }
        }
    }
}

fn capabilities(neighbour: Neighbour) -> TestResult<Vec<String>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("CapBnd:"));
    let mask = u64::from_str_radix(line.unwrap_or_default().trim(), 16).unwrap_or_default();
    let names = CAPABILITIES.split_whitespace().enumerate();
    let has = names.filter(|(number, name)| {
        mask >> number & 1 == 1 && (neighbour != Neighbour::Nested || *name != "SYS_PTRACE")
    });
    Ok(has.map(|(_, name)| format!("CAP_{name}")).collect())
}

/// The container `peer`, which shows the folder `share` of the bed.
pub fn peer(bed: &Bed, neighbour: Neighbour) -> TestResult<Bundle> {
    let mut peer = Bundle::new(bed, "peer", "sleep 100")?.unprotected();
    // In a user namespace a runtime makes no mountpoints in the image.
    for folder in ["share", "lib", "lib64", "usr/lib"] {
        fs::create_dir_all(bed.path("peer/rootfs").join(folder))?;
    }
    for file in ["share.sh", "self"] {
        fs::write(bed.path("peer/rootfs").join(file), "")?;
    }
    if neighbour != Neighbour::Usual {
        for set in ["bounding", "effective", "permitted"] {
            peer.config["process"]["capabilities"][set] = json!(capabilities(neighbour)?);
        }
    }
    if neighbour == Neighbour::User {
        peer = peer.user_namespace();
    }
    Ok(peer.bind(&bed.path("share"), "/share", &["bind"]))
}

/// `bundle` in the namespaces of that container.
pub fn beside(bundle: Bundle, runtime: Runtime, neighbour: Neighbour) -> Bundle {
    let join = |bundle: Bundle, kind: &str, file: &str| {
        bundle.join_namespace(kind, Path::new(&format!("/proc/SANDBOX/ns/{file}")))
    };
    let bundle = join(bundle, "pid", "pid");
    if neighbour != Neighbour::User {
        return bundle;
    }
    let mut bundle = join(join(bundle.user_namespace(), "user", "user"), "network", "net");
    if runtime == RUNC_1_5 {
        // It takes them from the namespace.
        for ids in ["uidMappings", "gidMappings"] {
            bundle.config["linux"][ids] = json!(null);
        }
    }
    bundle
}

fn prepared(bed: &Bed, runtime: Runtime, neighbour: Neighbour, form: &str, text: &str) -> TestResult<Script> {
    need::command("setpriv")?;
    let attack = bed.file("attack.sh", ATTACK)?;
    peer(bed, neighbour)?
        .bind(&attack, "/share.sh", &["bind"])
        .write()?;
    beside(bundle(bed)?, runtime, neighbour).write()?;
    let drop = match neighbour {
        Neighbour::Nested => "--bounding-set=-sys_ptrace",
        _ => "--inh-caps=-all",
    };
    let text = format!("{PREPARE}{text}");
    let script = script(bed, runtime, &text)?.env("DROP", drop).env("FORM", form);
    // As it is to be installed: who cannot read the program cannot look into it, in whatever user namespace.
    Ok(script.env("MODE", "711"))
}

/// A hook that the runtime starts in the container's mount namespace itself: it waits for its input.
fn within(bed: &Bed, runtime: Runtime, neighbour: Neighbour) -> TestResult {
    let hook = r#"state=$(cat)
        { until [ -e BED/go ]; do sleep 0.02; done; printf %s "$state"; } | exec BED/runtime-bridge hook
        "#;
    bed.file("hook.sh", hook.replace("BED/", &bed.path("").to_string_lossy()))?;
    let text = r#"try_it runtime-bridge
        until_true 'the hook' waits; touch share/begin
        wait_for share/tried; touch go; wait $container || cat err
        touch share/over; wait $attacker; cat could out
        guard | diff before -"#;
    let output = prepared(bed, runtime, neighbour, "createContainer", text)?.succeed()?;
    equal("said", output, format!("{}\nend", made_up_values()))
}

/// A hook that enters the container's namespaces: its child is held at its first mount.
fn from_outside(bed: &Bed, runtime: Runtime, neighbour: Neighbour) -> TestResult {
    let strace = need::command("strace")?;
    let hook = format!(
        "exec {} -f -qq -o BED/trace -e trace=fsopen -e inject=fsopen:delay_enter=$(cat BED/delay) BED/runtime-bridge hook\n",
        strace.display()
    );
    bed.file("hook.sh", hook.replace("BED/", &bed.path("").to_string_lossy()))?;
    // Held for longer each time, where the neighbour was too late.
    let text = r#"for delay in 500000 2000000 8000000 32000000; do
            echo $delay > delay
            cp again.json b/config.json
            try_it memfd:procemu
            touch share/begin
            wait $container || cat err
            touch share/over; wait $attacker
            [ ! -e share/tried ] || break
        done
        [ -e share/tried ] || echo "never seen"
        cat could out; guard | diff before -"#;
    let output = prepared(bed, runtime, neighbour, "prestart", text)?.succeed()?;
    equal(
        "said",
        output,
        format!("{}{}\nend", could(neighbour), made_up_values()),
    )
}

/// What a neighbour can do to the runtime's own process in the container, at the time of hooks and without us. A hook of ours is
/// to be no worse off. From the root of that process the whole host is reached, our programs too.
fn bare(bed: &Bed, runtime: Runtime, neighbour: Neighbour) -> TestResult {
    let hook = "cat > /dev/null; until [ -e BED/go ]; do sleep 0.02; done\n";
    bed.file("hook.sh", hook.replace("BED/", &bed.path("").to_string_lossy()))?;
    let text = r#"try_it $(basename "$RUNTIME"); touch share/begin
        wait_for share/tried; touch go; wait $container || cat err
        touch share/over; wait $attacker; sed '/could overwrite/d' could; cat out"#;
    let output = prepared(bed, runtime, neighbour, "createContainer", text)?.succeed()?;
    equal("said", output, format!("{}end", could(neighbour)))
}

/// What only CAP_SYS_PTRACE allows, as [`ATTACK`] says it. It does not allow to overwrite.
fn could(neighbour: Neighbour) -> String {
    let all = ["read exe", "enter root", "follow fd", "open mem"];
    match neighbour {
        Neighbour::Privileged => all.map(|what| format!("could {what}\n")).concat(),
        _ => String::new(),
    }
}
