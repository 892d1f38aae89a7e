//! `status` of a whole machine, in a mount namespace with an /etc of its own: skipped, and said so, for others than root.

use libtest_mimic::{Arguments, Completion, Trial};
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let name = "a_broken_file_does_not_hide_the_others";
    let trial = Trial::ignorable_test(name, move || {
        if !nix::unistd::geteuid().is_root() {
            let needs = "only root can have an /etc of its own";
            println!("skipped {name}: {needs}");
            return Ok(Completion::ignored_with(needs));
        }
        a_broken_file_does_not_hide_the_others();
        Ok(Completion::Completed)
    });
    libtest_mimic::run(&Arguments::from_args(), vec![trial]).exit_code()
}

fn a_broken_file_does_not_hide_the_others() {
    let script = r#"
        for at in /etc /usr/share/containers /var/lib/rancher; do
            test ! -d $at || mount -t tmpfs none $at || exit
        done
        $BRIDGE status; echo "ended with $?"
        mkdir -p /etc/containerd /etc/docker /etc/cdi
        mkfifo /etc/containerd/config.toml
        echo '{"runtimes": 7}' > /etc/docker/daemon.json
        $BRIDGE install cdi > /dev/null
        $BRIDGE status; echo "ended with $?"
    "#;
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "sh", "-c", script]);
    let out = unshare
        .env("BRIDGE", env!("CARGO_BIN_EXE_runtime-bridge"))
        .output()
        .unwrap();
    let bridge = env!("CARGO_BIN_EXE_runtime-bridge");
    let want = format!(
        "not installed: no engine has a file where it is looked for, name one with `status TARGET --config FILE`\n\
         ended with 0\n\
         containerd: cannot read /etc/containerd/config.toml: not a regular file\n\
         docker: /etc/docker/daemon.json is no JSON that can be edited: runtimes: invalid type: integer `7`, expected a JSON object at line 1 column 1\n\
         cdi: /etc/cdi/procemu.json: {bridge}, for those that ask for it\n\
         ended with 1\n"
    );
    assert_eq!(String::from_utf8_lossy(&[out.stdout, out.stderr].concat()), want);
}
