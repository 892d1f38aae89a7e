//! The Debian package, by dpkg on a view of this machine: whole, with what its scripts do.

use std::fs;

use crate::packages::{self, Kind};
use crate::support::{Bed, Bundle, RUNC_1_1, TestResult, equal, fail, need, section};

const VIEW: &str = include_str!("view.sh");

/// A script that finds the package as `$DEB`, and one of the next version as `$NEXT`.
fn script(bed: &Bed, text: &str) -> TestResult<crate::support::Script> {
    need::root()?;
    need::command("dpkg")?;
    let deb = packages::built(Kind::Deb)?;
    let script = bed.script(&format!("{VIEW}\n{DPKG}\n{text}"))?;
    Ok(script
        .env("DEB", deb)
        .env("NEXT", bed.path("next.deb"))
        .env("MAKE_NEXT", MAKE_NEXT))
}

/// dpkg without what other packages do afterwards (the index of all manual pages), and without waiting for the disk each time.
const DPKG: &str = r#"packages() { view dpkg --no-triggers --force-unsafe-io "$@"; }"#;

/// The next version is the same but for its number, a line of the configuration and the bytes of its programs.
const MAKE_NEXT: &str = r##"
set -eu
dpkg-deb --raw-extract "$DEB" "$BED/next"
sed -i 's/^Version: .*/Version: 999-1/' "$BED/next/DEBIAN/control"
echo '# of the next version' >> "$BED/next/etc/procemu/bridge.toml"
for program in nsprep runtime-bridge; do printf next >> "$BED/next/usr/bin/$program"; done
dpkg-deb --root-owner-group -Znone --build "$BED/next" "$NEXT" > /dev/null
"##;

/// All is where it belongs, with its mode, and belongs to root.
pub fn installed(bed: &Bed) -> TestResult {
    let output = script(
        bed,
        r##"
packages --install "$DEB" > /dev/null
echo '== written'
written
echo '== owners'
(cd "$BED/upper" && find usr etc/procemu -printf '%u:%g\n' | sort -u)
echo '== verify'
view dpkg --verify procemu
echo '== profile'
view nsprep profiles runc | diff - "$BED/upper/usr/share/procemu/profiles/runc.toml"
view runtime-bridge status > /dev/null
view man --locale=C --where 1 nsprep-exec
view man --locale=C --where 5 bridge.toml
view nsprep exec --profile runc -- cat /proc/sys/kernel/cap_last_cap
"##,
    )?
    .succeed()?;
    let written = section(&output, "written")?;
    for line in [
        "755 /usr/bin/nsprep",
        "711 /usr/bin/runtime-bridge",
        "644 /etc/procemu/bridge.toml",
        "644 /usr/share/bash-completion/completions/nsprep",
        "644 /usr/share/bash-completion/completions/runtime-bridge",
        "644 /usr/share/zsh/vendor-completions/_nsprep",
        "644 /usr/share/fish/vendor_completions.d/runtime-bridge.fish",
        "644 /usr/share/man/man1/nsprep.1.gz",
        "644 /usr/share/man/man1/runtime-bridge-install.1.gz",
        "644 /usr/share/man/man5/procemu-table.5.gz",
        "644 /usr/share/procemu/profiles/kubelet.toml",
        "644 /usr/share/doc/procemu/copyright",
        "644 /usr/share/doc/procemu/changelog.gz",
        "644 /usr/share/doc/procemu/docs/engines.md",
    ] {
        if !written.contains(&line) {
            return fail(format!("not there: {line}\n{}", written.join("\n")));
        }
    }
    let elsewhere = written
        .iter()
        .find(|line| !line.contains(" /usr/bin/") && !line.starts_with("644 "));
    equal("of another mode", elsewhere, None::<&&str>)?;
    equal("owners", section(&output, "owners")?, ["root:root"])?;
    equal("changed since", section(&output, "verify")?, [""; 0])?;
    equal(
        "the programs work",
        section(&output, "profile")?,
        [
            "/usr/share/man/man1/nsprep-exec.1.gz",
            "/usr/share/man/man5/bridge.toml.5.gz",
            fs::read_to_string("/proc/sys/kernel/cap_last_cap")?.trim_end(),
        ],
    )
}

/// What an administrator has changed stays; nobody ever finds half a program, and what runs goes on running.
pub fn upgraded(bed: &Bed) -> TestResult {
    let output = script(
        bed,
        r##"
view bash -c "$MAKE_NEXT"
packages --install "$DEB" > /dev/null
echo 'allowed_profiles = ["kubelet"]' >> "$BED/root/etc/procemu/bridge.toml"
before=$(stat -c %i "$BED/root/usr/bin/runtime-bridge")
view bash -c 'echo $$ > "$BED/stay"; exec runtime-bridge stay' &
wait_for "$BED/stay"
stay=$(cat "$BED/stay")
trap 'kill "$stay"' EXIT
until_true "the program" eval '[ "$(readlink "/proc/$stay/exe")" = "$(readlink -f "$BED/root")/usr/bin/runtime-bridge" ]'
packages --force-confold --install "$NEXT" > /dev/null 2>&1
echo '== edited'
tail -n 1 "$BED/root/etc/procemu/bridge.toml"
tail -n 1 "$BED/root/etc/procemu/bridge.toml.dpkg-dist"
echo '== runs'
readlink "/proc/$stay/exe" | sed "s|^$(readlink -f "$BED/root")||"
[ "$(stat -c %i "$BED/root/usr/bin/runtime-bridge")" != "$before" ] || echo "the same file"
stat -c %a "$BED/root/usr/bin/runtime-bridge"
view dpkg --status procemu | grep ^Version
"##,
    )?
    .succeed()?;
    equal(
        "the configuration",
        section(&output, "edited")?,
        [r#"allowed_profiles = ["kubelet"]"#, "# of the next version"],
    )?;
    equal(
        "the programs",
        section(&output, "runs")?,
        ["/usr/bin/runtime-bridge (deleted)", "711", "Version: 999-1"],
    )
}

/// Removed, the configuration stays; purged, nothing does.
pub fn purged(bed: &Bed) -> TestResult {
    let output = script(
        bed,
        r##"
packages --install "$DEB" > /dev/null
mkdir -p "$BED/root/run/procemu/bin"
echo '== removed'
packages --remove procemu > /dev/null
written
echo '== purged'
mkdir -p "$BED/root/run/procemu/ns"
mount -t tmpfs pinned "$BED/root/run/procemu/ns"
packages --purge procemu > /dev/null
ls "$BED/root/run/procemu"
umount "$BED/root/run/procemu/ns"
# All of it may be one mount.
mount -t tmpfs whole "$BED/root/run/procemu"
touch "$BED/root/run/procemu/kept"
packages --install "$DEB" > /dev/null
packages --purge procemu > /dev/null
ls "$BED/root/run/procemu"
umount "$BED/root/run/procemu"
packages --install "$DEB" > /dev/null
packages --purge procemu > /dev/null
written
made
ls -d "$BED/root/run/procemu" 2> /dev/null || true
"##,
    )?
    .succeed()?;
    equal(
        "what stays of a package that is removed",
        section(&output, "removed")?,
        ["644 /etc/procemu/bridge.toml"],
    )?;
    // What is mounted there is somebody's.
    equal(
        "what stays of one that is purged",
        section(&output, "purged")?,
        ["bin", "ns", "kept"],
    )
}

/// While an engine is told of it, or a link leads to it, containers need it.
pub fn in_use(bed: &Bed) -> TestResult {
    let output = script(
        bed,
        r##"
packages --install "$DEB" > /dev/null
printf '#!/bin/sh\necho runc version 1.1.5\n' > "$BED/root/usr/sbin/runc"
chmod 755 "$BED/root/usr/sbin/runc"
view runtime-bridge install docker > /dev/null
remove() {
  ! packages --remove procemu > "$BED/said" 2>&1 || echo "is removed"
  grep -A 1 'cannot go' "$BED/said" || cat "$BED/said"
  view dpkg --status procemu | grep -o ' ok .*'
}
echo '== told'
remove
view runtime-bridge uninstall docker > /dev/null
echo '== linked'
remove
mkdir "$BED/root/opt/engine"
mv "$BED/root/usr/bin/procemu-runc" "$BED/root/opt/engine/procemu-runc"
ln -sf /usr/bin/runtime-bridge "$BED/root/opt/engine/procemu-runc"
echo '{"runtimes": {"procemu": {"path": "/opt/engine/procemu-runc"}}}' > "$BED/root/etc/docker/daemon.json"
echo '== told of a link elsewhere'
remove
echo '{"runtimes": {' > "$BED/root/etc/docker/daemon.json"
echo '== told what nobody understands'
remove
echo '{}' > "$BED/root/etc/docker/daemon.json"
echo '== free'
packages --remove procemu > /dev/null
view dpkg --status procemu | grep ^Status
"##,
    )?
    .succeed()?;
    let still = " ok installed";
    equal(
        "an engine",
        section(&output, "told")?,
        [
            "runtime-bridge cannot go: engines start containers by it. `runtime-bridge uninstall` takes it out of:",
            "docker: /etc/docker/daemon.json: /usr/bin/procemu-runc, for those that ask for it",
            still,
        ],
    )?;
    equal(
        "a link",
        section(&output, "linked")?,
        [
            "runtime-bridge cannot go: containers may run that were made by these links, and could not be stopped. Remove them when none is left:",
            "/usr/bin/procemu-runc",
            still,
        ],
    )?;
    equal(
        "an engine, of a link elsewhere",
        section(&output, "told of a link elsewhere")?,
        [
            "runtime-bridge cannot go: engines start containers by it. `runtime-bridge uninstall` takes it out of:",
            "docker: /etc/docker/daemon.json: /opt/engine/procemu-runc, for those that ask for it",
            still,
        ],
    )?;
    let unknown = section(&output, "told what nobody understands")?;
    equal(
        "an engine's file that is not understood",
        (unknown.len(), unknown[0], unknown[unknown.len() - 1]),
        (
            3,
            "runtime-bridge cannot go: it cannot be told whether engines start containers by it. Mend these files, or remove them:",
            still,
        ),
    )?;
    equal(
        "nobody",
        section(&output, "free")?,
        ["Status: deinstall ok config-files"],
    )
}

/// A container that was made before an upgrade is entered and ended after it.
pub fn upgraded_under_containers(bed: &Bed) -> TestResult {
    need::command("dpkg")?;
    let deb = packages::built(Kind::Deb)?;
    let runc = RUNC_1_1.path()?;
    Bundle::new(bed, "b", "sleep 1000")?.write()?;
    let script = bed.machine(
        r##"
bash -c "$MAKE_NEXT"
dpkg --no-triggers --force-unsafe-io --install "$DEB" > /dev/null
printf '[runtimes]\nrunc = "%s"\n' "$RUNC" >> /etc/procemu/bridge.toml
sed -i '0,/^\[runtimes\]$/{//d}' /etc/procemu/bridge.toml
ln -s /usr/bin/runtime-bridge /usr/bin/procemu-runc
rt() { procemu-runc --root "$BED/state" "$@"; }
rt create --no-new-keyring --bundle "$BED/b" "$ID" < /dev/null > /dev/null
rt start "$ID"
dpkg --no-triggers --force-unsafe-io --force-confold --install "$NEXT" > /dev/null
rt exec "$ID" cat /proc/sys/kernel/cap_last_cap
rt kill "$ID" KILL
until rt state "$ID" | grep -q '"stopped"'; do sleep 0.05; done
rt delete "$ID"
rt list --quiet
"##,
    )?;
    let output = script
        .env("DEB", deb)
        .env("NEXT", bed.path("next.deb"))
        .env("MAKE_NEXT", MAKE_NEXT)
        .env("RUNC", runc)
        .succeed()?;
    equal(
        "the container",
        output.as_str(),
        fs::read_to_string("/proc/sys/kernel/cap_last_cap")?.trim_end(),
    )
}

/// What the packages of the tests are not: static, and compressed.
const OF_THE_TESTS: &str = "undeclared-elf-prerequisites,uses-no-compression-for-control-tarball,uses-no-compression-for-data-tarball";

/// Nothing that Debian's own check finds.
pub fn lintian(bed: &Bed) -> TestResult {
    let lintian = need::command("lintian")?;
    let output = script(
        bed,
        r#""$LINTIAN" --allow-root --fail-on error,warning --suppress-tags "$SUPPRESSED" "$DEB""#,
    )?;
    let output = output
        .env("LINTIAN", lintian)
        .env("SUPPRESSED", OF_THE_TESTS)
        .succeed()?;
    equal("found", output.as_str(), "")
}
