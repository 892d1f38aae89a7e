# What makes a machine of its own a place for a Kubernetes node.
CNI=/usr/lib/cni

# prepare_place: a pod network on a bridge. With $LACKING, the node's /proc has not those keys.
prepare_place() {
  [ -z "${LACKING:-}" ] || deprive /proc $LACKING
  spare_the_host
  cat > "$NODE/cni/pods.conflist" << 'JSON'
{ "cniVersion": "0.4.0", "name": "pods", "plugins": [
  { "type": "bridge", "bridge": "pods", "isGateway": true, "ipam": { "type": "host-local", "ranges": [[{ "subnet": "10.88.0.0/16" }]] } } ] }
JSON
}

# spare_the_host: these are the kernel's, not this machine's own. The kubelet finds what it would write.
spare_the_host() {
  local key value
  for key in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \
    kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
    value=$NODE/${key##*/} key=/proc/sys/$key
    echo "${value#*=}" > "${value%=*}"
    [ ! -e "${key%=*}" ] || mount --bind "${value%=*}" "${key%=*}"
  done
}

# lacking_containers: those of the handlers so far have a /proc without kernel/cap_last_cap, as on a kernel that lacks it.
lacking_containers() {
  deprived_proc lacking kernel/cap_last_cap
  ctr oci spec | jq --arg proc "$BED/lacking" \
    '(.mounts[] | select(.destination == "/proc")) |= { destination, type: "bind", source: $proc, options: ["rbind", "nosuid", "nodev", "noexec"] }' \
    > "$NODE/spec.json"
  sed -i "s|^runtime_type.*|&\nbase_runtime_spec = \"$NODE/spec.json\"|" "$NODE/containerd.toml"
}
