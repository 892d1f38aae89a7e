//! What this place does not allow.

use super::{Facts, about};
use crate::doctor::finding::{Finding, Level};

/// No mounts.
pub fn no_attaching(facts: &Facts) -> Option<Finding> {
    let refused = facts.place.attaching.refused()?;
    let what = "nothing can be attached here";
    let finding = Finding::new(
        "attaching_refused",
        Level::Fails,
        &["nsprep", "runtime-bridge"],
        what,
    );
    Some(
        finding
            .because(format!("neither mount interface works in a namespace of our own: {refused}"))
            .cured_by("# give this place CAP_SYS_ADMIN (docker run --cap-add SYS_ADMIN --security-opt apparmor=unconfined), or user namespaces")
            .cured_by("sysctl -w user.max_user_namespaces=10000  # on the host, where that is 0"),
    )
}

/// No sealed copies.
pub fn no_memfd(facts: &Facts) -> Option<Finding> {
    let what = "vm.memfd_noexec is 2";
    let finding = Finding::new(
        "memfd_noexec",
        Level::MayFail,
        &["nsprep", "runtime-bridge"],
        what,
    );
    let why =
        "it forbids the sealed copy that enters a container: `--pid` and hooks outside the container fail";
    (facts.place.memfd_noexec == Some(2))
        .then(|| finding.because(why).cured_by("sysctl -w vm.memfd_noexec=1"))
}

/// No user namespaces.
pub fn no_user_namespaces(facts: &Facts) -> Option<Finding> {
    let refused = facts.place.user_namespaces_refused.as_deref()?;
    let finding = about(
        &facts.of(&["podman", "runc", "crun", "youki", "containerd", "crio"]),
        "user_namespaces",
        Level::MayFail,
        "no user namespace can be made",
        format!("rootless containers and pods with hostUsers: false fail: {refused}"),
    )?;
    Some(
        finding
            .cured_by("sysctl -w user.max_user_namespaces=10000")
            .cured_by("sysctl -w kernel.apparmor_restrict_unprivileged_userns=0  # Ubuntu, for users without rights"),
    )
}

/// No `/dev/kmsg`.
pub fn kubelet_kmsg(facts: &Facts) -> Option<Finding> {
    if facts.place.dev_kmsg {
        return None;
    }
    let finding = about(
        &facts.of(&["kubelet", "k3s"]),
        "dev_kmsg",
        Level::Fails,
        "/dev/kmsg is missing",
        "the kubelet ends: open /dev/kmsg: no such file or directory; an empty file is enough",
    )?;
    Some(finding.cured_by(": > /dev/kmsg"))
}
