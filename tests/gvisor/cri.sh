# Pods by the CRI alone, without a kubelet; node.sh comes before. $NAME is the runtime, $RUNTIME its program.
# containerd asks for net.ipv4.ip_unprivileged_port_start in every pod on a pod network, as it does unless told otherwise.

# there: what a pod could leave behind.
there() {
  cut -d' ' -f4- /proc/self/mountinfo
  cat /proc/[0-9]*/comm > "$NODE/running"
  sort "$NODE/running"
  find "$NODE/containerd-state/io.containerd.runtime.v2.task/k8s.io" /run/netns /run/procemu -mindepth 1 ! -name 'runtime-*.json' ! -name network-keys ! -name tables.json ! -name 'changes.log*'
} 2> /dev/null

node
ln -s "$RUNTIME" "$NODE/bin/$NAME"
PATH=$NODE/bin:$PATH
handler bare "$NODE/bin/$NAME"
install_bridge --runtime "$NAME" --no-new-keyring
containerd_up
seen_before

for network in NODE POD; do
  echo "== bare $network"
  if sandbox bare "$network" CONTAINER 2> "$NODE/said"; then
    echo runs
    end
  else
    cat "$NODE/said"
  fi
done

# The containers of the first one share a pid namespace.
for namespaces in "NODE POD" "POD CONTAINER"; do
  echo "== cured ${namespaces% *}"
  sandbox procemu $namespaces
  container "cd /proc/sys; cat kernel/cap_last_cap net/ipv4/ip_unprivileged_port_start"
  end
done

echo "== left"
print_left
