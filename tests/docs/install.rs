//! What `install` prints, where a page shows more than its own engine's test does.

use crate::place::script;
use crate::support::{Bed, Block, Suite, TestResult, blocks_print, typed_blocks};

/// A file as containerd 2.2 has it with systemd's cgroups, whose last lines the page's difference has.
const CONTAINERD: &str = r#"mkdir -p /etc/containerd; cat > /etc/containerd/config.toml << 'END'
version = 3
root = "/var/lib/containerd"
state = "/run/containerd"

[grpc]
  address = "/run/containerd/containerd.sock"

[plugins]
  [plugins.'io.containerd.cri.v1.runtime'.containerd]
    default_runtime_name = "runc"
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
      SystemdCgroup = true
END
"#;

pub fn add(suite: &mut Suite) {
    for (page, name, before) in [
        ("docs/engines.md", "install", CONTAINERD),
        ("docs/engines/crio.md", "install", ""),
    ] {
        let block = suite.page(page).block(name);
        suite.test(format!("install::{page}"), move |bed| install(bed, before, block));
    }
}

fn install(bed: &Bed, before: &str, block: Block) -> TestResult {
    let blocks = [block];
    let output = script(bed, &format!("{before}\n{}", typed_blocks(&blocks)))?.succeed()?;
    blocks_print(&blocks, &output)
}
