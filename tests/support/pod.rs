//! Pods, as CRI engines make them: a sandbox, and containers that join its namespaces by the number of its process.

use std::path::Path;

use serde_json::json;

use super::{Bed, Bundle, TestResult};

/// Containers of a pod, by whose annotations they are known as such.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pod {
    /// containerd's.
    Containerd,
    /// CRI-O's.
    CriO,
    /// Nobody's.
    Unknown,
}

impl Pod {
    /// The bundle `sandbox`, which only sleeps.
    ///
    /// # Errors
    /// The bundle cannot be made.
    pub fn sandbox(self, bed: &Bed) -> TestResult<Bundle> {
        let bundle = Bundle::new(bed, "sandbox", "sleep 100")?;
        let bundle = ["network", "ipc", "uts"]
            .into_iter()
            .fold(bundle, Bundle::own_namespace);
        Ok(self.annotate(bed, bundle, "sandbox"))
    }

    /// A bundle whose container only sleeps, in the namespaces of the container `sandbox`.
    ///
    /// # Errors
    /// The bundle cannot be made.
    pub fn container(self, bed: &Bed, name: &str) -> TestResult<Bundle> {
        let mut bundle = Bundle::new(bed, name, "sleep 100")?;
        for (kind, file) in [("network", "net"), ("ipc", "ipc"), ("uts", "uts")] {
            bundle = bundle.join_namespace(kind, Path::new(&format!("/proc/SANDBOX/ns/{file}")));
        }
        Ok(self.annotate(bed, bundle, "container"))
    }

    fn annotate(self, bed: &Bed, mut bundle: Bundle, kind: &str) -> Bundle {
        let id = format!("{}-sandbox", bed.id());
        bundle.config["annotations"] = match self {
            Self::Containerd => {
                json!({"io.kubernetes.cri.sandbox-id": id, "io.kubernetes.cri.container-type": kind})
            }
            Self::CriO => {
                json!({"io.kubernetes.cri-o.SandboxID": id, "io.kubernetes.cri-o.ContainerType": kind})
            }
            Self::Unknown => json!({"io.kubernetes.cri.container-type": kind}),
        };
        bundle
    }
}
