# Containers with user namespaces, by ctr and by the CRI, and a full quota of keys. $NAME is the runtime, $RUNTIME its program, $TABLE a
# table with net/ipv4/made_up, fs/mqueue/made_up and kernel/made_up.
node_with runc
# What was bound over keys is no reason for the kernel to refuse those containers a procfs as long as another is to be seen.
mkdir "$NODE/proc"
mount -t proc proc "$NODE/proc"
sed -i /NoNewKeyring/d "$NODE/containerd.toml"
install_bridge
echo "tables = [\"$TABLE\"]" > /etc/procemu/bridge.toml
containerd_up
wrapper=$(dirname "$BRIDGE")/procemu-$NAME
# The containers' root, by its number outside.
root=1900000000
seen_before

# by_ctr PROGRAM COMMAND...: in a container whose root is $root.
by_ctr() {
  local program=$1
  shift
  ctr --address "$NODE/containerd.sock" --namespace k8s.io run --rm --runc-binary "$program" --snapshotter native \
    --uidmap "0:$root:65536" --gidmap "0:$root:65536" localhost/busybox:1 container "$@" 2>&1 | grep -v DEPRECATION
}

# users: the same for a pod and its containers.
users() {
  local map="[{ container_id: 0, host_id: $root, length: 65536 }]"
  echo ".linux.security_context.namespace_options.userns_options = { mode: \"POD\", uids: $map, gids: $map }"
}

# in_pod_of HANDLER: a pod with a container that says whose root it is, which keyrings it has of its own, and its values.
in_pod_of() {
  pod_of "$1" "$(users)" || return
  container_of main '.linux.security_context.masked_paths = []' || return
  say "$made" "echo \$(cat /proc/self/uid_map); if grep -q _ses.$made /proc/keys; then echo own keyring; else echo no keyring; fi"
}

read_keys='cd /proc/sys; echo $(cat net/ipv4/made_up fs/mqueue/made_up kernel/made_up)'

echo "== users by ctr"
by_ctr "$wrapper" sh -c "$read_keys; echo \$(cat /proc/self/uid_map)"

# containerd 1.6 has no pods with them, and 2.2 none for a runtime that does not tell it of idmapped mounts.
if [ "$CONTAINERD $NAME" = "2.2 runc-1.5.2" ]; then
  echo "== users of a pod"
  in_pod_of procemu
  no_pod "$pod"
  pod_of procemu "$(users)"
  container_of main .
  say "$made" "$read_keys; (echo 9 > net/ipv4/made_up) 2> /dev/null || echo refused"
  # What is not read-only is the pod's own root's to write.
  container_of second '.linux.security_context.readonly_paths = []'
  say "$made" 'cd /proc/sys; echo 5 > net/ipv4/made_up; echo 5 > kernel/made_up'
  container_of third .
  say "$made" "$read_keys"
fi

echo "== no quota"
# Another one: of keyrings that are not needed any more some still count for a while.
root=1900100000
perl "$FILL" "$root" > "$NODE/filled" &
filler=$!
until_true "a full quota" grep -q full "$NODE/filled"
by_ctr "$NODE/bin/$NAME" sh -c 'echo runs' || true
by_ctr "$wrapper" sh -c "$read_keys"
if [ "$CONTAINERD $NAME" = "2.2 runc-1.5.2" ]; then
  echo "== no quota for a pod"
  in_vain pod_of runc "$(users)"
  in_pod_of procemu
fi
kill "$filler"

echo "== left"
for id in $(cri ListPodSandbox <<< '{}' | jq -r '.items[]?.id'); do no_pod "$id"; done
print_left
