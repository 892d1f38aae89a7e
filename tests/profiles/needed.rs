//! Programs that fail, or do less, without their keys, and do not with their profile.

use super::place::{LACK, tried};
use super::support::{Bed, Suite, TestResult, equal, fail, need, same_lines, section};

/// Adds the tests.
pub fn add(suite: &mut Suite) {
    suite.test("cured::bubblewrap", bubblewrap);
    suite.test("cured::cni_bridge", cni_bridge);
    suite.test("cured::go_backlog", go_backlog);
    suite.test("cured::redis_check", redis_check);
    suite.test("cured::redis_backlog", redis_backlog);
    suite.test("cured::systemd", systemd);
    suite.test("cured::sysctl_missing", |bed| {
        sysctl(bed, SYSCTL_MISSING, "--load /etc/sysctl.d/*.conf")
    });
    suite.test("cured::sysctl_read_only", |bed| {
        sysctl(bed, "read_only_proc_sys", "--system")
    });
}

fn bubblewrap(bed: &Bed) -> TestResult {
    need::root()?;
    let tree = need::debian("bubblewrap")?;
    let text = r#"lack kernel/overflowuid kernel/overflowgid
        try() { "$@" "$TREE/usr/bin/bwrap" --ro-bind / / --dev /dev echo inside || echo "exit code $?"; }"#;
    let tried = tried(bed, "bubblewrap", |script| script.env("TREE", tree), text)?;
    let said = "bwrap: Can't read /proc/sys/kernel/overflowuid: No such file or directory";
    equal("bare", tried.bare, [said, "exit code 1"])?;
    equal("cured", tried.cured, ["inside"])
}

/// A bridge that is the gateway of a container.
fn cni_bridge(bed: &Bed) -> TestResult {
    need::root()?;
    need::file("/usr/lib/cni/bridge")?;
    let network = r#"{ "cniVersion": "0.4.0", "name": "made-up", "type": "bridge", "bridge": "procemu-made0", "isGateway": true,
        "ipam": { "type": "host-local", "dataDir": "IPAM", "ranges": [[{ "subnet": "10.99.0.0/24" }]] } }"#;
    bed.file(
        "network.json",
        network.replace("IPAM", &bed.path("ipam").to_string_lossy()),
    )?;
    let text = r#"lack net/ipv4/ip_forward
        unshare --net sleep 100 > /dev/null 2>&1 & pid=$!; trap 'kill $pid' EXIT
        until [ "$(readlink /proc/$pid/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.02; done
        export CNI_COMMAND=ADD CNI_NETNS=/proc/$pid/ns/net CNI_PATH=/usr/lib/cni
        try() { export CNI_CONTAINERID=made-up-${1##*/} CNI_IFNAME=${1##*/}0; "$@" sh -c '
            /usr/lib/cni/bridge < network.json > answer || echo "exit code $?"
            grep -o "failed to enable forwarding" answer || cat /proc/sys/net/ipv4/ip_forward'; }"#;
    let tried = tried(bed, "cni", |script| script, text)?;
    equal("bare", tried.bare, ["exit code 1", "failed to enable forwarding"])?;
    equal("cured", tried.cured, ["1"])
}

/// The key is the network namespace's own: 2000, found by asking the kernel.
const BACKLOG: &str = r#"ip link set lo up; echo 2000 > /proc/sys/net/core/somaxconn
        lack net/core/somaxconn
        "#;

/// A small server in Go, of which the kernel is asked how many connections may wait.
fn go_backlog(bed: &Bed) -> TestResult {
    need::root()?;
    need::file("/usr/lib/cni/dhcp")?;
    let text = r#"listening() { ss --listening --unix --no-header src "$socket" | grep LISTEN; }
        try() {
            socket=${BED%/}/${1##*/}.sock
            "$@" /usr/lib/cni/dhcp daemon -socketpath "$socket" & pid=$!
            until_true dhcp listening > /dev/null
            listening | awk '{ print $4 }'
            kill "$pid"; wait "$pid" || true
        }"#;
    let tried = tried(bed, "go", |script| script, &format!("{BACKLOG}{text}"))?;
    equal("bare", tried.bare, ["128"])?;
    equal("cured", tried.cured, ["2000"])
}

/// It says that it could not look, or what it has found.
fn redis_check(bed: &Bed) -> TestResult {
    need::root()?;
    let tree = need::debian("redis")?;
    let text = r#"lack vm/overcommit_memory
        export LD_LIBRARY_PATH=$(echo "$TREE"/usr/lib/*-linux-gnu)
        try() { "$@" "$TREE/usr/bin/redis-server" --check-system | grep -F '[overcommit]'; }"#;
    let tried = tried(bed, "redis", |script| script.env("TREE", tree), text)?;
    equal("bare", tried.bare, ["[overcommit]...skipped"])?;
    let kernels = std::fs::read_to_string("/proc/sys/vm/overcommit_memory")?;
    let verdict = if kernels.trim() == "1" { "OK" } else { "WARNING:" };
    equal("cured", tried.cured, [format!("[overcommit]...{verdict}")])
}

/// It warns that the kernel cuts what it asks for.
fn redis_backlog(bed: &Bed) -> TestResult {
    need::root()?;
    let tree = need::debian("redis")?;
    let text = r#"export LD_LIBRARY_PATH=$(echo "$TREE"/usr/lib/*-linux-gnu)
        try() {
            log=log-${1##*/}; : > "$log"
            "$@" "$TREE/usr/bin/redis-server" --port 6379 --tcp-backlog 3000 --save '' --dir "$BED" > "$log" & pid=$!
            LOGS=$log until_true Redis grep -q 'Ready to accept connections' "$log"
            kill "$pid"; wait "$pid" || true
            grep -o 'backlog setting of 3000 cannot be enforced.*' "$log" || echo 'no warning'
        }"#;
    let tried = tried(
        bed,
        "redis",
        |script| script.env("TREE", tree),
        &format!("{BACKLOG}{text}"),
    )?;
    equal("bare", tried.bare, ["no warning"])?;
    let said = "backlog setting of 3000 cannot be enforced because /proc/sys/net/core/somaxconn is set to the lower value of 2000.";
    equal("cured", tried.cured, [said])
}

/// A user's manager, which only says what it would do: of how many tasks a unit may have 15 percent.
fn systemd(bed: &Bed) -> TestResult {
    need::root()?;
    if need::file("/lib/systemd/systemd").is_err() {
        return need::skip("needs systemd, as Debian's package of that name has it");
    }
    let text = r#"lack kernel/pid_max kernel/threads-max
        mkdir home run; chown 65534:65534 home run
        try() {
            # Where a file is missing there is nothing to print.
            "$@" cat /proc/sys/kernel/pid_max /proc/sys/kernel/threads-max 2> /dev/null || true
            "$@" setpriv --reuid=65534 --regid=65534 --clear-groups env HOME="$BED/home" XDG_RUNTIME_DIR="$BED/run" \
                /lib/systemd/systemd --user --test --no-pager 2> /dev/null | sed -n 's/^\t*TasksMax: //p' | sort -n | head -n 1
        }"#;
    let tried = tried(bed, "systemd", |script| script, text)?;
    equal("bare", tried.bare, [(4_194_304 * 15 / 100).to_string()])?;
    let numbers: Result<Vec<u64>, _> = tried.cured.iter().map(|line| line.parse()).collect();
    match numbers?[..] {
        [pid_max, threads_max, tasks] => equal("cured", tasks, (pid_max - 1).min(threads_max) * 15 / 100),
        _ => fail(format!("cured: {:?}", tried.cured)),
    }
}

/// What Debian 12 has in /usr/lib/sysctl.d, by systemd and procps; what Kubernetes' pages tell to put into /etc/sysctl.d.
const SYSCTL_D: [(&str, &str); 4] = [
    ("50-pid-max.conf", "kernel.pid_max = 4194304\n"),
    (
        "99-protect-links.conf",
        "fs.protected_fifos = 1\nfs.protected_hardlinks = 1\nfs.protected_regular = 2\nfs.protected_symlinks = 1\n",
    ),
    (
        "k8s.conf",
        "net.bridge.bridge-nf-call-iptables = 1\nnet.bridge.bridge-nf-call-ip6tables = 1\nnet.ipv4.ip_forward = 1\n",
    ),
    (
        "90-kubelet.conf",
        "vm.overcommit_memory = 1\nvm.panic_on_oom = 0\nkernel.panic = 10\nkernel.panic_on_oops = 1\n\
         kernel.keys.root_maxkeys = 1000000\nkernel.keys.root_maxbytes = 25000000\n",
    ),
];

/// What is no profile's to claim.
const CLAIMS: [&str; 6] = [
    "fs.protected_fifos",
    "fs.protected_hardlinks",
    "fs.protected_regular",
    "fs.protected_symlinks",
    "net.bridge.bridge-nf-call-ip6tables",
    "net.bridge.bridge-nf-call-iptables",
];

/// Every key that the files name, as far as the kernel has it.
const SYSCTL_MISSING: &str = r#"keys=$(sed 's/ =.*//; s|\.|/|g' *.conf | while read -r key; do [ ! -e "/proc/sys/$key" ] || echo "$key"; done)
        lack $keys"#;

/// `place` has none of the keys, or none that takes writes: none can reach the kernel. sysctl is called with `options`; with
/// --system it passes over keys that are missing, and ends well.
fn sysctl(bed: &Bed, place: &str, options: &str) -> TestResult {
    need::root()?;
    need::file("/etc/sysctl.d")?;
    for (name, text) in SYSCTL_D {
        bed.file(name, text)?;
    }
    let text = format!(
        r#"{LACK}{place}
        for folder in /etc /run /usr/local/lib /usr/lib /lib; do
            [ ! -d "$folder/sysctl.d" ] || mount -t tmpfs covered "$folder/sysctl.d"
        done
        [ ! -e /etc/sysctl.conf ] || mount --bind /dev/null /etc/sysctl.conf
        cp *.conf /etc/sysctl.d
        call() {{
            sysctl {options} > /dev/null 2> said || echo "exit code $?"
            sed -nE 's/.*(cannot stat .proc.sys.|permission denied on key "|setting key ")([^":]*).*/failed \2/p' said
        }}
        export -f call
        echo '== bare'; call
        echo '== cured'; "$NSPREP" exec --profile sysctl -- bash -euc '
            call; sysctl --values kernel.pid_max net.ipv4.ip_forward vm.overcommit_memory kernel.panic'"#
    );
    let output = bed.script(&text)?.succeed()?;
    let dots = |key: &str| key.replace('/', ".");
    let failed = |name: &str| -> TestResult<Vec<String>> {
        let lines = section(&output, name)?.into_iter();
        Ok(lines
            .filter_map(|line| line.strip_prefix("failed "))
            .map(dots)
            .collect())
    };
    let has = |key: &str| {
        std::path::Path::new("/proc/sys")
            .join(key.replace('.', "/"))
            .exists()
    };
    let says_so = |key: &&str| options != "--system" || has(key);
    let lines = SYSCTL_D.iter().flat_map(|(_, text)| text.lines());
    let keys = lines.filter_map(|line| line.split(' ').next()).filter(says_so);
    let (bare, cured) = (failed("bare")?, failed("cured")?);
    same_lines("bare", bare.iter().map(String::as_str), keys)?;
    same_lines(
        "cured",
        cured.iter().map(String::as_str),
        CLAIMS.into_iter().filter(says_so),
    )?;
    let values = section(&output, "cured")?.into_iter().rev().take(4);
    equal("written", values.collect::<Vec<_>>(), ["10", "1", "1", "4194304"])
}
