# Pods of a runtime without a kubelet. $NAME is the runtime, $RUNTIME its program, $TABLE a table of keys that no kernel has: one of the
# network, one of IPC, and one of each container's own.
node_with runc
sed -i /NoNewKeyring/d "$NODE/containerd.toml"
install_bridge --no-new-keyring
echo "tables = [\"$TABLE\"]" > /etc/procemu/bridge.toml
containerd_up
seen_before

keys="net/ipv4/made_up fs/mqueue/made_up kernel/made_up"
# values CONTAINER: of the keys, in one line.
values() { say "$1" "cd /proc/sys; cat $keys" | paste -sd ' '; }

echo "== bare"
in_vain pod_of runc .

echo "== pod"
pod_of procemu '.linux.sysctls = { "net.ipv4.made_up": "7", "net.ipv4.ip_local_port_range": "20000 30000" } | .linux.security_context.privileged = true'
first=$pod
container_of plain '.command = ["sh", "-c", "cat /proc/sys/net/ipv4/made_up /proc/sys/kernel/made_up; sleep 100000"]'
plain=$made
values "$plain"
until_true "the log" grep -q ' F 3' "$NODE/logs/plain.log"
cut -d' ' -f2- "$NODE/logs/plain.log"
say "$plain" 'cat /proc/sys/net/ipv4/ip_local_port_range' | tr '\t' ' '
for key in $keys; do say "$plain" "(echo 9 > /proc/sys/$key) 2> /dev/null || echo refused"; done
container_of keys '.linux.security_context.masked_paths = []'
say "$made" "if grep -q _ses.$made /proc/keys; then echo own keyring; else echo no keyring; fi"

echo "== privileged"
container_of privileged '.linux.security_context.privileged = true'
values "$made"
say "$made" "cd /proc/sys; for key in $keys; do echo 5 > \$key; done"
values "$made"
values "$plain"

echo "== restarted"
no_container "$plain"
container_of plain '.metadata.attempt = 1'
values "$made"

echo "== another pod"
pod_of procemu '.linux.security_context.namespace_options.pid = "POD"'
container_of main .
values "$made"
processes=$(say "$made" 'readlink /proc/self/ns/pid')
container_of second .
[ "$(say "$made" 'readlink /proc/self/ns/pid')" != "$processes" ] || echo "one pid namespace"
no_pod "$pod"

echo "== host network"
pod_of procemu '.linux.security_context.namespace_options.network = "NODE"'
container_of main .
values "$made"
no_pod "$pod"
no_pod "$first"

echo "== template"
printf '%s\n' '[keys]' '"kernel/made_up" = { value = 3 }' > "$NODE/own.toml"
printf '%s\n' "tables = [\"$NODE/own.toml\"]" '[policy]' 'templates = true' > /etc/procemu/bridge.toml
pod_of procemu .
for name in one two three; do
  container_of "$name" .
  say "$made" 'cat /proc/sys/kernel/made_up; stat -c %d /proc/sys/kernel/made_up' | paste -sd ' ' > "$NODE/$name"
done
# The sandbox asked for it, and the first container had it built.
cut -d' ' -f1 "$NODE/one"
cmp "$NODE/one" "$NODE/two" && cmp "$NODE/one" "$NODE/three" && echo "one tmpfs"
ls /run/procemu/templates | wc -l
no_pod "$pod"
ls /run/procemu | grep -v '^runtime-\|^network-keys$\|^tables.json$\|^changes.log' || true
echo "tables = [\"$TABLE\"]" > /etc/procemu/bridge.toml

echo "== volumes"
mkdir -p "$NODE"/host/{late,out}
pod_of procemu '.linux.security_context.privileged = true'
container_of main ".mounts = [{ container_path: \"/in\", host_path: \"$NODE/host\", propagation: \"PROPAGATION_HOST_TO_CONTAINER\" },
  { container_path: \"/both\", host_path: \"$NODE/host\", propagation: \"PROPAGATION_BIDIRECTIONAL\" },
  { container_path: \"/no\", host_path: \"$NODE/host\", readonly: true }] | .linux.security_context.privileged = true"
mount -t tmpfs late "$NODE/host/late"
: > "$NODE/host/late/file"
say "$made" 'ls /in/late /both/late /no/late; mount -t tmpfs out /both/out && : > /both/out/file; (: > /no/file) 2> /dev/null || echo refused'
ls "$NODE/host/out"
values "$made"
umount "$NODE/host/out" "$NODE/host/late"
no_pod "$pod"

echo "== left"
print_left
