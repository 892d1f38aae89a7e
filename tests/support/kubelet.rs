//! What the kubelet does to `/proc/sys`.

use std::io;
use std::path::PathBuf;

use super::Bed;

const KEYS: &str = "set -e
cd /proc/sys
for key in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 kernel/keys/root_maxkeys=1000000 \
  kernel/keys/root_maxbytes=25000000; do
  cat ${key%=*} > /dev/null
  echo ${key#*=} > ${key%=*}
  test $(cat ${key%=*}) = ${key#*=}
done
echo ready
";

/// A script that does to the kubelet's six keys what it does when it starts: read, and write what it wants.
pub fn kubelet_keys(bed: &Bed) -> io::Result<PathBuf> {
    bed.file("kubelet.sh", KEYS)
}
