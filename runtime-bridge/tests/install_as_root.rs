//! `status` and `install` on a whole machine, in a mount namespace with an /etc of its own: skipped, and said so, for others than root.

use libtest_mimic::{Arguments, Completion, Trial};
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let trial = |name: &'static str, body: fn()| {
        Trial::ignorable_test(name, move || {
            if !nix::unistd::geteuid().is_root() {
                let needs = "only root can have an /etc of its own";
                println!("skipped {name}: {needs}");
                return Ok(Completion::ignored_with(needs));
            }
            body();
            Ok(Completion::Completed)
        })
    };
    let trials = vec![
        trial(
            "a_broken_file_does_not_hide_the_others",
            a_broken_file_does_not_hide_the_others,
        ),
        trial(
            "what_is_changed_while_it_waits_is_not_lost",
            what_is_changed_while_it_waits_is_not_lost,
        ),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// What `script` prints, which finds runtime-bridge in $BRIDGE.
fn printed(script: &str) -> String {
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "sh", "-c", script]);
    let out = unshare
        .env("BRIDGE", env!("CARGO_BIN_EXE_runtime-bridge"))
        .output()
        .unwrap();
    String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned()
}

fn a_broken_file_does_not_hide_the_others() {
    let script = r#"
        for at in /etc /run /usr/share/containers /var/lib/rancher; do
            test ! -d $at || mount -t tmpfs none $at || exit
        done
        $BRIDGE status; echo "ended with $?"
        mkdir -p /etc/containerd /etc/docker /etc/cdi
        mkfifo /etc/containerd/config.toml
        echo '{"runtimes": 7}' > /etc/docker/daemon.json
        $BRIDGE install cdi > /dev/null
        $BRIDGE status; echo "ended with $?"
    "#;
    let said = printed(script);
    let bridge = env!("CARGO_BIN_EXE_runtime-bridge");
    let want = format!(
        "not installed: no engine has a file where it is looked for, name one with `status TARGET --config FILE`\n\
         ended with 0\n\
         containerd: cannot read /etc/containerd/config.toml: not a regular file\n\
         docker: /etc/docker/daemon.json is no JSON that can be edited: runtimes: invalid type: integer `7`, expected a JSON object at line 1 column 1\n\
         cdi: /etc/cdi/procemu.json: {bridge}, for those that ask for it\n\
         ended with 1\n"
    );
    assert_eq!(said, want);
}

/// `install` and `uninstall` behind another one that changes the same file.
fn what_is_changed_while_it_waits_is_not_lost() {
    let script = r##"
        for at in /etc /run; do mount -t tmpfs none $at || exit; done
        mkdir -p /run/bin /etc/containerd /etc/procemu
        ln $BRIDGE /run/bin/runtime-bridge 2> /dev/null || cp $BRIDGE /run/bin/runtime-bridge
        echo 'runtimes.runc = "/bin/true"' > /etc/procemu/bridge.toml
        echo 'version = 3' > /etc/containerd/config.toml
        for what in "install containerd --restart true" "uninstall containerd"; do
            # It goes with whoever leaves no note in it.
            ! test -e /run/procemu/restart || echo "left"
            mkdir -p /run/procemu/restart
            exec 9< /run/procemu/restart
            flock 9
            /run/bin/runtime-bridge $what > /dev/null 9<&- & pid=$!
            until grep -q -- "-> FLOCK .* $pid " /proc/locks; do
                test -e /proc/$pid/exe || { echo "did not wait"; break; }
                sleep 0.1
            done
            echo "# before $what" >> /etc/containerd/config.toml
            exec 9<&-
            wait $pid; echo "ended with $?"
            grep -c procemu- /etc/containerd/config.toml
        done
        cat /etc/containerd/config.toml
    "##;
    assert_eq!(
        printed(script),
        "ended with 0\n1\nended with 0\n0\nversion = 3\n# before install containerd --restart true\n# before uninstall containerd\n"
    );
}
