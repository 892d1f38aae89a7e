# Functions for the cluster that the commands of docs/gvisor.md make inside a sandbox.

# left: what is left of pods: tasks, processes, mounts, cgroups, the kubelet's folders.
left() {
  ctr task list -q 2> /dev/null
  grep -hE '^(containerd-shim|runc|procemu|runtime-bridge|sleep)' /proc/[0-9]*/comm 2> /dev/null || true
  nsprep exec --ns node -- cut -d ' ' -f 2 /proc/mounts | grep -E '^/run/node/(kubelet|containerd-state)/' || true
  find /sys/fs/cgroup -type d -name 'pod*'
  ls /run/node/kubelet/pods
}

# comes_true COMMAND...: waits until COMMAND succeeds, two minutes at most.
comes_true() {
  local turns=0
  until "$@"; do
    turns=$((turns + 1))
    [ "$turns" -lt 240 ] || return 1
    sleep 0.5
  done
}
