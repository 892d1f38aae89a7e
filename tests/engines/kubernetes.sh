# A cluster of one node, on which docs/engines/kubernetes.md is typed; node.sh and control_plane.sh come before. $STATIC is
# runtime-bridge as one static file.

# cluster: the control plane, and a node whose containerd is a service.
cluster() {
  set -o pipefail
  ADDRESS=10.0.0.1
  ip address add "$ADDRESS/32" dev lo
  node
  PATH=$PLANE:$PATH
  mkdir -p /etc/containerd
  mv "$NODE/containerd.toml" /etc/containerd/config.toml
  echo "# the administrator's" >> /etc/containerd/config.toml
  cp /etc/containerd/config.toml "$NODE/before.toml"
  mkdir -p /run/containerd
  ln -s "$NODE/containerd.sock" /run/containerd/
  ln -s "$(command -v runc)" "$(command -v ctr)" /usr/local/bin/
  service_manager
  control_plane
  controllers
  service &
  until_true "containerd" answers
  image localhost/busybox:1
  start kubelet -- $(kubelet_command) --kubeconfig "$KUBECONFIG" --node-ip "$ADDRESS"
  until_true "the node" kubectl wait --timeout 1m --for condition=Ready node/node > /dev/null 2>&1
}

# service: containerd, started again whenever it ends.
service() {
  while true; do
    start containerd -- containerd --config /etc/containerd/config.toml
    wait $! || sleep 0.5
  done
}

# service_manager: in place of systemd's command. As that one it makes nothing its own child, and ends when containerd is ready (its
# unit is of type notify) with the pods that it had, or has failed. Where there is a file $NODE/broken it fails for a configuration
# with our handler; where there is a file $NODE/kill the one who restarts containerd is killed, once.
service_manager() {
  cat > /usr/local/sbin/systemctl << SH
#!/bin/bash
[ "\$*" = "restart containerd" ] || exit 5
echo restarted >> $NODE/restarts
[ ! -e $NODE/kill ] || {
  rm $NODE/kill
  caller=\$PPID
  [ "\$(cat "/proc/\$caller/comm")" = runtime-bridge ] || caller=\$(cut -d ' ' -f 4 "/proc/\$caller/stat")
  kill -9 "\$caller"
  exit 1
}
pid=\$(cat $NODE/containerd.pid)
kill "\$pid"
while [ -e "/proc/\$pid" ]; do sleep 0.1; done
[ ! -e $NODE/broken ] || ! grep -q procemu /etc/containerd/config.toml || { echo "Job for containerd.service failed" >&2; exit 1; }
for turn in {1..100}; do
  ctr version > /dev/null 2>&1 && { echo {} | $CLIENT cri $NODE/containerd.sock Status || ctr plugins list id==cri | grep -w error; } \
    > /dev/null 2>&1 && exit
  sleep 0.2
done
exit 1
SH
  chmod +x /usr/local/sbin/systemctl
}

restarts() { wc -l < "$NODE/restarts"; }

# rolled_out NAME. Until the controller has seen the node's label, there is nothing to roll out.
rolled_out() {
  kubectl -n procemu wait --timeout 2m --for 'jsonpath={.status.desiredNumberScheduled}=1' "daemonset/procemu-$1" > /dev/null
  kubectl -n procemu rollout status --timeout 2m "daemonset/procemu-$1" > /dev/null
}

# again: another pod instead of one that waits longer and longer.
again() { kubectl -n procemu delete pods --all > /dev/null; rolled_out install; }

label() { kubectl label --overwrite node node "procemu.io/runtime=$1" > /dev/null; }

# installer_says TEXT: waits until the installing pod's description has it.
installer_says() { until_true "$1" eval "kubectl -n procemu describe pods | grep -qF '$1'"; echo "$1"; }

# is_before: containerd's file is byte for byte what it was, and has nothing beside it.
is_before() { cmp /etc/containerd/config.toml "$NODE/before.toml" && ls /etc/containerd; }

# pod_of_ours NAME
pod_of_ours() {
  kubectl apply -f - > /dev/null << YAML
apiVersion: v1
kind: Pod
metadata: { name: $1 }
spec:
  runtimeClassName: procemu
  terminationGracePeriodSeconds: 1
  containers: [{ name: main, image: "localhost/busybox:1", command: [sleep, "100000"] }]
YAML
}

# bridge_image TAG [BYTES]: the image of deploy/kubernetes/Dockerfile; BYTES make the program another one.
bridge_image() {
  local dir=$NODE/bridge-image
  mkdir -p "$dir/root"
  strip -o "$dir/root/runtime-bridge" "$STATIC"
  printf '%s' "${2:-}" >> "$dir/root/runtime-bridge"
  import "registry.example/runtime-bridge:$1" "$dir" '{ "Entrypoint": ["/runtime-bridge"] }'
}

# bystander: a pod that is not ours, and that nothing of all this may concern.
bystander() {
  until_true "its account" kubectl get serviceaccount default > /dev/null 2>&1
  kubectl run bystander --image localhost/busybox:1 --command -- sleep 100000 > /dev/null
  kubectl wait --timeout 1m --for condition=Ready pod/bystander > /dev/null
}

# failures: containerd does not come back with our handler; somebody else's bridge.toml is in the way; the installer is killed in
# the middle.
failures() {
  : > "$NODE/restarts"
  echo "- does not come back"
  : > "$NODE/broken"
  label installed
  installer_says 'grep -qw ok` failed (exit status: 1) with the same change before; name another command, or remove /run/procemu/restart/containerd.failed'
  is_before
  restarts
  pod_of_ours early
  until_true "the handler to be missed" eval 'kubectl describe pod early | grep -o -m 1 "no runtime for .* is configured"'
  rm "$NODE/broken" /run/procemu/restart/containerd.failed
  again
  kubectl wait --timeout 2m --for condition=Ready pod/early
  kubectl delete pod early > /dev/null
  restarts
  label removed
  rolled_out uninstall
  is_before

  echo "- a file of somebody else"
  echo '# mine' > /etc/procemu/bridge.toml
  label installed
  installer_says '/etc/procemu/bridge.toml is not as runtime-bridge left it; move it away, or put what it has into the ConfigMap'
  is_before
  rm /etc/procemu/bridge.toml
  again
  cat /etc/procemu/bridge.toml
  label removed
  rolled_out uninstall

  echo "- killed"
  : > "$NODE/restarts"
  : > "$NODE/kill"
  label installed
  rolled_out install
  kubectl -n procemu logs daemonset/procemu-install -c install
  restarts
  ! ls /run/procemu/restart 2> /dev/null
  label removed
  rolled_out uninstall
  is_before
}
