//! `/proc/PID/mountinfo`. Everybody may mount, and call what is mounted as they like.

use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use procemu::fuzzing::{Mount, answers, mounts};

/// What is read is read again from what the kernel would write for it, and no order or parent of mounts stops the answers.
pub fn check(data: &[u8]) {
    let found = mounts(data);
    let mut text = String::new();
    for mount in &found {
        write_line(&mut text, mount);
    }
    assert_eq!(mounts(text.as_bytes()), found, "{text}");

    for (place, kind) in [("/proc", "proc"), ("/sys", "sysfs"), ("/", "proc")] {
        let place = Path::new(place);
        let found_there = answers(data, place, kind);
        assert_eq!(found_there, answers(text.as_bytes(), place, kind));
        for layer in &found_there.layers {
            for (path, id) in &layer.mounts {
                // Numbers may be there twice.
                let own = |mount: &Mount| {
                    mount.id == *id && mount.layer().is_some() && mount.point.starts_with(place)
                };
                assert!(found.iter().any(own) && !path.starts_with('/'), "{path:?}");
            }
        }
        let last = found
            .iter()
            .filter(|mount| mount.point.starts_with(place))
            .filter_map(Mount::layer)
            .max();
        if let (Some(next), true) = (&found_there.next, last.is_some()) {
            assert!(found_there.layers.iter().all(|layer| layer.source != *next));
        }
        for mask in &found_there.masks {
            assert!(
                found
                    .iter()
                    .any(|mount| mount.layer().is_none() && mount.point == place.join(mask)),
                "{mask:?}"
            );
        }
        if let Some(id) = found_there.carrier {
            assert!(
                found
                    .iter()
                    .any(|mount| mount.id == id && place.starts_with(&mount.point))
            );
        }
    }
}

/// fs/proc_namespace.c, `show_mountinfo`.
fn write_line(text: &mut String, mount: &Mount) {
    let Mount {
        id,
        parent,
        root,
        point,
        options,
        shared,
        fs,
    } = mount;
    let shared = if *shared { "shared:1 " } else { "" };
    let _ = write!(text, "{id} {parent} 0:1 ");
    for path in [root, point] {
        for byte in path.as_os_str().as_bytes() {
            let _ = match byte {
                b' ' | b'\t' | b'\n' | b'\\' | b'#' | 0..32 | 127.. => write!(text, "\\{byte:03o}"),
                plain => write!(text, "{}", char::from(*plain)),
            };
        }
        text.push(' ');
    }
    let _ = writeln!(text, "{options} {shared}- {fs} none rw");
}
