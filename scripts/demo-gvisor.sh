#!/bin/bash
# Show a Kubernetes cluster of one node inside a gVisor sandbox, without us and with us, by the commands of docs/gvisor.md.
# It all happens in the sandbox: the machine stays as it is.
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
page=$PWD/docs/gvisor.md

# step NAME: the page's commands of that name.
step() { awk -v start="\`\`\`sh $1" '/^```/ { on = 0 } on; $0 == start { on = 1 }' "$page"; }

# prints NAME: what the page says that they print.
prints() {
  awk -v start="\`\`\`sh $1" '/^```/ { on = 0 } on; $0 == start { said = 1 } said && $0 == "```text" { on = 1; said = 0 }' "$page"
}

if [ "${1:-}" != --inside ]; then
  [ "$(id -u)" = 0 ] || { echo "demo: needs root, for the sandbox"; exit 1; }
  cargo=${CARGO:-cargo}
  $cargo build --workspace --locked || { echo "demo: the workspace does not build"; exit 1; }
  target=$($cargo metadata --format-version 1 --no-deps --locked | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
  PATH=$target/debug:$PATH:/usr/sbin:/sbin
  [ -n "$(scripts/tools.sh runsc-lacking)" ] || { echo "demo: without Go >= 1.26 there is no gVisor to show it in"; exit 1; }
  eval "$(step programs)"
  # gVisor keeps its state in /run, which is a folder of its own here.
  mount_run='mount -t tmpfs tmpfs /run'
  unshare --mount --propagation slave bash -c "$mount_run; $(step sandbox) scripts/demo-gvisor.sh --inside"
  exit
fi

. tests/gvisor/cluster.sh
shown=0
failed=()
stderr=$(mktemp)
log=$(mktemp)

# said STATUS TEXT: prints how a command ended and what it said.
said() { printf '            exit %s: %s\n' "$1" "$(paste -s -d ' ' <<< "$2")"; }

# fails HOW PATTERN COMMAND...: COMMAND, shown as HOW, has to fail and say PATTERN, of which all that matches is shown.
fails() {
  local how=$1 pattern=$2 text status=0
  shift 2
  text=$("$@" 2>&1 < /dev/null) || status=$?
  printf '   without  %s\n' "$how"
  if [ "$status" != 0 ] && grep -qE "$pattern" <<< "$text"; then
    said "$status" "$(grep -oE "$pattern" <<< "$text")"
    shown=$((shown + 1))
  else
    said "$status" "$text"
    echo "   NOT SHOWN, it should have failed with: $pattern"
    failed+=("without $how")
  fi
}

# works LABEL HOW WANTED COMMAND...: COMMAND, shown as HOW, has to succeed and print WANTED.
works() {
  local how=$2 wanted=$3 text status=0
  printf '   %-8s %s\n' "$1" "$how"
  shift 3
  text=$("$@" 2> "$stderr" < /dev/null) || status=$?
  if [ "$status" = 0 ] && [ "$text" = "$wanted" ]; then
    said "$status" "$text"
    shown=$((shown + 1))
  else
    said "$status" "$text $(tail -n 1 "$stderr")"
    echo "   NOT CURED, it should have printed: $wanted"
    failed+=("$how")
  fi
}

# page NAME...: runs the page's steps of these names, in this shell; ends where one fails.
page() {
  local name
  for name in "$@"; do
    eval "set -e; $(step "$name")" > "$log" 2>&1
    set +e
  done
}

# kubelet_dies: the page's kubelet with an nsprep that only runs its command.
kubelet_dies() (
  nsprep() { while [ "$1" != -- ]; do shift; done; shift; "$@"; }
  eval "$(step node)"
  wait $!
  status=$?
  cat kubelet.log
  exit "$status"
)

# pod_fails POD: what the API server has to say of a pod that does not start.
pod_fails() {
  comes_true eval "kubectl get events -o jsonpath='{range .items[*]}{.involvedObject.name} {.message}{\"\\n\"}{end}' |
    grep '^$1 Failed to create pod sandbox'" && return 1
}

pod_ends() {
  kubectl delete pod two && comes_true eval '[ -z "$(left)" ]' || left
}

runtime_is() { ln -sf "$(command -v "$1")" procemu-runc; }

trap '[ $? = 0 ] || tail -n 20 "$log"' EXIT
# Not by sleep, which is what the pods run.
(timeout 600 tail -f /dev/null; echo "demo: not done after ten minutes"; kill $$) &

printf '\nIn a gVisor whose /proc/sys lacks kernel/cap_last_cap and most of what Linux has:\n'
page prepare containerd image kubelet-config

printf '\n1. the control plane, etcd and kube-apiserver: it lacks nothing\n'
page api-server network
works without "kubectl get --raw /readyz" ok kubectl get --raw /readyz

printf '\n2. the kubelet, %s\n' "$(kubelet --version)"
fails "kubelet --kubeconfig kubeconfig ..." 'open /proc/sys/[a-z_/]*: no such file or directory' kubelet_dies
page node
works with "nsprep exec --ns node --profile kubelet -- kubelet --kubeconfig kubeconfig ..." "$(prints node-ready)" \
  eval "$(step node-ready)"

printf '\n3. a static pod on the host network: containerd %s, %s\n' "$(containerd --version | cut -d ' ' -f 3)" \
  "$(runc --version | head -n 1)"
runtime_is runc
page static-pod
fails "runc as containerd's runtime" 'open /proc/sys/kernel/[a-z_]*: no such file or directory' pod_fails one-node
runtime_is runtime-bridge
works with "runtime-bridge as containerd's runtime, cat /proc/sys/kernel/cap_last_cap in the pod" "$(prints static-pod-log)" \
  eval "$(step static-pod-log)"
rm pods/one.yaml

printf '\n4. a pod with a ConfigMap, made through the API\n'
runtime_is runc
page pod
fails "runc as containerd's runtime" 'open sysctl .*: no such file or directory' pod_fails two
runtime_is runtime-bridge
works with "runtime-bridge as containerd's runtime" "$(prints pod-ready)" eval "$(step pod-ready)"
works with "kubectl logs two" "$(prints logs)" eval "$(step logs)"
works with "kubectl exec two -- cat /proc/sys/kernel/cap_last_cap /proc/sys/net/ipv4/ip_unprivileged_port_start" \
  "$(prints exec)" eval "$(step exec)"
works with "kubectl delete pod two, and no task, process, mount or cgroup of it is left" \
  'pod "two" deleted from default namespace' pod_ends

echo
total=$((shown + ${#failed[@]}))
echo "demo: $shown of $total shown${failed[*]:+, not: ${failed[*]}}"
[ ${#failed[@]} = 0 ]
