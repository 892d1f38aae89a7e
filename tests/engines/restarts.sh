# Ten static pods of three containers by a kubelet, which dies with its containerd while they start, and again when they run; node.sh
# comes before. $TABLE has a key of the network namespace that takes writes. Printed is what is not as it has to be.

# there: what pods could leave behind. Where containerd dies, it leaves of the sandboxes that it was making the shims, the folders and
# /dev/shm, also without us; containers and files of ours it does not.
there() {
  in_node runc cut -d' ' -f4- /proc/self/mountinfo | grep -v 'sandboxes/[0-9a-f]*/shm '
  cat /proc/[0-9]*/comm > "$NODE/running"
  grep -vx containerd-shim "$NODE/running"
  find /sys/fs/cgroup -type d -name 'pod?*'
  find "$NODE/kubelet/pods" /run/netns /run/procemu -mindepth 1 ! -name 'runtime-*.json' ! -name network-keys ! -name tables.json ! -name 'changes.log*'
  find "$NODE/containerd-state/io.containerd.runtime.v2.task" -name '*procemu*'
} 2> /dev/null

numbers=$(seq 10)

# manifest NUMBER: a pod whose first container writes the key; the others are ready when they see that.
manifest() {
  cat << YAML
apiVersion: v1
kind: Pod
metadata: { name: pod-$1, namespace: default }
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - name: writer
      image: localhost/busybox:1
      imagePullPolicy: Never
      securityContext: { privileged: true }
      command: [sh, -c, "echo $1 > /proc/sys/net/ipv4/made_up; sleep 100000"]
    - &reader
      name: reader
      image: localhost/busybox:1
      imagePullPolicy: Never
      command: [sh, -c, "until [ \$(cat /proc/sys/net/ipv4/made_up) = $1 ]; do sleep 1; done; : > /ready; sleep 100000"]
      readinessProbe: { exec: { command: [cat, /ready] }, periodSeconds: 1 }
    - { <<: *reader, name: another }
YAML
}

# started COUNT: whether so many containers have been made.
started() { [ "$(ls "$NODE/containerd-state/io.containerd.runtime.v2.task/k8s.io" | wc -l)" -ge "$1" ]; }

# both_crash_and_come_back: at the same time. A kubelet does not wait for containerd.
both_crash_and_come_back() {
  crash containerd
  crash kubelet
  containerd_again in_node runc
  kubelet_up in_node kubelet
}

all_ready() { for number in $numbers; do pod_is_ready "pod-$number" || return; done; }

# compare WHAT: what each container sees with what its pod's writer wrote.
compare() {
  for number in $numbers; do
    for container in writer reader another; do
      value=$("$CLIENT" exec "$KUBELET/exec/default/pod-$number-node/$container" cat /proc/sys/net/ipv4/made_up) || true
      [ "$value" = "$number" ] || echo "$1, pod $number, container $container: $value"
    done
  done
}

wrapped_node
echo "tables = [\"$TABLE\"]" >> /etc/procemu/bridge.toml
containerd_up in_node runc
kubelet_up in_node kubelet
seen_before

for round in $(seq "$ROUNDS"); do
  for number in $numbers; do manifest "$number" > "$NODE/pods/pod-$number.yaml"; done
  until_true "some containers" started $((13 * round % 40))
  both_crash_and_come_back
  until_true "all pods to be ready" all_ready
  compare "after a crash while they start"
  both_crash_and_come_back
  until_true "all pods to be ready" all_ready
  compare "after a crash while they run"
  rm "$NODE/pods"/*
  both_crash_and_come_back
  until_true "the end of the pods" no_pods
  print_left
done
stop kubelet
stop containerd
echo "$round rounds"
