# The hook alone, as a CDI device, in containers that lack kernel/cap_last_cap. $NAME is the runtime, $RUNTIME its program.
node_with runc
lacking_containers
echo "tables = [\"$TABLE\"]" > /etc/procemu/bridge.toml
"$BRIDGE" install cdi > "$NODE/said"
containerd_up
seen_before
keys="kernel/cap_last_cap net/ipv4/made_up fs/mqueue/made_up kernel/made_up"
values() { say "$made" "cd /proc/sys; for key in $keys; do cat \$key 2> /dev/null || echo absent; done" | paste -sd ' '; }

pod_of runc .
echo "== bare"
container_of bare . 2>&1 || true

# asked NAME FILTER: a container that asks for the device.
asked() {
  container_of "$1" "$2" 2>&1 || return 0
  values
  say "$made" "(echo 9 > /proc/sys/kernel/made_up) 2> /dev/null || echo refused"
}
echo "== by annotation"
asked first '.annotations = { "cdi.k8s.io/x": "procemu.io/keys=all" }'
echo "== by device"
asked second '.CDI_devices = [{ name: "procemu.io/keys=all" }]'
no_pod "$pod"

echo "== sysctl"
in_vain pod_of runc '.linux.sysctls = { "net.ipv4.made_up": "7" }'

echo "== installed"
"$BRIDGE" status
"$BRIDGE" uninstall cdi > "$NODE/said"
"$BRIDGE" status | cut -d : -f 1
echo "== uninstalled"
pod_of runc .
container_of main '.annotations = { "cdi.k8s.io/x": "procemu.io/keys=all" }' 2>&1 || true
no_pod "$pod"
echo "== left"
print_left
