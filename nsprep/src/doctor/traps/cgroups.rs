//! What goes wrong with cgroups.

use runtime_bridge::runtime::Version;

use super::{Facts, about};
use crate::doctor::by_hand;
use crate::doctor::finding::{Finding, Level};
use crate::doctor::surroundings;

/// Who makes containers by runc.
const RUNC_AND_ENGINES: [&str; 5] = ["runc", "containerd", "dockerd", "crio", "k3s"];

/// Cgroup v1 beside a v2 with controllers.
pub fn crun_hybrid(facts: &Facts) -> Option<Finding> {
    let subjects = facts.of(&["crun"]);
    if !facts.place.cgroups.mixed {
        return None;
    }
    let finding = about(
        &subjects,
        "crun_hybrid",
        Level::Fails,
        "cgroup v1 and a v2 with controllers are both mounted",
        "crun can use one only: cgroups in hybrid mode not supported, drop all controllers from cgroupv2",
    )?;
    let finding = finding.cured_by(by_hand::run(facts, subjects.first()?));
    let podman = facts.of(&["podman"]).into_iter().map(|podman| {
        let before = by_hand::before(facts.place, facts.subjects, podman);
        format!("{before}{} ...", podman.command())
    });
    Some(podman.fold(finding, Finding::cured_by))
}

/// None that crun could use.
pub fn crun_cgroups(facts: &Facts) -> Option<Finding> {
    let subjects = facts.of(&["crun"]);
    if !facts.place.cgroups.fail_crun {
        return None;
    }
    let finding = about(
        &subjects,
        "crun_cgroups",
        Level::Fails,
        "no cgroup can be made or frozen here",
        "crun says `could not join cgroup`; its `exec` misses freezer.state or cgroup.freeze",
    )?;
    Some(
        finding.cured_by(by_hand::run(facts, subjects.first()?)).cured_by(
            "# with runtime-bridge: crun_cgroups = \"auto\" in [policy] of /etc/procemu/bridge.toml",
        ),
    )
}

/// No namespaces of them.
pub fn cgroup_namespace(facts: &Facts) -> Option<Finding> {
    if facts.place.cgroups.namespaces {
        return None;
    }
    let finding = about(
        &facts.of(&RUNC_AND_ENGINES),
        "cgroup_namespace",
        Level::MayFail,
        "there are no cgroup namespaces",
        "runc says `cgroup namespaces aren't enabled in the kernel` to bundles that ask for one",
    )?;
    Some(finding.cured_by(
        "# with runtime-bridge: cgroup_namespace = \"auto\" in [policy] of /etc/procemu/bridge.toml",
    ))
}

/// Each controller by itself.
const V1: &str = "mount -t tmpfs tmpfs /sys/fs/cgroup; for c in cpu cpuacct cpuset memory pids devices; do mkdir /sys/fs/cgroup/$c; \
                  mount -t cgroup -o $c cgroup /sys/fs/cgroup/$c; done";

/// None at all.
pub fn no_cgroups(facts: &Facts) -> Option<Finding> {
    if facts.place.cgroups.version != surroundings::Version::None {
        return None;
    }
    let mut names = RUNC_AND_ENGINES.to_vec();
    names.push("kubelet");
    let finding = about(
        &facts.of(&names),
        "no_cgroups",
        Level::Fails,
        "no cgroups are mounted at /sys/fs/cgroup",
        "runc and the kubelet end: failed to find cgroup mounts",
    )?;
    if facts.place.cgroups.v2_known {
        return Some(finding.cured_by("mount -t cgroup2 cgroup2 /sys/fs/cgroup"));
    }
    let finding = finding.cured_by(V1);
    Some(match facts.is_inside("gvisor") {
        true => finding.cured_by(
            "# or start the sandbox with --in-sandbox-cgroup=v2, which is less to do: docs/gvisor.md",
        ),
        false => finding,
    })
}

/// cgroup v2 in gVisor, and an old runc.
pub fn runc_bpf(facts: &Facts) -> Option<Finding> {
    let mut subjects = facts.of(&["runc"]);
    subjects.retain(|subject| subject.program.is_some() && !subject.is_since(Version::release(1, 2, 0)));
    if !facts.is_inside("gvisor") || facts.place.cgroups.version != surroundings::Version::V2 {
        return None;
    }
    let finding = about(
        &subjects,
        "runc_bpf",
        Level::Fails,
        "this runc needs BPF for cgroup v2, which gVisor has not",
        "failed to call BPF_PROG_ATTACH (BPF_CGROUP_DEVICE, BPF_F_ALLOW_MULTI); runc 1.5.2 and crun do without",
    )?;
    Some(finding.cured_by("# a runc from 1.2 on, or cgroup v1: a sandbox without --in-sandbox-cgroup=v2"))
}

/// cgroup v1, and a recent kubelet.
pub fn kubelet_cgroup_v1(facts: &Facts) -> Option<Finding> {
    let mut subjects = facts.of(&["kubelet"]);
    subjects.retain(|subject| subject.program.is_some() && subject.is_since(Version::release(1, 35, 0)));
    let v1 = [surroundings::Version::V1, surroundings::Version::Hybrid];
    if !v1.contains(&facts.place.cgroups.version) {
        return None;
    }
    let finding = about(
        &subjects,
        "kubelet_cgroup_v1",
        Level::Fails,
        "this place has cgroup v1, which the kubelet refuses from 1.35 on",
        "it is no longer supported by default there",
    )?;
    Some(finding.cured_by("# failCgroupV1: false in the KubeletConfiguration, or a machine with cgroup v2"))
}
