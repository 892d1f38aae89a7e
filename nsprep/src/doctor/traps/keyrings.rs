//! What goes wrong with session keyrings.

use super::{Facts, about, bare};
use crate::doctor::by_hand;
use crate::doctor::finding::{Finding, Level};
use crate::doctor::lacking::of_engines;

/// Who makes containers, each of which takes a keyring.
const MAKERS: [&str; 8] = [
    "runc",
    "crun",
    "youki",
    "containerd",
    "dockerd",
    "podman",
    "crio",
    "k3s",
];

/// None can be made.
pub fn session_keyring(facts: &Facts) -> Option<Finding> {
    if !facts.place.keyring.refused {
        return None;
    }
    let subjects = bare(facts, &MAKERS);
    let finding = about(
        &subjects,
        "session_keyring",
        Level::Fails,
        "a new session keyring is refused",
        "unable to join session keyring: unable to create session key: disk quota exceeded",
    )?;
    let runtimes = subjects.iter().filter(|subject| subject.engine.is_none());
    let by_hand = runtimes.map(|runtime| by_hand::run(facts, runtime));
    let finding = by_hand.fold(finding, Finding::cured_by);
    Some(
        of_engines(facts, &["runc", "crun"])
            .into_iter()
            .fold(finding, Finding::cured_by),
    )
}

/// The last few of a quota.
pub fn nearly_full_quota(facts: &Facts) -> Option<Finding> {
    let keyring = &facts.place.keyring;
    if keyring.refused || !keyring.is_nearly_full() {
        return None;
    }
    let [keys, max_keys, bytes, max_bytes] = keyring.quota?;
    let finding = about(
        &bare(facts, &MAKERS),
        "keyring_quota",
        Level::MayFail,
        format!(
            "nearly all of this user's keys are used: {keys} of {max_keys}, {bytes} of {max_bytes} bytes"
        ),
        "each container takes one; then: unable to create session key: disk quota exceeded",
    )?;
    Some(finding.cured_by(format!(
        "sysctl -w kernel.keys.maxkeys={} kernel.keys.maxbytes={}  # root's: root_maxkeys, root_maxbytes",
        max_keys * 10,
        max_bytes * 10
    )))
}
