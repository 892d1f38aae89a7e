# Functions for a Kubernetes node inside a gVisor sandbox; lib.sh and image.sh come before. $TOOLS is a PATH with containerd, its
# shim, ctr, kubelet and runc 1.5.2, $CLIENT is node-client, $PODS the folder of the manifests. Everything lies in $NODE, a folder
# that the sandbox keeps to itself.
NODE=/run/node
KUBELET=https://127.0.0.1:10250

# node: what containerd and the kubelet need of the sandbox, and their configuration. The pods' runtime is runc, wrapped.
node() {
  PATH=$TOOLS:$PATH:/usr/sbin:/sbin
  mkdir -p "$NODE/pods" "$NODE/bin" "$NODE/cni" /etc/procemu
  cgroups
  : > /dev/kmsg
  # For what the kubelet asks of cgroup v2.
  echo 'preset = "gvisor"' > /etc/procemu/bridge.toml
  no_op_cni
  containerd_configuration
  "$BRIDGE" install containerd --config "$NODE/containerd.toml" --as-default --no-new-keyring > /dev/null
  kubelet_configuration
}

# no_op_cni: a pod network that gives every pod an address and connects it to nothing.
no_op_cni() {
  cat > "$NODE/cni/no-op" << 'SH'
#!/bin/sh
case $CNI_COMMAND in
  ADD) echo '{"cniVersion":"1.0.0","interfaces":[{"name":"eth0","sandbox":"'"$CNI_NETNS"'"}],"ips":[{"address":"10.88.0.2/16","interface":0}]}' ;;
  VERSION) echo '{"cniVersion":"1.0.0","supportedVersions":["1.0.0"]}' ;;
esac
SH
  chmod +x "$NODE/cni/no-op"
  ln -s no-op "$NODE/cni/loopback"
  echo '{"cniVersion":"1.0.0","name":"pods","plugins":[{"type":"no-op"}]}' > "$NODE/cni/pods.conflist"
}

containerd_configuration() {
  cat > "$NODE/containerd.toml" << TOML
version = 3
root = "$NODE/containerd"
state = "$NODE/containerd-state"
[grpc]
address = "$NODE/containerd.sock"
[plugins.'io.containerd.cri.v1.images']
snapshotter = "native"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = "localhost/busybox:1"
[plugins.'io.containerd.cri.v1.runtime']
restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = ["$NODE/cni"]
conf_dir = "$NODE/cni"
TOML
}

# handler NAME BINARY: a runtime that a pod can ask containerd for.
handler() {
  cat >> "$NODE/containerd.toml" << TOML
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes."$1"]
runtime_type = "io.containerd.runc.v2"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes."$1".options]
BinaryName = "$2"
NoNewKeyring = true
TOML
}

kubelet_configuration() {
  cat > "$NODE/kubelet.yaml" << YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: { anonymous: { enabled: true }, webhook: { enabled: false } }
authorization: { mode: AlwaysAllow }
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
containerRuntimeEndpoint: unix://$NODE/containerd.sock
staticPodPath: $NODE/pods
fileCheckFrequency: 1s
evictionHard: {}
YAML
  # gVisor's cgroup v1 has no cpuacct.usage_percpu, without which there are no statistics of the root cgroup.
  has_cgroup_v2 || echo "localStorageCapacityIsolation: false" >> "$NODE/kubelet.yaml"
}

has_cgroup_v2() { [ -e /sys/fs/cgroup/cgroup.controllers ]; }

# in_node PROFILE COMMAND...: in the node's prepared mount namespace.
in_node() {
  local profile=$1
  shift
  "$NSPREP" exec --state-dir "$NODE/state" --ns node --profile "$profile" -- "$@"
}

# start NAME PREFIX... -- COMMAND...: runs COMMAND in the background, by way of PREFIX. What it says is in $NODE/NAME.log.
start() {
  local name=$1 prefix=()
  shift
  while [ "$1" != -- ]; do prefix+=("$1"); shift; done
  shift
  "${prefix[@]}" sh -c 'echo $$ > "$0"; exec "$@"' "$NODE/$name.pid" "$@" > "$NODE/$name.log" 2>&1 &
}

# stop NAME: ends it.
stop() {
  local pid
  pid=$(cat "$NODE/$1.pid")
  kill "$pid"
  until_true "the end of $1" test ! -e "/proc/$pid"
}

# containerd_up [PREFIX...]: starts it and imports the image.
containerd_up() {
  start containerd "$@" -- containerd --config "$NODE/containerd.toml"
  wait_for "$NODE/containerd.sock"
  image localhost/busybox:1
}

kubelet_command() { echo kubelet --config "$NODE/kubelet.yaml" --root-dir "$NODE/kubelet" --hostname-override node; }

# kubelet_up [PREFIX...]: starts it.
kubelet_up() {
  start kubelet "$@" -- $(kubelet_command)
  until_true "the kubelet" kubelet_get /healthz > /dev/null
}

# kubelet_get PATH: what the kubelet's API answers.
kubelet_get() { "$CLIENT" get "$KUBELET$1" 2> "$NODE/kubelet_get.log"; }

# in_pod NAME COMMAND...: in the container main of the static pod NAME, by the kubelet's API.
in_pod() {
  local pod=$1
  shift
  "$CLIENT" exec "$KUBELET/exec/default/$pod-node/main" "$@"
}

# logs_of NAME: of that container.
logs_of() { kubelet_get "/containerLogs/default/$1-node/main"; }

# has_logged NAME LINE
has_logged() { logs_of "$1" | grep -qx "$2"; }

# pod NAME: the static pod of that manifest; `rm "$NODE/pods/NAME.yaml"` ends it.
pod() { cp "$PODS/$1.yaml" "$NODE/pods/"; }

# pod_json NAME: what the kubelet knows of that static pod, in one line.
pod_json() { kubelet_get /pods | sed 's/{"metadata":{"name":"/\n&/g' | grep "^{\"metadata\":{\"name\":\"$1-node\""; }

pod_shows() { pod_json "$1" | grep -q "$2"; }

pod_has_statistics() { kubelet_get /stats/summary | grep -q "\"name\": \"$1-node\""; }

pod_is_ready() { pod_shows "$1" '"type":"Ready"[^}]*"status":"True"'; }

no_pods() { kubelet_get /pods | grep -q '"items":null'; }

# seen_before: remembers what `there`, the script's own function, prints.
seen_before() { (there || true) > "$NODE/before"; }

nothing_is_left() { (there || true) > "$NODE/after"; cmp -s "$NODE/before" "$NODE/after"; }

# print_left: waits until `there` prints the same again, and prints what does not go.
print_left() { until_true "nothing to be left" nothing_is_left || diff "$NODE/before" "$NODE/after" || true; }

# cri METHOD: one call of the CRI; the request is standard input.
cri() { "$CLIENT" cri "$NODE/containerd.sock" "$1"; }

# field NAME: that string of a JSON object.
field() { grep -o "\"$1\": *\"[^\"]*\"" | head -n 1 | cut -d'"' -f4; }

# until_true WHAT COMMAND...: waits until COMMAND succeeds, 60 seconds at most.
until_true() {
  local what=$1 end=$((SECONDS + 60))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || {
      echo "waited in vain for $what" >&2
      tail -n 5 "$NODE"/*.log >&2
      return 1
    }
    sleep 0.2
  done
}
