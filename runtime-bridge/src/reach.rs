//! Whether a container's root gets as far as the container's bundle.
//!
//! A `createContainer` hook has the rights of the container's root. In a user namespace that is some user of the host's, before
//! whom an engine may have closed its folders: dockerd with `userns-remap` does.

use crate::spec::Spec;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Whether the root of the container that `spec` describes may open `file`, as far as owners and modes tell. One in no other user
/// namespace may.
pub fn reaches(spec: &Spec, file: &Path) -> bool {
    if !spec.lists("user") {
        return true;
    }
    // Where a namespace is joined and no mapping tells of it, its root is nobody in particular.
    let (user, group) = (spec.root_uid(), spec.root_gid());
    let may = |path: &Path, bit: u32| fs::metadata(path).is_ok_and(|meta| allows(&meta, user, group, bit));
    let Ok(file) = fs::canonicalize(file) else {
        return false;
    };
    may(&file, 4) && file.ancestors().skip(1).all(|folder| may(folder, 1))
}

fn allows(meta: &Metadata, user: Option<u32>, group: Option<u32>, bit: u32) -> bool {
    let bits = match meta {
        _ if user == Some(meta.uid()) => bit << 6,
        _ if group == Some(meta.gid()) => bit << 3,
        _ => bit,
    };
    meta.mode() & bits != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_closed_folder_is_in_the_way_of_others_only() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("bundle");
        fs::create_dir(&folder).unwrap();
        let file = folder.join("config.json");
        fs::write(&file, "{}").unwrap();
        let meta = fs::metadata(&file).unwrap();
        let (uid, gid) = (meta.uid(), meta.gid());
        let reach = |uid: u32, gid: u32, mode: u32| {
            fs::set_permissions(dir.path(), Permissions::from_mode(0o711)).unwrap();
            fs::set_permissions(&folder, Permissions::from_mode(mode)).unwrap();
            let map = |id| format!(r#"[{{"containerID":0,"hostID":{id},"size":9}}]"#);
            let (uids, gids) = (map(uid), map(gid));
            let namespaces = r#"[{"type":"user"}]"#;
            let text = format!(
                r#"{{"linux":{{"namespaces":{namespaces},"uidMappings":{uids},"gidMappings":{gids}}}}}"#
            );
            reaches(&Spec::parse(&text).unwrap(), &file)
        };
        assert!(reach(uid + 1, gid + 1, 0o711));
        assert!(!reach(uid + 1, gid + 1, 0o710));
        assert!(reach(uid + 1, gid, 0o710));
        assert!(!reach(uid + 1, gid, 0o701));
        assert!(reach(uid, gid, 0o700));
        assert!(!reach(uid, gid, 0o077));
        fs::set_permissions(&folder, Permissions::from_mode(0o710)).unwrap();
        assert!(reaches(&Spec::parse("{}").unwrap(), &file));
        let joined = r#"{"linux":{"namespaces":[{"type":"user","path":"/proc/1/ns/user"}]}}"#;
        assert!(!reaches(&Spec::parse(joined).unwrap(), &file));
        fs::set_permissions(&folder, Permissions::from_mode(0o700)).unwrap();
    }
}
