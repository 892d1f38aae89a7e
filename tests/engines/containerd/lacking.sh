# Containers that lack kernel/cap_last_cap, and, with $LACKING, a node that does. $NAME is the runtime, $RUNTIME its program.
node_with runc
[ -n "${LACKING:-}" ] || lacking_containers
install_bridge --no-new-keyring
containerd_up
seen_before

# run HANDLER: a pod with a container, which is given the kernel's own value.
run() {
  pod_of "$1" . || return
  container_of main . || { no_pod "$pod"; return 1; }
  say "$made" 'cat /proc/sys/kernel/cap_last_cap'
  no_pod "$pod"
}

echo "== bare"
run runc 2>&1 || true
echo "== cured"
run procemu
echo "== left"
print_left
