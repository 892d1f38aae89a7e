# Pods by the CRI, ten at once with three containers each, $ROUNDS times; node.sh and cri.sh come before. Half of them have our
# handler, half the bare one. $TABLE has a key of the network namespace that takes writes, and one of none that does not.
# Printed is what is not as it has to be.

there() {
  cut -d' ' -f4- /proc/self/mountinfo
  cat /proc/[0-9]*/comm > "$NODE/running"
  sort "$NODE/running"
  find "$NODE/containerd-state/io.containerd.runtime.v2.task/k8s.io" /run/netns /run/procemu -mindepth 1 ! -name 'runtime-*.json' ! -name network-keys ! -name tables.json ! -name 'changes.log*'
  find /sys/fs/cgroup -path '*/k8s.io/*' -type d
} 2> /dev/null

pods=$(seq 10)
containers="1 2 3"

# handler_of POD
handler_of() { [ $(($1 % 2)) = 0 ] && echo procemu || echo runc; }

# again COMMAND ARGUMENTS: as long as it fails, as a kubelet does: containerd 1.6 that comes back after a crash loses new sandboxes'
# processes and its connections to shims. What names us is no failure of containerd's.
again() {
  local turn said
  said=$(mktemp "$NODE/said.XXXXXX")
  for turn in $(seq 10); do
    # A process of its own, which an error ends.
    (set -e; "$@") 2> "$said" &
    ! wait $! || return 0
    ! grep -q procemu "$said" || break
    sleep 0.2
  done
  echo "$*, $turn times: $(cat "$said")" >&2
  return 1
}

# make POD
make() { again make_once "$1"; }

# make_once POD: its sandbox, then all its containers at once. What makes them is in $CROWD/POD/.
make_once() {
  local name=$1 handler asked config
  local folder=$CROWD/$name
  [ ! -e "$folder" ] || unmake "$name"
  mkdir "$folder"
  handler=$(handler_of "$name")
  asked="\"net.ipv4.ip_local_port_range\":\"$((20000 + name)) 30000\""
  [ "$handler" = runc ] || asked="$asked,\"net.ipv4.made_up\":\"$name\""
  config="{\"metadata\":{\"name\":\"pod-$name\",\"namespace\":\"default\",\"uid\":\"$round-$name\"},
    \"linux\":{\"sysctls\":{$asked},\"securityContext\":{\"privileged\":true}}}"
  echo "$config" > "$folder/config"
  echo "{\"config\":$config,\"runtimeHandler\":\"$handler\"}" | cri RunPodSandbox > "$folder/answer"
  field podSandboxId < "$folder/answer" > "$folder/pod"
  together make_container "$containers"
}

# make_container CONTAINER: the first one has all rights.
make_container() {
  local rights=false
  [ "$1" != 1 ] || rights=true
  echo "{\"podSandboxId\":\"$(cat "$folder/pod")\",\"sandboxConfig\":$config,\"config\":{\"metadata\":{\"name\":\"$1\"},
    \"image\":{\"image\":\"localhost/busybox:1\"},\"command\":[\"sleep\",\"100000\"],
    \"linux\":{\"securityContext\":{\"privileged\":$rights}}}}" | cri CreateContainer > "$folder/answer-$1"
  field containerId < "$folder/answer-$1" > "$folder/$1"
  echo "{\"containerId\":\"$(cat "$folder/$1")\"}" | cri StartContainer > /dev/null
}

# unmake POD: what there is of it.
unmake() {
  [ ! -s "$CROWD/$1/pod" ] || finish_once "$1"
  rm -r "${CROWD:?}/$1"
}

# together COMMAND ARGUMENTS: COMMAND with each of them, at once.
together() {
  local argument child children=() failed=0
  for argument in $2; do
    # A shell of its own, which an error ends.
    (set -e; "$1" "$argument") &
    children+=($!)
  done
  # For each of them, so that none is still at it when this is called again.
  for child in "${children[@]}"; do wait "$child" || failed=1; done
  return "$failed"
}

# within POD CONTAINER COMMAND
within() { again within_once "$@"; }

within_once() {
  echo "{\"containerId\":\"$(cat "$CROWD/$1/$2")\",\"cmd\":[\"sh\",\"-c\",\"cd /proc/sys; $3\"]}" | cri ExecSync > "$CROWD/$1/said-$2" || {
    revive "$1" "$2"
    return 1
  }
  field stdout < "$CROWD/$1/said-$2" | base64 -d
}

# revive POD CONTAINER: containerd 1.6 that comes back after a crash ends containers whose shims do not answer in time, bare ones too. A
# kubelet makes another in its place.
revive() {
  local folder=$CROWD/$1 config id
  [ "$crashed" = yes ] || return 0
  id="{\"containerId\":\"$(cat "$folder/$2")\"}"
  echo "$id" | cri ContainerStatus | grep -q CONTAINER_EXITED || return 0
  config=$(cat "$folder/config")
  echo "$id" | cri RemoveContainer > /dev/null
  make_container "$2"
}

# look POD: what its containers see.
look() {
  local container
  for container in $containers; do
    within "$1" "$container" "echo \$(cat net/ipv4/ip_local_port_range net/ipv4/made_up kernel/made_up_key 2> /dev/null)" \
      > "$CROWD/$1/sees-$container"
  done
}

# write POD: the container with all rights does.
write() { [ "$(handler_of "$1")" = runc ] || within "$1" 1 "echo $((100 + $1)) > net/ipv4/made_up"; }

# compare WHAT ADDED: with what each container has to see: the pod's own values, the emulated one with ADDED.
compare() {
  local name container expected
  together look "$pods"
  for name in $pods; do
    expected="$((20000 + name)) 30000"
    [ "$(handler_of "$name")" = runc ] || expected="$expected $(($2 + name)) 7"
    for container in $containers; do
      [ "$(cat "$CROWD/$name/sees-$container")" = "$expected" ] ||
        echo "round $round, $1, pod $name, container $container: $(cat "$CROWD/$name/sees-$container"), not $expected"
    done
  done
}

# finish POD
finish() { again finish_once "$1"; }

finish_once() {
  echo "{\"podSandboxId\":\"$(cat "$CROWD/$1/pod")\"}" > "$CROWD/$1/end"
  cri StopPodSandbox < "$CROWD/$1/end" > /dev/null
  cri RemovePodSandbox < "$CROWD/$1/end" > /dev/null
}

node
echo "tables = [\"$TABLE\"]" >> /etc/procemu/bridge.toml
handler runc "$(command -v runc)"
install_bridge
containerd_up
seen_before
for round in $(seq "$ROUNDS"); do
  crashed=no
  CROWD=$NODE/crowd-$round
  mkdir "$CROWD"
  together make "$pods"
  compare "at first" 0
  together write "$pods"
  # Every other time after a crash of containerd.
  [ $((round % 2)) = 0 ] || { crash containerd; crashed=yes; containerd_again; }
  compare "after a write" 100
  together finish "$pods"
  print_left
  rm -r "$CROWD"
done
echo "$round rounds"
