//! The same of large programs: `make e2e-profiles`.

#[path = "../support/mod.rs"]
mod support;

mod place;

use std::process::ExitCode;

use place::tried;
use support::{Bed, Suite, TestResult, equal, need};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.test("cured::chromium", chromium);
    suite.test("cured::podman", podman);
    suite.run()
}

/// It says that it cannot read the key, or nothing of it.
fn chromium(bed: &Bed) -> TestResult {
    need::root()?;
    let tree = need::debian("chromium")?;
    let text = r#"lack fs/inotify/max_user_watches
        libs=$(echo "$TREE"/usr/lib/*-linux-gnu); export LD_LIBRARY_PATH=$libs:$libs/pulseaudio HOME=$BED
        try() {
            "$@" "$TREE/usr/lib/chromium/chromium" --headless --no-sandbox --disable-gpu --enable-logging=stderr \
                --user-data-dir="$BED/user-${1##*/}" --dump-dom 'data:text/html,<p>shown' > page 2> log
            grep -o 'Failed to read /proc/sys/[a-z_/]*' log | sort --unique || true
            grep -o '<p>shown' page
        }"#;
    let tried = tried(bed, "chromium", |script| script.env("TREE", tree), text)?;
    let said = "Failed to read /proc/sys/fs/inotify/max_user_watches";
    equal("bare", tried.bare, [said, "<p>shown"])?;
    equal("cured", tried.cured, ["<p>shown"])
}

/// Without a word it gives a container that asks for all capabilities those that it knew long ago.
fn podman(bed: &Bed) -> TestResult {
    need::root()?;
    let tree = need::debian("podman")?;
    if !may_give_new_capabilities() {
        return need::skip("needs CAP_PERFMON, CAP_BPF and CAP_CHECKPOINT_RESTORE");
    }
    let text = r#"mkdir over root root/bin; mount -t tmpfs over over; cp /bin/busybox root/bin
        for folder in usr etc; do
            mkdir "over/$folder" "over/work-$folder"
            mount -t overlay -o "lowerdir=$TREE/$folder:/$folder,upperdir=over/$folder,workdir=over/work-$folder" overlay "/$folder"
        done
        mount -t tmpfs run /run; mount -t tmpfs var /var/lib
        lack kernel/cap_last_cap
        p() { podman --root "$BED/storage" --runroot "$BED/run" --storage-driver vfs --cgroup-manager cgroupfs --events-backend none "$@"; }
        export -f p
        try() {
            "$@" bash -euc 'p create --name made-up --cap-add ALL --network none --rootfs "$BED/root" /bin/busybox true > id
                p inspect made-up --format "{{ .EffectiveCaps }}" | tr " " "\n" | grep -cE "CAP_(PERFMON|BPF|CHECKPOINT_RESTORE)" || true
                p rm made-up > id'
        }"#;
    let tried = tried(bed, "podman", |script| script.env("TREE", tree), text)?;
    equal("bare", tried.bare, ["0"])?;
    equal("cured", tried.cured, ["3"])
}

fn may_give_new_capabilities() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("CapBnd:"));
    let bounding = line.and_then(|line| u64::from_str_radix(line.trim(), 16).ok());
    bounding.is_some_and(|has| (38..=40).all(|capability| has & (1 << capability) != 0))
}
