//! Static pods by the real kubelet, behind both containerds.

mod support;

use std::process::ExitCode;

use support::{CONTAINERDS, KUBELET_PODS, Suite, kubelet_pods};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    for containerd in CONTAINERDS {
        for (name, lacking) in [("normal", ""), ("lacking", LACKING)] {
            suite.test(format!("{name}::containerd_{}", containerd.version), move |bed| {
                let script = bed.linux_node(containerd, KUBELET_PODS)?;
                kubelet_pods(bed, script.env("LACKING", lacking))
            });
        }
    }
    suite.run()
}

/// What the kubelet cannot do without, and a key that runtimes read.
const LACKING: &str = "vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes \
     kernel/cap_last_cap";
