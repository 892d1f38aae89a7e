//! Engines' files that are no plain files or end their lines otherwise, and what `install` and `status` say of them.

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use std::fs::{self, File};
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;

const V3: &str = "version = 3\n# the site's\n[grpc]\ngid = 1 # keep\n";

/// A command that runs its arguments with `$BIN` as PATH; as root, where `/run` is its own: that takes the installer's lock.
fn in_private_run() -> Command {
    let run = "export PATH=\"$BIN\"; exec \"$0\" \"$@\"";
    if nix::unistd::geteuid().is_root() {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c"]);
        command.arg(format!("mount -t tmpfs run /run; {run}"));
        command
    } else {
        let mut command = Command::new("sh");
        command.args(["-c", run]);
        command
    }
}

/// A folder with runtime-bridge and, alone on PATH, a runc.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap());
        fs::create_dir(place.at("bin")).unwrap();
        fs::hard_link(
            env!("CARGO_BIN_EXE_runtime-bridge"),
            place.at("bin/runtime-bridge"),
        )
        .unwrap();
        place.program("runc", "");
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn program(&self, name: &str, script: &str) {
        let path = self.at("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// What `runtime-bridge` with the words of `line` prints, behind its exit code; HERE stands for the folder.
    fn run(&self, line: &str) -> String {
        let here = self.0.path().to_str().unwrap();
        let args = line.split(' ').map(|word| word.replace("HERE", here));
        let mut program = in_private_run();
        let path = format!("{}:/usr/bin:/bin", self.at("bin").display());
        program.arg(self.at("bin/runtime-bridge")).args(args);
        let out = program
            .env("BIN", self.at("bin"))
            .env("PATH", path)
            .output()
            .unwrap();
        let text = [out.stdout, out.stderr].concat();
        let text = String::from_utf8(text).unwrap().replace(here, "HERE");
        format!("{} {text}", out.status.code().unwrap())
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.at(name)).unwrap()
    }
}

#[test]
fn what_is_no_plain_file_is_refused() {
    let place = Place::new();
    let is_kept = |name: &str, line: &str| {
        let want = format!("1 runtime-bridge: cannot read HERE/{name}: {line}\n");
        for command in ["install", "uninstall"] {
            let said = place.run(&format!("{command} containerd --config HERE/file"));
            assert_eq!(said, want);
        }
    };
    let fifo = |name: &str| mkfifo(&place.at(name), Mode::S_IRWXU).unwrap();
    fifo("file");
    is_kept("file", "not a regular file");
    assert!(fs::metadata(place.at("file")).unwrap().file_type().is_fifo());
    fs::remove_file(place.at("file")).unwrap();

    let large = File::create(place.at("file")).unwrap();
    large.set_len((16 << 20) + 1).unwrap();
    is_kept("file", "more than 16 MiB");

    for copy in ["file.procemu-before", "file.procemu-after"] {
        fs::write(place.at("file"), V3).unwrap();
        fifo(copy);
        is_kept(copy, "not a regular file");
        fs::remove_file(place.at(copy)).unwrap();
    }

    fs::remove_file(place.at("file")).unwrap();
    symlink("nowhere", place.at("file")).unwrap();
    let said = place.run("install docker --config HERE/file");
    assert_eq!(
        said,
        "1 runtime-bridge: HERE/file leads to nowhere, which is not there; make that file, or remove the link\n"
    );
    assert!(place.at("file").is_symlink());
    assert!(!place.at("bin/procemu-runc").exists());
}

#[test]
fn byte_order_mark_and_crlf_stay() {
    let crlf = |text: &str| text.replace('\n', "\r\n");
    for (engine, text) in [
        ("containerd", crlf(V3)),
        ("containerd", format!("\u{feff}{V3}")),
        ("containerd", format!("\u{feff}{}", crlf(V3))),
        ("docker", crlf("{\n  \"debug\": true\n}\n")),
        ("docker", "\u{feff}{}\n".to_owned()),
    ] {
        let place = Place::new();
        fs::write(place.at("file"), &text).unwrap();
        let run = |command: &str| {
            let said = place.run(&format!("{command} {engine} --config HERE/file"));
            assert!(said.starts_with('0'), "{said}");
            said
        };
        run("install");
        let new = place.text("file");
        assert!(new.contains("procemu-runc"));
        assert_eq!(new.starts_with('\u{feff}'), text.starts_with('\u{feff}'));
        let ends = (new.matches('\n').count(), new.matches("\r\n").count());
        assert!(ends.1 == if text.contains('\r') { ends.0 } else { 0 }, "{new:?}");
        assert!(run("install").contains("is as it was asked for"));
        assert!(run("status").contains("for those that ask for it"));
        // Also where the copies cannot serve.
        let end = if text.contains('\r') { "\r\n" } else { "\n" };
        fs::write(place.at("file"), format!("{new}{end}")).unwrap();
        run("uninstall");
        assert_eq!(place.text("file"), format!("{text}{end}"));
    }
    let place = Place::new();
    fs::write(place.at("file"), format!("{V3}x = 1\r\n")).unwrap();
    assert_eq!(
        place.run("install containerd --config HERE/file"),
        "1 runtime-bridge: HERE/file ends some lines in CRLF and some in LF; make them one\n"
    );
}

#[test]
fn a_file_that_says_nothing_is_begun() {
    let place = Place::new();
    fs::write(place.at("file"), "# the site's").unwrap();
    let said = place.run("install containerd --config HERE/file");
    assert_eq!(
        said,
        "1 runtime-bridge: containerd: has no configuration, and containerd is not on PATH; name its file with --config, or write \
         what `containerd config default` prints\n"
    );
    place.program("containerd", "echo containerd containerd.io 1.6.20 x");
    for text in ["# the site's", ""] {
        fs::write(place.at("file"), text).unwrap();
        place.run("install containerd --config HERE/file");
        let new = place.text("file");
        assert!(
            new.starts_with(format!("{text}\nversion = 2\n").trim_start()),
            "{new}"
        );
        assert!(new.contains("runtimes.procemu]"), "{new}");
        let again = place.run("install containerd --config HERE/file");
        assert_eq!(again, "0 HERE/file is as it was asked for\n");
        place.run("uninstall containerd --config HERE/file");
        assert_eq!(place.text("file"), text);
    }
}

#[test]
fn a_dry_run_says_all_that_would_be_done() {
    let place = Place::new();
    fs::write(place.at("file"), V3).unwrap();
    let said = place.run("install containerd --config HERE/file --dry-run --restart reboot");
    let first = "0 HERE/bin/procemu-runc would lead to HERE/bin/runtime-bridge\n--- HERE/file\n";
    assert!(said.starts_with(first), "{said}");
    assert!(said.ends_with("\nwould run: reboot\n"), "{said}");
    assert_eq!(place.text("file"), V3);
    assert!(!place.at("bin/procemu-runc").exists());
    let said = place.run("uninstall containerd --config HERE/file --dry-run --restart reboot");
    assert_eq!(said, "0 ");
    let said = place.run("install containerd --config HERE/file --restart=");
    assert!(
        said.starts_with("2 ") && said.contains("expected a command that restarts the engine"),
        "{said}"
    );
}

#[test]
fn status_tells_of_a_named_file_and_of_what_is_gone() {
    let place = Place::new();
    let status = || place.run("status docker --config HERE/file");
    assert_eq!(
        status(),
        "0 docker: HERE/file: not installed, nor is there such a file\n"
    );
    fs::write(place.at("file"), "{}\n").unwrap();
    assert_eq!(status(), "0 docker: HERE/file: not installed\n");
    place.run("install docker --as-default --config HERE/file");
    let line = "docker: HERE/file: HERE/bin/procemu-runc, for all containers";
    assert_eq!(status(), format!("0 {line}\n"));
    assert!(place.run("status --config HERE/file").starts_with("2 "));
    fs::rename(place.at("bin/runtime-bridge"), place.at("bin/other")).unwrap();
    fs::hard_link(place.at("bin/other"), place.at("runtime-bridge")).unwrap();
    let gone = || {
        let mut program = Command::new(place.at("runtime-bridge"));
        let out = program
            .args(["status", "docker", "--config"])
            .arg(place.at("file"))
            .output()
            .unwrap();
        assert_eq!(out.status.code(), Some(1));
        String::from_utf8(out.stdout)
            .unwrap()
            .replace(place.0.path().to_str().unwrap(), "HERE")
    };
    assert_eq!(
        gone(),
        format!("{line}; but it leads to HERE/bin/runtime-bridge, which is not there\n")
    );
    fs::remove_file(place.at("bin/procemu-runc")).unwrap();
    assert_eq!(gone(), format!("{line}; but it is not there\n"));
}
