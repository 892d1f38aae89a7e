//! Static pods of one kubelet, from its start to its end, and what has to be seen in each.

use super::{Bed, Script, TestResult, equal, made_up_table, made_up_values, print_made_up, section};

/// The script that runs them, for a node.
pub const KUBELET_PODS: &str = include_str!("node/kubelet_pods.sh");

/// Runs `script`, which is [`KUBELET_PODS`] on some node.
pub fn kubelet_pods(bed: &Bed, script: Script) -> TestResult {
    let script = script
        .env("TABLE", made_up_table(bed)?)
        .env("PRINT", print_made_up());
    let output = script.succeed()?;
    let made_up = made_up_values();
    for (name, expected) in [
        ("static", STATIC.replace("MADE UP", &made_up)),
        ("rich", RICH.to_owned()),
        ("privileged", PRIVILEGED.to_owned()),
        ("network", NETWORK.replace("MADE UP", &made_up)),
        ("left by the pods", String::new()),
        ("left by the node", String::new()),
    ] {
        equal(name, section(&output, name)?.join("\n").trim(), expected.trim())?;
    }
    Ok(())
}

/// By the kubelet's own API: logs, and what a command said and ended with; logs again after a crash.
const STATIC: &str = "
40
said
exit 5
MADE UP
40
";

/// As user 1000 without capabilities, under a seccomp filter; the volumes, of which the host's takes no writes; the limit.
const RICH: &str = r#"
uid=1000 gid=1000 groups=1000
CapEff:	0000000000000000
CapBnd:	0000000000000000
NoNewPrivs:	1
Seccomp:	2
disk
memory
host
app="rich"
rich-node
size=1024k
67108864
not restarted
"#;

const PRIVILEGED: &str = "
Seccomp:	0
40
mounted
";

/// The pod's address, and its sysctls.
const NETWORK: &str = "
10.88.0.2
20000 30000
1
1000
0 2147483647
MADE UP
";
