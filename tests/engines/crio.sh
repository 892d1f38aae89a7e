# CRI-O on a machine of its own; engine.sh comes before, with what podman needs. $CRIO is the program, pinns lies beside it.

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
  LOGS=$BED/crio.log until_true "crio" crio_answers
}

crio_answers() { cri Version <<< '{}' > /dev/null 2>&1; }

cri() { "$CLIENT" cri /var/run/crio/crio.sock "$1"; }

field() { grep -o "\"$1\": *\"[^\"]*\"" | head -n 1 | cut -d'"' -f4; }

# sandbox HANDLER [ANNOTATION]: makes a pod's sandbox; its id is $pod.
sandbox() {
  linux='{"security_context":{"namespace_options":{"network":"POD","pid":"CONTAINER"}}}'
  config="{\"metadata\":{\"name\":\"pod\",\"namespace\":\"default\",\"uid\":\"$1\"},\"annotations\":{${2:-}},\"log_directory\":\"/tmp\",\"linux\":$linux}"
  echo "{\"config\":$config,\"runtime_handler\":\"$1\"}" | cri RunPodSandbox > "$BED/answer" || return
  pod=$(field podSandboxId < "$BED/answer")
}

# container NAME: makes and starts one in that sandbox, where /proc/sys takes writes; its id is in the variable of its name.
container() {
  local security='{"namespace_options":{"network":"POD","pid":"CONTAINER"},"readonly_paths":[]}'
  echo "{\"podSandboxId\":\"$pod\",\"sandboxConfig\":$config,\"config\":{\"metadata\":{\"name\":\"$1\"},\"log_path\":\"$1.log\",
    \"image\":{\"image\":\"localhost/busybox:1\"},\"command\":[\"/pause\"],\"linux\":{\"security_context\":$security}}}" |
    cri CreateContainer > "$BED/answer"
  declare -g "$1=$(field containerId < "$BED/answer")"
  echo "{\"containerId\":\"${!1}\"}" | cri StartContainer > /dev/null
}

# in_container ID COMMAND: what that prints.
in_container() {
  echo "{\"containerId\":\"$1\",\"cmd\":[\"sh\",\"-c\",\"$2\"]}" | cri ExecSync | field stdout | base64 -d
}

# end: of that sandbox, with all that is in it.
end() {
  echo "{\"podSandboxId\":\"$pod\"}" | cri StopPodSandbox > /dev/null
  echo "{\"podSandboxId\":\"$pod\"}" | cri RemovePodSandbox > /dev/null
}

# left: what pods could leave behind.
left() {
  find /run -mindepth 2 -name '*rocemu*' ! -path '/run/procemu/*' || true
  find /run/containers/storage /var/lib/containers/storage/overlay-containers -name config.json
  grep procemu: /proc/self/mountinfo || true
}
