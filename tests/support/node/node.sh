# Functions for a Kubernetes node; those of lib.sh, image.sh and of the place (node_gvisor.sh or node_linux.sh) come before. $TOOLS is a PATH
# with containerd, its shim, ctr, kubelet and runc 1.5.2, $CLIENT is node-client, $PODS the folder of the manifests. Everything lies in
# $NODE, a folder that the place keeps to itself. $CONTAINERD is containerd's version, $CNI the folder of CNI plugins.
NODE=/run/node
LOGS="$NODE/*.log"
KUBELET=https://127.0.0.1:10250

# node: what containerd and the kubelet need of the place, and their configuration. The pods' runtime is runc, bare.
node() {
  PATH=$TOOLS:$PATH:/usr/sbin:/sbin
  mkdir -p "$NODE/pods" "$NODE/bin" "$NODE/cni" /etc/procemu
  prepare_place
  containerd_configuration > "$NODE/containerd.toml"
  kubelet_configuration > "$NODE/kubelet.yaml"
}

# wrapped_node: the same, and the pods' runtime is runc, wrapped.
wrapped_node() {
  node
  install_bridge --as-default --no-new-keyring
}

# install_bridge OPTION...: into that containerd.
install_bridge() { "$BRIDGE" install containerd --config "$NODE/containerd.toml" "$@" > /dev/null; }

# Which configuration that containerd reads, and what its CRI plugin is called there.
if [ "$CONTAINERD" = 1.6 ]; then
  CRI=io.containerd.grpc.v1.cri
else
  CRI=io.containerd.cri.v1.runtime
fi

containerd_configuration() {
  cat << TOML
root = "$NODE/containerd"
state = "$NODE/containerd-state"
TOML
  if [ "$CONTAINERD" = 1.6 ]; then
    cat << TOML
version = 2
[grpc]
address = "$NODE/containerd.sock"
[plugins.'$CRI']
sandbox_image = "localhost/busybox:1"
restrict_oom_score_adj = true
[plugins.'$CRI'.cni]
bin_dir = "$CNI"
conf_dir = "$NODE/cni"
[plugins.'$CRI'.containerd]
snapshotter = "native"
TOML
  else
    cat << TOML
version = 3
[grpc]
address = "$NODE/containerd.sock"
[plugins.'io.containerd.cri.v1.images']
snapshotter = "native"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = "localhost/busybox:1"
[plugins.'$CRI']
restrict_oom_score_adj = true
[plugins.'$CRI'.cni]
bin_dirs = ["$CNI"]
conf_dir = "$NODE/cni"
TOML
  fi
}

# handler NAME BINARY: a runtime that a pod can ask containerd for.
handler() {
  cat >> "$NODE/containerd.toml" << TOML
[plugins.'$CRI'.containerd.runtimes."$1"]
runtime_type = "io.containerd.runc.v2"
[plugins.'$CRI'.containerd.runtimes."$1".options]
BinaryName = "$2"
NoNewKeyring = true
TOML
}

kubelet_configuration() {
  cat << YAML
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
  # Without it there are no statistics of the root cgroup of v1; gVisor has none.
  has_cgroup_v2 || [ -e /sys/fs/cgroup/cpuacct/cpuacct.usage_percpu ] || echo "localStorageCapacityIsolation: false"
}

has_cgroup_v2() { [ -e /sys/fs/cgroup/cgroup.controllers ]; }

# in_node PROFILE COMMAND...: in the node's prepared mount namespace.
in_node() {
  local profile=$1
  shift
  "$NSPREP" exec --state-dir "$NODE/state" --ns node --profile "$profile" -- "$@"
}

# start NAME PREFIX... -- COMMAND...: runs COMMAND in the background, by way of PREFIX. What it says is added to $NODE/NAME.log.
start() {
  local name=$1 prefix=()
  shift
  while [ "$1" != -- ]; do prefix+=("$1"); shift; done
  shift
  "${prefix[@]}" sh -c 'echo $$ > "$0"; exec "$@"' "$NODE/$name.pid" "$@" >> "$NODE/$name.log" 2>&1 &
}

# stop NAME [SIGNAL]: ends it.
stop() {
  local pid
  pid=$(cat "$NODE/$1.pid")
  kill "-${2:-TERM}" "$pid"
  until_true "the end of $1" test ! -e "/proc/$pid"
}

# crash NAME: ends it as the kernel does that is out of memory.
crash() { stop "$1" KILL; }

# containerd_up [PREFIX...]: starts it and imports the image.
containerd_up() {
  containerd_again "$@"
  image localhost/busybox:1
}

# containerd_again [PREFIX...]: starts it, also after it has ended.
containerd_again() {
  rm -f "$NODE/containerd.sock"
  start containerd "$@" -- containerd --config "$NODE/containerd.toml"
  until_true "the CRI" answers
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

# nothing_is_left: whether it prints now nothing that it did not print then. What is gone since, such as a process that was about
# to end, is not left.
nothing_is_left() {
  # By files, since the processes of a pipe would show themselves.
  (there || true) > "$NODE/after"
  comm -13 <(sort "$NODE/before") <(sort "$NODE/after") > "$NODE/left"
  [ ! -s "$NODE/left" ]
}

# print_left: waits until nothing is left, and prints what does not go.
print_left() { until_true "nothing to be left" nothing_is_left || cat "$NODE/left"; }
