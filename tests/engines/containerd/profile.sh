# Profiles by annotation, in containers that lack kernel/cap_last_cap. $NAME is the runtime, $RUNTIME its program: one that does without.
node_with runc
lacking_containers
install_bridge
# The same runtime with annotations of containers too.
handler theirs "$(dirname "$BRIDGE")/procemu-$NAME"
sed -i "s|^\(\[.*runtimes.\"theirs\"\]\)|\1\nbase_runtime_spec = \"$NODE/spec.json\"\ncontainer_annotations = [\"procemu.io/*\"]|" "$NODE/containerd.toml"
printf '%s\n' 'profiles = []' "tables = [\"$TABLE\"]" 'allowed_profiles = ["runc"]' > /etc/procemu/bridge.toml
containerd_up
seen_before

# choice PROFILE: a filter that asks for it.
choice() { echo ".annotations = { \"procemu.io/profile\": \"$1\" }"; }
values() { say "$made" 'cd /proc/sys/kernel; for key in cap_last_cap made_up; do cat $key 2> /dev/null || echo absent; done' | paste -sd ' '; }
# annotations ID: what the runtime was given of them.
annotations() { jq -c '.annotations | with_entries(select(.key | startswith("procemu")))' "$NODE/containerd-state/io.containerd.runtime.v2.task/k8s.io/$1/config.json"; }

echo "== none"
pod_of procemu .
container_of main .
values
no_pod "$pod"

echo "== allowed"
pod_of procemu "$(choice runc) | .annotations[\"example.com/other\"] = \"x\""
annotations "$pod"
container_of main .
annotations "$made"
values
no_pod "$pod"

for profile in kubelet nosuch; do
  echo "== $profile"
  in_vain pod_of procemu "$(choice "$profile")"
  cri ListPodSandbox <<< '{}' | jq '.items | length'
done

echo "== another handler"
in_vain pod_of runc "$(choice nosuch)"

# Kubelets write none of a pod's there.
echo "== of a container"
pod_of procemu .
container_of main "$(choice runc)"
annotations "$made"
values
no_pod "$pod"
pod_of theirs .
container_of main "$(choice runc)"
annotations "$made"
values
no_pod "$pod"

echo "== left"
print_left
