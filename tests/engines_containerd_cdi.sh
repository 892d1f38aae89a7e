# The hook alone, as a CDI device, in containers that lack kernel/cap_last_cap. $NAME is the runtime, $RUNTIME its program.
node
ln -s "$RUNTIME" "$NODE/bin/$NAME"
PATH=$NODE/bin:$PATH
handler runc "$NODE/bin/$NAME"
lacking_spec kernel/cap_last_cap > "$NODE/spec.json"
sed -i "s|^runtime_type.*|&\nbase_runtime_spec = \"$NODE/spec.json\"|" "$NODE/containerd.toml"
echo "tables = [\"$TABLE\"]" > /etc/procemu/bridge.toml
"$BRIDGE" install cdi
containerd_up
seen_before
keys="kernel/cap_last_cap net/ipv4/made_up fs/mqueue/made_up kernel/made_up"
values() { say "$made" "cd /proc/sys; for key in $keys; do cat \$key 2> /dev/null || echo absent; done" | paste -sd ' '; }

pod_of runc '.linux.sysctls = { "net.ipv4.ip_local_port_range": "20000 30000" }'
echo "== bare"
container_of bare . 2>&1 || true
for ask in '.annotations = { "cdi.k8s.io/x": "procemu.io/keys=all" }' '.CDI_devices = [{ name: "procemu.io/keys=all" }]'; do
  echo "== $ask"
  if container_of main "$ask" 2>&1; then
    values
    say "$made" "(echo 9 > /proc/sys/kernel/made_up) 2> /dev/null || echo refused"
    no_container "$made"
  fi
done
echo "== ctr"
ctr --address "$NODE/containerd.sock" --namespace k8s.io run --rm --snapshotter native --device procemu.io/keys=all \
  localhost/busybox:1 container cat /proc/sys/kernel/made_up 2>&1 | grep -v DEPRECATION || true
echo "== another pod"
no_pod "$pod"
in_vain pod_of runc '.linux.sysctls = { "net.ipv4.made_up": "7" }'
echo "== uninstalled"
"$BRIDGE" status
"$BRIDGE" uninstall cdi
"$BRIDGE" status
pod_of runc .
container_of main '.annotations = { "cdi.k8s.io/x": "procemu.io/keys=all" }' 2>&1 || true
no_pod "$pod"
echo "== left"
print_left
