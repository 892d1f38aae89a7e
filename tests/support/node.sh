# Functions for a Kubernetes node inside a gVisor sandbox; lib.sh comes before. $TOOLS is a PATH with containerd, its shim, ctr,
# kubelet and runc 1.5.2. Everything lies in $NODE, a folder that the sandbox keeps to itself.
NODE=/run/node

# image NAME FILE: an image with busybox alone, as an OCI layout, imported into containerd.
image() {
  local dir=$NODE/image applet layer config manifest
  mkdir -p "$dir/root/bin" "$dir/oci/blobs/sha256"
  cp "$(PATH=$PATH:/usr/sbin:/sbin command -v busybox)" "$dir/root/bin/"
  for applet in sh cat sleep; do ln -s busybox "$dir/root/bin/$applet"; done
  tar -C "$dir/root" -cf "$dir/layer" .
  layer=$(blob "$dir/layer")
  printf '{"architecture":"amd64","os":"linux","config":{"Env":["PATH=/bin"],"Cmd":["sleep","100000"]},"rootfs":{"type":"layers","diff_ids":["%s"]}}' \
    "${layer%% *}" > "$dir/config"
  config=$(blob "$dir/config")
  printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":%s,"layers":[%s]}' \
    "$(descriptor image.config.v1+json $config)" "$(descriptor image.layer.v1.tar $layer)" > "$dir/manifest"
  manifest=$(blob "$dir/manifest")
  printf '{"imageLayoutVersion":"1.0.0"}' > "$dir/oci/oci-layout"
  printf '{"schemaVersion":2,"manifests":[%s]}' \
    "$(descriptor image.manifest.v1+json $manifest ",\"annotations\":{\"io.containerd.image.name\":\"$1\"}")" > "$dir/oci/index.json"
  tar -C "$dir/oci" -cf "$dir/tar" .
  ctr --address "$NODE/containerd.sock" --namespace k8s.io images import --local --snapshotter native "$dir/tar" > /dev/null 2>&1
}

# blob FILE: puts it into the layout; prints its digest and size.
blob() {
  local digest
  digest=$(sha256sum < "$1")
  digest=${digest%% *}
  cp "$1" "$NODE/image/oci/blobs/sha256/$digest"
  echo "sha256:$digest $(stat -c %s "$1")"
}

# descriptor TYPE DIGEST SIZE [MORE]
descriptor() {
  printf '{"mediaType":"application/vnd.oci.%s","digest":"%s","size":%s%s}' "$1" "$2" "$3" "${4:-}"
}

# node: what containerd and the kubelet need of the sandbox, and their configuration. Its pods' runtime is runc, wrapped.
node() {
  PATH=$TOOLS:$PATH
  mkdir -p "$NODE/pods"
  cgroup_v1
  : > /dev/kmsg
  ln -s "$BRIDGE" "$NODE/procemu-runc"
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
[plugins.'io.containerd.cri.v1.runtime'.containerd]
default_runtime_name = "procemu"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.procemu]
runtime_type = "io.containerd.runc.v2"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.procemu.options]
BinaryName = "$NODE/procemu-runc"
NoNewKeyring = true
TOML
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
localStorageCapacityIsolation: false
readOnlyPort: 10255
evictionHard: {}
YAML
}

# in_node PROFILE COMMAND...: in the node's prepared mount namespace.
in_node() {
  local profile=$1
  shift
  "$NSPREP" exec --state-dir "$NODE/state" --ns node --profile "$profile" -- "$@"
}

# containerd_up [PREFIX...]: starts it, by way of PREFIX, and imports the image.
containerd_up() {
  "$@" containerd --config "$NODE/containerd.toml" > "$NODE/containerd.log" 2>&1 &
  wait_for "$NODE/containerd.sock"
  image localhost/busybox:1
}

kubelet_command() { echo kubelet --config "$NODE/kubelet.yaml" --root-dir "$NODE/kubelet" --hostname-override node; }

# pod NAME COMMAND: a static pod.
pod() {
  cat > "$NODE/pods/$1.yaml" << YAML
apiVersion: v1
kind: Pod
metadata: { name: $1, namespace: default }
spec:
  hostNetwork: true
  terminationGracePeriodSeconds: 1
  containers:
    - { name: main, image: "localhost/busybox:1", imagePullPolicy: Never, command: [sh, -c, "$2"] }
YAML
}

# kubelet_pods: what the kubelet says of its pods, as JSON.
kubelet_pods() {
  exec 9<> /dev/tcp/127.0.0.1/10255 || return
  printf 'GET /pods HTTP/1.0\r\n\r\n' >&9
  cat <&9
  exec 9>&-
}

# pods_show PATTERN: whether it does.
pods_show() { kubelet_pods 2> /dev/null | grep -q "$1"; }

# nothing_runs: whether containerd has no running container.
nothing_runs() { ! ctr --address "$NODE/containerd.sock" --namespace k8s.io task list 2> /dev/null | grep -q RUNNING; }

# until_true WHAT COMMAND...: waits until COMMAND succeeds, 40 seconds at most.
until_true() {
  local what=$1 turns=0
  shift
  until "$@"; do
    turns=$((turns + 1))
    [ "$turns" -lt 200 ] || {
      echo "waited in vain for $what" >&2
      tail -n 5 "$NODE/kubelet.log" "$NODE/containerd.log" >&2
      return 1
    }
    sleep 0.2
  done
}
