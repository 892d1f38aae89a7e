//! What goes wrong with containers' sysctls.

use runtime_bridge::runtime::Version;

use super::{Facts, about, bare, wrapper};
use crate::doctor::finding::{Finding, Level};
use crate::doctor::lacking::of_engines;
use crate::doctor::subjects::Subject;

/// They may not be written by a procfs that is mounted nowhere.
pub fn detached_procfs(facts: &Facts) -> Option<Finding> {
    let refused = facts.place.detached_procfs_refuses.as_deref()?;
    let mut subjects = bare(facts, &["runc", "youki"]);
    subjects.retain(|subject| writes_detached(facts, subject));
    let why = format!(
        "runc >= 1.3.3 and youki write sysctls by a procfs that is mounted nowhere, which AppArmor's profiles for LXC take for \
         /sys: open sysctl net.ipv4.ip_unprivileged_port_start file: reopen fd 8: permission denied. Here: {refused}"
    );
    let what = "sysctls of containers may not be written the way this runtime does";
    let finding = about(&subjects, "detached_procfs", Level::Fails, what, why)?;
    Some(wrapper(finding, facts, subjects.first()?))
}

/// Whether it is refused there.
pub fn writes_detached(facts: &Facts, runtime: &Subject) -> bool {
    let writes = match runtime.name.as_str() {
        "youki" => true,
        "runc" => runtime.is_since(Version::release(1, 3, 3)),
        _ => false,
    };
    writes && facts.place.detached_procfs_refuses.is_some()
}

/// The kernel lacks those that containerd gives every pod.
pub fn pod_sysctls(facts: &Facts) -> Option<Finding> {
    let mut subjects = bare(facts, &["containerd"]);
    subjects.retain(|subject| subject.is_since(Version::release(2, 0, 0)));
    if facts.missing_of_pods.is_empty() {
        return None;
    }
    let keys: Vec<_> = facts.missing_of_pods.iter().map(ToString::to_string).collect();
    let finding = about(
        &subjects,
        "pod_sysctls",
        Level::Fails,
        format!("pods with a network of their own lack {}", keys.join(" and ")),
        "containerd 2 asks for them in each such pod: open sysctl net.ipv4.ip_unprivileged_port_start file: ...: no such file or \
         directory",
    )?;
    Some(
        of_engines(facts, &["runc"])
            .into_iter()
            .fold(finding, Finding::cured_by),
    )
}
