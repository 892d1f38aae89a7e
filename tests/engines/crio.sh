# CRI-O on a machine of its own; engine.sh comes before, with what podman needs, then cri.sh and cri_pods.sh. $CRIO is the program, pinns
# lies beside it.
NODE=$BED
CRI_SOCKET=/var/run/crio/crio.sock

# machine_with_crio LINE: CRI-O is configured, with LINE under [crio.runtime] and $NAME as its runtime, and has the image
# localhost/busybox:1.
machine_with_crio() {
  local folder=${CRIO%/*}
  export PATH=$folder:$PATH
  mkdir -p /etc/crio
  rm -f /etc/cni/net.d/*
  cat > /etc/cni/net.d/pods.conflist << 'JSON'
{ "cniVersion": "0.4.0", "name": "pods", "plugins": [
  { "type": "bridge", "bridge": "pods", "isGateway": true, "ipam": { "type": "host-local", "ranges": [[{ "subnet": "10.88.0.0/16" }]] } } ] }
JSON
  cat > /etc/crio/crio.conf << TOML
[crio]
storage_driver = "overlay"
[crio.runtime]
cgroup_manager = "cgroupfs"
conmon_cgroup = "pod"
pinns_path = "$folder/pinns"
default_runtime = "$NAME"
$1
[crio.runtime.runtimes.$NAME]
runtime_path = "/usr/local/sbin/$NAME"
[crio.image]
pause_image = "localhost/busybox:1"
pause_command = "/pause"
[crio.network]
plugin_dirs = ["/usr/lib/cni"]
[crio.nri]
enable_nri = false
TOML
  leave_out
  busybox_root
  printf '#!/bin/sh\ntrap exit TERM; while :; do sleep 0.05; done\n' > "$BED/own/root/pause"
  chmod +x "$BED/own/root/pause"
  tar -C "$BED/own/root" -c . | podman --cgroup-manager cgroupfs import --quiet --change ENV=PATH=/bin - localhost/busybox:1 > /dev/null
}

# leave_out: CRI-O asks for an OOM score that takes CAP_SYS_RESOURCE, and for -1 processes, which crun 1.8 takes for a number. The
# runtime gets its bundles without.
leave_out() {
  mv "/usr/local/sbin/$NAME" "/usr/local/sbin/real-$NAME"
  cat > "/usr/local/sbin/$NAME" << SH
#!/bin/bash
for ((i = 1; i < \$#; i++)); do
  next=\$((i + 1))
  [ "\${!i}" != --bundle ] || {
    jq -c 'del(.process.oomScoreAdj, .linux.resources.pids)' "\${!next}/config.json" > "\${!next}/config.new"
    mv "\${!next}/config.new" "\${!next}/config.json"
  }
done
exec /usr/local/sbin/real-$NAME "\$@"
SH
  chmod +x "/usr/local/sbin/$NAME"
}

# systemctl restart crio: a machine of its own has none.
systemctl() {
  [ -z "${crio:-}" ] || { kill "$crio"; until_true "the end of crio" test ! -e "/proc/$crio"; }
  crio >> "$BED/crio.log" 2>&1 &
  crio=$!
  LOGS=$BED/crio.log until_true "crio" answers
}

# unprotected NAME: a container of that pod in which /proc/sys takes writes; its id is in the variable of its name.
unprotected() {
  container_of "$1" '.command = ["/pause"] | del(.linux.security_context.readonly_paths)' || return
  declare -g "$1=$made"
}

# left: what pods could leave behind.
left() {
  find /run -mindepth 2 -name '*rocemu*' ! -path '/run/procemu/*' || true
  find /run/containers/storage /var/lib/containers/storage/overlay-containers -name config.json
  grep procemu: /proc/self/mountinfo || true
}
