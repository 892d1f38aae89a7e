//! `make install`, and what the tarball has for it.

use std::fs;

use crate::packages::{self, Kind};
use crate::support::{Bed, TestResult, equal, need, section};

const VIEW: &str = include_str!("view.sh");

/// Below DESTDIR all is there, and nothing when it is uninstalled; what was there already stays.
pub fn destdir(bed: &Bed) -> TestResult {
    need::root()?;
    let output = bed
        .script(
            r##"
export DESTDIR=$BED/dest PREFIX=/opt/procemu
mkdir -p "$DESTDIR/opt/procemu/bin"
echo other > "$DESTDIR/opt/procemu/bin/other"
umask 077
"$TREE/install.sh" install
first=$(stat -c %i "$DESTDIR/opt/procemu/bin/runtime-bridge")
echo '== files'
(cd "$DESTDIR/opt/procemu" && find . -type f -printf '%m %P\n' | grep -v /doc/ | sed 's/[a-z-]*\.toml$/*.toml/' | sort -uk 2)
echo '== folders'
find "$DESTDIR/opt/procemu" -mindepth 1 -type d -printf '%m\n' | sort -u
echo '== again'
"$TREE/install.sh" install
[ "$(stat -c %i "$DESTDIR/opt/procemu/bin/runtime-bridge")" != "$first" ] || echo "written into"
find "$DESTDIR" -name '.*'
"$DESTDIR/opt/procemu/bin/nsprep" profiles runc | diff - "$DESTDIR/opt/procemu/share/procemu/profiles/runc.toml"
echo '== left'
# What an earlier version had and this one has not.
touch "$DESTDIR/opt/procemu/share/procemu/profiles/earlier.toml"
echo /opt/procemu/share/procemu/profiles/earlier.toml >> "$DESTDIR/opt/procemu/share/procemu/installed"
"$TREE/install.sh" install
"$TREE/install.sh" uninstall
(cd "$DESTDIR" && find . | sort)
"##,
        )?
        .env("TREE", packages::built(Kind::Tree)?)
        .succeed()?;
    let files = section(&output, "files")?;
    for line in [
        "755 bin/nsprep",
        "711 bin/runtime-bridge",
        "644 share/man/man1/nsprep-plan.1",
        "644 share/man/man5/bridge.toml.5",
        "644 share/bash-completion/completions/nsprep",
        "644 share/zsh/site-functions/_runtime-bridge",
        "644 share/fish/vendor_completions.d/nsprep.fish",
        "644 share/procemu/profiles/*.toml",
    ] {
        equal(line, files.contains(&line), true)?;
    }
    equal("folders", section(&output, "folders")?, ["755"])?;
    equal("again", section(&output, "again")?, [""; 0])?;
    equal(
        "left",
        section(&output, "left")?,
        [
            ".",
            "./opt",
            "./opt/procemu",
            "./opt/procemu/bin",
            "./opt/procemu/bin/other",
        ],
    )
}

/// Ended in the middle, or begun several times at once, it leaves what can be installed and taken away; a program is whole at any time.
pub fn interrupted(bed: &Bed) -> TestResult {
    need::root()?;
    let output = bed
        .script(
            r##"
export DESTDIR=$BED/dest PREFIX=/opt/procemu
mkdir "$BED/bin"
# stop_at PROGRAM PATH: install.sh is killed where it would call PROGRAM for PATH.
stop_at() {
  printf '#!/bin/sh\ncase "$*" in *%s*) kill -KILL $PPID; exit 1 ;; esac\nexec %s "$@"\n' "$2" "$(command -v "$1")" > "$BED/bin/$1"
  chmod 755 "$BED/bin/$1"
}
left() { (cd "$DESTDIR" && find . -mindepth 1); }
stop_at mv /man1/
! PATH=$BED/bin:$PATH sh "$TREE/install.sh" install 2> /dev/null || echo "was not killed"
rm "$BED/bin/mv"
[ -e "$DESTDIR/opt/procemu/bin/nsprep" ] || echo "killed too early"
echo '== install'
sh "$TREE/install.sh" uninstall
left
sh "$TREE/install.sh" install
stop_at rm /bin/nsprep
! PATH=$BED/bin:$PATH sh "$TREE/install.sh" uninstall 2> /dev/null || echo "was not killed"
rm "$BED/bin/rm"
echo '== uninstall'
sh "$TREE/install.sh" uninstall
left
echo '== at once'
for _ in 1 2 3 4; do sh "$TREE/install.sh" install & running="${running:-} $!"; done
for one in $running; do wait "$one" || echo "fails"; done
cmp "$TREE/bin/runtime-bridge" "$DESTDIR/opt/procemu/bin/runtime-bridge"
sh "$TREE/install.sh" uninstall
left
"##,
        )?
        .env("TREE", packages::built(Kind::Tree)?)
        .succeed()?;
    equal("left", output.as_str(), "== install\n== uninstall\n== at once")
}

/// Each with one line, and before anything is written.
pub fn refused(bed: &Bed) -> TestResult {
    need::root()?;
    let tree = packages::built(Kind::Tree)?;
    let run = |text: &str| -> TestResult<_> {
        let script = bed.script(&format!("exec \"$TREE/install.sh\" {text}"))?;
        Ok(script.env("TREE", &tree).env("DESTDIR", bed.path("dest")))
    };
    run("install")?
        .env("PREFIX", "usr")
        .run()?
        .refuses(2, &["PREFIX is 'usr'", "absolute path"])?;
    run("remove")?
        .run()?
        .refuses(2, &["expected install or uninstall", "'remove'"])?;
    run("uninstall")?
        .run()?
        .refuses(1, &["nothing is installed in", "/usr/local"])?;
    equal("nothing is written", bed.path("dest").exists(), false)
}

/// From the tarball alone, on a machine without Rust, over its own /usr/local; it does not go while an engine needs it.
pub fn tarball(bed: &Bed) -> TestResult {
    need::root()?;
    let tarball = packages::built(Kind::Tarball)?;
    let output = bed
        .script(&format!(
            "{VIEW}{}",
            r##"
mkdir "$BED/unpacked"
tar --extract --file "$TARBALL" --directory "$BED/unpacked" --strip-components 1
# Of this machine's own there may be one.
view mount -t tmpfs -o mode=0755 local /usr/local
view "$BED/unpacked/install.sh" install
view /usr/local/bin/nsprep --version
view stat -c '%a %U' /usr/local/bin/runtime-bridge
view ln -s runtime-bridge /usr/local/bin/procemu-crun
echo '== in use'
! view "$BED/unpacked/install.sh" uninstall 2>&1 || echo "is removed"
view rm /usr/local/bin/procemu-crun
echo '== left'
view "$BED/unpacked/install.sh" uninstall
(cd "$BED/root/usr/local" && find . -mindepth 1)
"##
        ))?
        .env("TARBALL", tarball)
        .succeed()?;
    let version = format!("nsprep {}", env!("CARGO_PKG_VERSION"));
    equal(
        "installed",
        output.lines().take(2).collect::<Vec<_>>(),
        [version.as_str(), "711 root"],
    )?;
    equal(
        "in use",
        section(&output, "in use")?.last(),
        Some(&"/usr/local/bin/procemu-crun"),
    )?;
    equal("left", section(&output, "left")?, [""; 0])
}

/// Made twice of the same programs, whatever these are, it is the same, byte for byte.
pub fn same_twice(bed: &Bed) -> TestResult {
    need::command("dpkg-deb")?;
    let programs = bed.path("programs");
    fs::create_dir(&programs)?;
    for name in ["nsprep", "runtime-bridge"] {
        fs::write(programs.join(name), name)?;
    }
    for kind in [Kind::Tarball, Kind::Deb] {
        let make = |folder| packages::make(kind, &bed.path(folder), &programs);
        let (first, second) = (make("a")?, make("another folder")?);
        equal(first.display(), fs::read(&first)? == fs::read(&second)?, true)?;
    }
    Ok(())
}
