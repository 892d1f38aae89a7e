//! The facts of a diagnosis, a line for each.

use std::fmt::Write;

use anstyle::Style;

use super::{DIM, UNSURE, WIDTH, wrapped};
use crate::doctor::keys::{ProfileState, State, View};
use crate::doctor::programs::Program;
use crate::doctor::surroundings::{Surroundings, Version};

fn fact(text: &mut String, name: &str, value: &str) {
    let mut lines = wrapped(value, WIDTH - 18).into_iter();
    let _ = writeln!(text, "  {name:<15} {}", lines.next().unwrap_or_default());
    for line in lines {
        let _ = writeln!(text, "  {:<15} {line}", "");
    }
}

/// What it is.
pub fn place(text: &mut String, place: &Surroundings) {
    for (name, value) in facts(place) {
        fact(text, name, &value);
    }
}

/// The same as names and values.
pub fn facts(place: &Surroundings) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    let mut fact = |name, value: &str| facts.push((name, value.to_owned()));
    let none = |list: &[String], none: &str| match list.is_empty() {
        true => none.to_owned(),
        false => list.join(", "),
    };
    fact("kernel", &place.kernel);
    fact(
        "inside",
        &none(&place.inside, "nothing that is known: plain Linux"),
    );
    let missing = &place.capabilities_missing;
    let capabilities = match missing.len() {
        0 => "all that the kernel has".to_owned(),
        1..=6 => format!("all but {}", missing.join(", ")),
        count => {
            let admin = missing.iter().any(|name| name == "CAP_SYS_ADMIN");
            let with = if admin { "without" } else { "with" };
            format!("{count} are missing; {with} CAP_SYS_ADMIN")
        }
    };
    fact("capabilities", &capabilities);
    let how = match place.untried.is_empty() {
        true => "works",
        false => "works around this user's programs, in a user namespace",
    };
    let attaching = match (&place.attaching.new_refused, place.attaching.refused()) {
        (None, _) => format!("{how}, by the new mount interface"),
        (Some(new), None) => format!("{how}, by mount(2); the new interface: {new}"),
        (Some(_), Some(refused)) => format!("does not work: {refused}"),
    };
    fact("attaching", &attaching);
    let writes = match (place.proc_sys_read_only, &place.detached_procfs_refuses) {
        (true, _) => "read-only",
        (false, Some(_)) => "takes writes, but not by a procfs that is mounted nowhere",
        (false, None) => "takes writes",
    };
    fact("/proc/sys", writes);
    let cgroups = match place.cgroups.version {
        Version::None => "none mounted at /sys/fs/cgroup",
        Version::V1 => "v1",
        Version::V2 => "v2",
        Version::Hybrid => "v1 and v2",
    };
    let namespaces = if place.cgroups.namespaces {
        ""
    } else {
        "; no cgroup namespaces"
    };
    fact("cgroups", &format!("{cgroups}{namespaces}"));
    let refused = if place.keyring.refused {
        "a new session keyring is refused; "
    } else {
        ""
    };
    let quota = match place.keyring.quota {
        Some([keys, max_keys, bytes, max_bytes]) => {
            format!("{keys} of {max_keys} keys, {bytes} of {max_bytes} bytes used")
        }
        None => "no quota is told".to_owned(),
    };
    fact("keyrings", &format!("{refused}{quota}"));
    fact(
        "user namespaces",
        place.user_namespaces_refused.as_deref().unwrap_or("can be made"),
    );
    let mut security = Vec::new();
    security.extend(
        place
            .security
            .apparmor
            .as_ref()
            .map(|name| format!("AppArmor ({name})")),
    );
    security.extend(
        place
            .security
            .selinux
            .as_ref()
            .map(|mode| format!("SELinux ({mode})")),
    );
    security.extend(place.security.seccomp.then(|| "a seccomp filter".to_owned()));
    fact(
        "security",
        &none(&security, "no AppArmor, no SELinux, no seccomp filter"),
    );
    fact(
        "FUSE",
        if place.fuse {
            "there (not needed)"
        } else {
            "not there (not needed)"
        },
    );
    if !place.untried.is_empty() {
        fact(
            "not tried",
            &format!(
                "{}. That takes CAP_SYS_ADMIN; all else is told as this user meets it",
                place.untried.join("; ")
            ),
        );
    }
    facts
}

/// Which are here, and which are not.
pub fn programs(text: &mut String, programs: &[Program], absent: &[String]) {
    if programs.is_empty() && absent.is_empty() {
        let _ = writeln!(text, "  {DIM}no runtime and no engine{DIM:#}");
    }
    for name in absent {
        let _ = writeln!(
            text,
            "  {name:<15} {UNSURE}not on PATH{UNSURE:#}: below is what it would meet here"
        );
    }
    for program in programs {
        let told = program.told.as_deref().unwrap_or("?");
        let bridged = if program.bridged {
            "  by runtime-bridge"
        } else {
            ""
        };
        let _ = writeln!(
            text,
            "  {:<15} {told:<20} {}{bridged}",
            program.name, program.path
        );
    }
}

/// What is lacking of each.
pub fn profiles(text: &mut String, profiles: &[&ProfileState]) {
    if profiles.is_empty() {
        let _ = writeln!(text, "  none that is known to be needed");
        return;
    }
    let _ = writeln!(
        text,
        "  {DIM}{:<15} {:>4} {:>8} {:>6}  looked for in{DIM:#}",
        "profile", "keys", "missing", "stuck"
    );
    for state in profiles {
        let (missing, stuck) = lacking(state);
        let view = view(state);
        let style = match (missing + stuck, &state.problem) {
            (0, None) => Style::new(),
            _ => UNSURE,
        };
        let _ = writeln!(
            text,
            "  {style}{:<15}{style:#} {:>4} {missing:>8} {stuck:>6}  {view}",
            state.profile, state.keys
        );
    }
}

/// How many of its keys are missing, and how many refuse writes or count nothing.
pub fn lacking(state: &ProfileState) -> (usize, usize) {
    let missing = state.lacking.iter().filter(|key| key.state == State::Missing);
    let missing = missing.count();
    (missing, state.lacking.len() - missing)
}

/// Where they were looked for, or why they were not.
pub fn view(state: &ProfileState) -> &str {
    match (&state.problem, state.view) {
        (Some(problem), _) => problem.as_str(),
        (None, View::Here) => "this /proc",
        (None, View::Container) => "a container's new /proc",
    }
}
