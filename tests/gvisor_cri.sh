# Pods by the CRI alone, without a kubelet; node.sh comes before. $NAME is the runtime, $RUNTIME its program.
# containerd asks for net.ipv4.ip_unprivileged_port_start in every pod on a pod network, as it does unless told otherwise.

# sandbox HANDLER NETWORK PID: makes a pod's sandbox with these namespaces of the pod's or not; its id is $pod.
sandbox() {
  linux="{\"securityContext\":{\"namespaceOptions\":{\"network\":\"$2\",\"pid\":\"$3\"}}}"
  config="{\"metadata\":{\"name\":\"pod\",\"namespace\":\"default\",\"uid\":\"$1-$2\"},\"linux\":$linux}"
  echo "{\"config\":$config,\"runtimeHandler\":\"$1\"}" | cri RunPodSandbox > "$NODE/answer" || return
  pod=$(field podSandboxId < "$NODE/answer")
}

# container COMMAND: makes and starts one in that sandbox, runs COMMAND in it and prints what that says.
container() {
  local id
  echo "{\"podSandboxId\":\"$pod\",\"sandboxConfig\":$config,\"config\":{\"metadata\":{\"name\":\"main\"},
    \"image\":{\"image\":\"localhost/busybox:1\"},\"command\":[\"sleep\",\"100000\"],\"linux\":$linux}}" |
    cri CreateContainer > "$NODE/answer"
  id=$(field containerId < "$NODE/answer")
  echo "{\"containerId\":\"$id\"}" | cri StartContainer > /dev/null
  echo "{\"containerId\":\"$id\",\"cmd\":[\"sh\",\"-c\",\"$1\"]}" | cri ExecSync | field stdout | base64 -d
}

# end: of that sandbox, with all that is in it.
end() {
  echo "{\"podSandboxId\":\"$pod\"}" | cri StopPodSandbox > /dev/null
  echo "{\"podSandboxId\":\"$pod\"}" | cri RemovePodSandbox > /dev/null
}

# there: what a pod could leave behind.
there() {
  cut -d' ' -f4- /proc/self/mountinfo
  cat /proc/[0-9]*/comm > "$NODE/running"
  sort "$NODE/running"
  find "$NODE/containerd-state/io.containerd.runtime.v2.task/k8s.io" /run/netns /run/procemu -mindepth 1 ! -name 'runtime-*.json'
} 2> /dev/null

node
ln -s "$RUNTIME" "$NODE/bin/$NAME"
PATH=$NODE/bin:$PATH
handler bare "$NODE/bin/$NAME"
"$BRIDGE" install containerd --config "$NODE/containerd.toml" --runtime "$NAME" --no-new-keyring > /dev/null
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
