# Functions for pods by the CRI whose requests are more than a name; cri.sh comes before. A jq filter changes what is asked
# for by default: `'.linux.sysctls = { "net.ipv4.ip_forward": "1" }'`, or `.`.

# node_with HANDLER: a node with a handler that is $RUNTIME, which PATH has as $NAME.
node_with() {
  node
  ln -s "$RUNTIME" "$NODE/bin/$NAME"
  PATH=$NODE/bin:$PATH
  handler "$1" "$NODE/bin/$NAME"
}

# pod_of HANDLER FILTER: makes a pod's sandbox, on a network of its own; its id is $pod, its configuration $config.
pod_of() {
  pods_made=$((${pods_made:-0} + 1))
  config=$(jq -nc --arg name "pod-$pods_made" --arg logs "$NODE/logs" \
    '{ metadata: { name: $name, namespace: "default", uid: $name }, log_directory: $logs,
      linux: { security_context: { namespace_options: { network: "POD", pid: "CONTAINER" } } } }'" | $2")
  jq -nc --argjson config "$config" --arg handler "$1" '{ config: $config, runtimeHandler: $handler }' |
    cri RunPodSandbox > "$NODE/answer" || return
  pod=$(jq -r .podSandboxId "$NODE/answer")
}

# container_of NAME FILTER: makes and starts a container in that pod, which sleeps, with the paths that the kubelet has masked and
# made read-only; its id is $made, its log $NODE/logs/NAME.log.
container_of() {
  local request
  request=$(jq -nc --arg name "$1" --argjson namespaces "$(jq -c '.linux.security_context.namespace_options' <<< "$config")" \
    '{ metadata: { name: $name }, image: { image: "localhost/busybox:1" }, command: ["sleep", "100000"], log_path: ($name + ".log"),
      linux: { security_context: { namespace_options: $namespaces, masked_paths: ["/proc/kcore", "/proc/keys", "/proc/timer_list"],
        readonly_paths: ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"] } } }'" | $2")
  jq -nc --arg pod "$pod" --argjson config "$request" --argjson sandbox "$config" \
    '{ podSandboxId: $pod, config: $config, sandboxConfig: $sandbox }' | cri CreateContainer > "$NODE/answer" || return
  made=$(jq -r .containerId "$NODE/answer")
  jq -nc --arg id "$made" '{ containerId: $id }' | cri StartContainer > "$NODE/answer"
}

# say CONTAINER COMMAND: runs it there with a shell and prints what it says.
say() {
  jq -nc --arg id "$1" --arg command "$2" '{ containerId: $id, cmd: ["sh", "-c", $command] }' | cri ExecSync > "$NODE/answer" || return
  jq -r '(.stdout // "" | @base64d) + (.stderr // "" | @base64d)' "$NODE/answer" | sed '/^$/d'
}

# no_container CONTAINER: stops and removes it.
no_container() {
  jq -nc --arg id "$1" '{ containerId: $id }' | cri StopContainer > "$NODE/answer"
  jq -nc --arg id "$1" '{ containerId: $id }' | cri RemoveContainer > "$NODE/answer"
}

# no_pod POD: stops and removes it, with all that is in it.
no_pod() {
  jq -nc --arg id "$1" '{ podSandboxId: $id }' | cri StopPodSandbox > "$NODE/answer"
  jq -nc --arg id "$1" '{ podSandboxId: $id }' | cri RemovePodSandbox > "$NODE/answer"
}

# in_vain COMMAND...: what it says when it fails, without what is another each time. Where it does not, the pod goes.
in_vain() {
  if "$@" 2> "$NODE/said"; then
    echo runs
    no_pod "$pod"
  else
    sed 's/[0-9a-f]\{64\}/ID/g' "$NODE/said"
  fi
}

# there: what containers and their pods could leave behind, but for what runtimes answered when they were asked for their version.
there() {
  cut -d' ' -f4- /proc/self/mountinfo
  cat /proc/[0-9]*/comm > "$NODE/running"
  sort "$NODE/running"
  find "$NODE"/containerd-state/io.containerd.runtime.v2.task/* /run/netns /run/procemu -mindepth 1 ! -path '/run/procemu/runtime-*.json' ! -path /run/procemu/network-keys ! -path /run/procemu/tables.json \
    ! -path '/run/procemu/bin*' ! -path '/run/procemu/changes.log*'
  find /sys/fs/cgroup -mindepth 3 -type d
} 2> /dev/null
