# Pods of one kubelet, from its start to its end; node.sh comes before. What tests compare is printed, a section for each pod. $TABLE
# is a table of keys for them, and $PRINT the commands that print these.

# there: what pods could leave behind, seen from the node's mount namespace. Of ours that is all but what runtimes answered when
# they were asked for their version.
there() {
  in_node runc cut -d' ' -f4- /proc/self/mountinfo
  cat /proc/[0-9]*/comm > "$NODE/running"
  sort "$NODE/running"
  find /sys/fs/cgroup -type d -name 'pod?*'
  find "$NODE/kubelet/pods" "$NODE/containerd-state/io.containerd.runtime.v2.task/k8s.io" /run/netns /run/procemu \
    -mindepth 1 ! -name 'runtime-*.json' ! -name network-keys ! -name tables.json ! -name 'changes.log*'
} 2> /dev/null

wrapped_node
echo "tables = [\"$TABLE\"]" >> /etc/procemu/bridge.toml
cp /proc/self/mountinfo "$NODE/mounts"
mkdir -m 777 "$NODE/host"
echo host > "$NODE/host/file"
containerd_up in_node runc
kubelet_up in_node kubelet
seen_before

pods="static rich privileged network"
for name in $pods; do pod "$name"; done
for name in $pods; do until_true "the pod $name to be ready" pod_is_ready "$name"; done

echo "== static"
until_true "the pod's log" has_logged static 40
logs_of static
in_pod static sh -c 'echo said; exit 5' || echo "exit $?"
in_pod static sh -c "$PRINT"
in_pod static sh -c ': > /crash'
until_true "a restart after a crash" pod_shows static '"restartCount":1'
until_true "the restarted pod to be ready" pod_is_ready static
until_true "the restarted pod's log" has_logged static 40
logs_of static

echo "== rich"
in_pod rich sh -c 'id; grep -E "Cap(Eff|Bnd)|Seccomp:|NoNewPrivs" /proc/self/status
  cat /disk/file /memory/file /host/file /about/labels; echo; echo $POD_NAME
  grep " /memory tmpfs " /proc/mounts | grep -o "size=[0-9]*k"
  for file in /new /host/new; do (: > $file) 2> /dev/null && echo "wrote $file"; done; true'
id=$(pod_json rich | grep -o 'containerd://[^"]*' | cut -d/ -f3)
cat $(find /sys/fs/cgroup -path "*/$id/memory.limit_in_bytes" -o -path "*/$id/memory.max")
in_pod rich sh -c 'rm /disk/file'
until_true "the probe by HTTP to fail" pod_shows rich '"type":"Ready"[^}]*"status":"False"'
in_pod rich sh -c 'echo disk > /disk/file'
until_true "the probe by HTTP to succeed again" pod_is_ready rich
pod_shows rich '"restartCount":0' && echo "not restarted"

echo "== privileged"
in_pod privileged sh -c 'grep Seccomp: /proc/self/status; cat /proc/sys/kernel/cap_last_cap
  mkdir /new && mount -t tmpfs tmpfs /new && echo mounted'

echo "== network"
pod_shows network '"podIP":"10.88.0.2"' && echo 10.88.0.2
in_pod network sh -c 'cd /proc/sys; cat net/ipv4/ip_local_port_range kernel/shm_rmid_forced
  cd net/ipv4; cat ip_unprivileged_port_start ping_group_range' | tr '\t' ' '
in_pod network sh -c "$PRINT"

! has_cgroup_v2 || until_true "statistics of a pod" pod_has_statistics rich

for name in $pods; do rm "$NODE/pods/$name.yaml"; done
until_true "the end of the pods" no_pods
echo "== left by the pods"
print_left

echo "== left by the node"
stop kubelet
stop containerd
"$NSPREP" ns remove --state-dir "$NODE/state" node
diff "$NODE/mounts" /proc/self/mountinfo || true
find "$NODE/state" -mindepth 1
