# Our programs replaced and taken away under running pods; node.sh and cri.sh come before. $OTHER is another build of the bridge,
# $TABLE a table of keys, $UPGRADE and $WITHOUT have commands of docs/engines.md. Pods are made by the CRI, with one container, `main`;
# in its place comes `again`.

BIN=/usr/local/bin

# new_pod NAME [HANDLER]: a pod with one container.
new_pod() {
  local asked='{"net.ipv4.ip_local_port_range":"20000 30000"}'
  mkdir -p "$NODE/pods/$1"
  echo "{\"metadata\":{\"name\":\"$1\",\"namespace\":\"default\",\"uid\":\"$1\"},\"logDirectory\":\"$NODE/pods/$1\",
    \"linux\":{\"sysctls\":$asked}}" > "$NODE/pods/$1/config"
  echo "{\"config\":$(cat "$NODE/pods/$1/config"),\"runtimeHandler\":\"${2-procemu}\"}" |
    cri RunPodSandbox > "$NODE/pods/$1/answer" || return
  field podSandboxId < "$NODE/pods/$1/answer" > "$NODE/pods/$1/pod"
  new_container "$1" main
}

# new_container POD NAME: it says what it finds once a second.
new_container() {
  local id
  echo "{\"podSandboxId\":\"$(cat "$NODE/pods/$1/pod")\",\"sandboxConfig\":$(cat "$NODE/pods/$1/config"),
    \"config\":{\"metadata\":{\"name\":\"$2\"},\"image\":{\"image\":\"localhost/busybox:1\"},\"logPath\":\"$2.log\",
      \"command\":[\"sh\",\"-c\",\"while sleep 1; do cat /proc/sys/net/ipv4/made_up; done\"],\"linux\":{}}}" |
    cri CreateContainer > "$NODE/pods/$1/answer" || return
  id=$(field containerId < "$NODE/pods/$1/answer")
  echo "$id" > "$NODE/pods/$1/$2"
  echo "{\"containerId\":\"$id\"}" | cri StartContainer > /dev/null
}

# says POD CONTAINER: what a command in it reads.
says() {
  echo "{\"containerId\":\"$(cat "$NODE/pods/$1/$2")\",\"cmd\":[\"cat\",\"/proc/sys/net/ipv4/made_up\"]}" |
    cri ExecSync > "$NODE/pods/$1/answer" && field stdout < "$NODE/pods/$1/answer" | base64 -d
}

# logs POD CONTAINER: whether its log grows.
logs() {
  local before
  before=$(wc -l < "$NODE/pods/$1/$2.log")
  until_true "the log of $1" eval "[ \$(wc -l < '$NODE/pods/$1/$2.log') -gt $before ]" && echo logs
}

# stop_container POD CONTAINER
stop_container() {
  echo "{\"containerId\":\"$(cat "$NODE/pods/$1/$2")\",\"timeout\":1}" | cri StopContainer > /dev/null
  echo "{\"containerId\":\"$(cat "$NODE/pods/$1/$2")\"}" | cri RemoveContainer > /dev/null
}

# end_pod NAME
end_pod() {
  pod=$(cat "$NODE/pods/$1/pod")
  end
}

# works POD: all that is done to a running pod: a command, its log, its container stopped and made again in the same sandbox, its end.
works() {
  says "$1" main
  logs "$1" main
  stop_container "$1" main
  new_container "$1" again
  says "$1" again
  end_pod "$1"
}

restart_containerd() {
  stop containerd
  containerd_again
}

# uninstall: and whether the file is what it was.
uninstall() {
  "$BRIDGE" uninstall containerd > /dev/null
  cmp "$NODE/containerd.toml" "$NODE/as_it_was"
  restart_containerd
}

# reboot: what runs dies, and what is in memory is lost. containerd's root stays.
reboot() {
  local process mount
  stop containerd
  for process in /proc/[0-9]*; do
    [ "$(cat "$process/comm")" != containerd-shim ] || kill -KILL "${process#/proc/}"
  done
  cat $(find /sys/fs/cgroup -path '*/k8s.io/*' -name cgroup.procs) < /dev/null | sort -u | xargs -r kill -KILL
  for mount in $(awk '{ print $5 }' /proc/self/mountinfo | grep -E "^($NODE/containerd-state|/run/netns)/"); do
    umount -l "$mount"
  done
  rm -rf "$NODE/containerd-state" /run/netns /run/procemu
  containerd_again
}

# there: what pods could leave behind.
there() {
  cut -d' ' -f4- /proc/self/mountinfo
  cat /proc/[0-9]*/comm > "$NODE/running"
  sort "$NODE/running"
  find "$NODE/containerd-state/io.containerd.runtime.v2.task/k8s.io" /run/netns /run/procemu -mindepth 1 ! -name 'runtime-*.json' ! -name network-keys ! -name tables.json ! -name 'changes.log*'
} 2> /dev/null

# installed_node [OPTION...]: with the bridge at its place in PATH, a handler procemu beside runc's own.
installed_node() {
  node
  echo "tables = [\"$TABLE\"]" >> /etc/procemu/bridge.toml
  cp "$BRIDGE" "$BIN/runtime-bridge"
  handler runc "$(command -v runc)"
  mkdir -p /etc/containerd
  ln -s "$NODE/containerd.toml" /etc/containerd/config.toml
  cp "$NODE/containerd.toml" "$NODE/as_it_was"
  BRIDGE=$BIN/runtime-bridge
  install_bridge "$@"
  containerd_up
  seen_before
}
