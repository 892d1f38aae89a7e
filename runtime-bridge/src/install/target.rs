//! The engines, and where each has its file.

use super::{Edit, InstallError, Refusal, docker};
use std::path::Path;

/// Whom the bridge is installed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// containerd's `config.toml`, of version 2 (1.x) or 3 (2.x).
    Containerd,
    /// k3s' template for containerd 1.x.
    K3sV2,
    /// k3s' template for containerd 2.x.
    K3sV3,
    /// dockerd's `daemon.json`.
    Docker,
    /// A file of podman's `containers.conf.d`.
    Podman,
    /// A file of CRI-O's `crio.conf.d`.
    Crio,
    /// A file of the folder from which podman and CRI-O take OCI hooks: the hook alone, no wrapper.
    HooksDir,
    /// A CDI specification: the hook alone, no wrapper.
    Cdi,
}

impl Target {
    /// All.
    pub const ALL: [Self; 8] = [
        Self::Containerd,
        Self::K3sV2,
        Self::K3sV3,
        Self::Docker,
        Self::Podman,
        Self::Crio,
        Self::HooksDir,
        Self::Cdi,
    ];

    /// As it is named on the command line; both of k3s' are one there.
    pub fn name(self) -> &'static str {
        match self {
            Self::Containerd => "containerd",
            Self::K3sV2 | Self::K3sV3 => "k3s",
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Crio => "crio",
            Self::HooksDir => "hooks-dir",
            Self::Cdi => "cdi",
        }
    }

    /// Where its file is when no other is named.
    pub fn file(self) -> &'static Path {
        Path::new(match self {
            Self::Containerd => "/etc/containerd/config.toml",
            Self::K3sV2 => "/var/lib/rancher/k3s/agent/etc/containerd/config.toml.tmpl",
            Self::K3sV3 => "/var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.tmpl",
            Self::Docker => "/etc/docker/daemon.json",
            Self::Podman => "/etc/containers/containers.conf.d/procemu.conf",
            Self::Crio => "/etc/crio/crio.conf.d/99-procemu.conf",
            Self::HooksDir => "/usr/share/containers/oci/hooks.d/procemu.json",
            Self::Cdi => "/etc/cdi/procemu.json",
        })
    }

    /// containerd's plugin that has the runtimes, as k3s' containerd names it.
    pub(super) fn plugin(self) -> &'static str {
        match self {
            Self::K3sV2 => "io.containerd.grpc.v1.cri",
            _ => "io.containerd.cri.v1.runtime",
        }
    }

    /// Whether it is told of the hook, not of the wrapper.
    pub(super) fn hook_alone(self) -> bool {
        matches!(self, Self::HooksDir | Self::Cdi)
    }

    /// Whether its file is shared with nobody.
    pub(super) fn is_ours_alone(self) -> bool {
        matches!(self, Self::Podman | Self::Crio | Self::HooksDir | Self::Cdi)
    }

    /// What makes the engine read its file again, which `given` named in place of [`Target::file`], after `edit` of it.
    pub fn reload(self, given: Option<&Path>, edit: &Edit) -> Option<&'static str> {
        match self {
            Self::Containerd => Some("systemctl restart containerd"),
            // RKE2 reads such templates, too.
            Self::K3sV2 | Self::K3sV3 if given.is_some_and(|given| given != self.file()) => {
                Some("restart the engine that reads it")
            }
            Self::K3sV2 | Self::K3sV3 => Some("systemctl restart k3s"),
            Self::Docker if docker::only_adds(edit.sides()) => Some("systemctl reload docker"),
            Self::Docker => Some("systemctl restart docker"),
            Self::Crio => Some("systemctl restart crio"),
            Self::Podman | Self::HooksDir | Self::Cdi => None,
        }
    }

    /// Which of k3s' templates `file` is, by its name.
    ///
    /// # Errors
    /// If it is none of them.
    pub fn template(file: &Path) -> Result<Self, InstallError> {
        let is = |target: &Self| file.file_name() == target.file().file_name();
        [Self::K3sV2, Self::K3sV3].into_iter().find(is).ok_or_else(|| InstallError::Refused {
            path: file.to_owned(),
            refusal: Refusal::new("is no template of k3s: those are config.toml.tmpl (containerd 1.x) and config-v3.toml.tmpl (2.x)"),
        })
    }
}
