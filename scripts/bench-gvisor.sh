#!/bin/bash
# Run the benches inside a gVisor sandbox: bench-gvisor.sh [ARGS for the bench of everything]
# They are the same programs as on Linux; the release build of what they measure has to be there. Wall time is what counts:
# gVisor counts CPU time in ticks of 10 ms.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
cd "$here/.."
[ $# -gt 0 ] || set -- --short --rounds 30 --rows dfg
runsc=$("$here/tools.sh" runsc)
[ -n "$runsc" ] || exit 0

# "  Executable benches/attach_cost.rs (target/release/deps/attach_cost-0123456789abcdef)"
mapfile -t built < <(${CARGO:-cargo} bench --no-run --locked --package procemu-tests --bench attach_cost --bench speed 2>&1 |
  sed -n 's/.*Executable .*(\(.*\))$/\1/p')
[ ${#built[@]} = 2 ] || { echo "bench-gvisor: the benches do not build" >&2; exit 1; }

state=$(mktemp -d)
trap 'rm -rf "$state"' EXIT
{
  cat tests/support/lib.sh
  echo cgroup_v1
  printf '%q ' "${built[0]}" --bench 'wall/(read|container/1|program/1)'
  echo
  printf '%q ' "${built[1]}" --bench "$@"
} > "$state/inside.sh"
"$runsc" --root "$state/runsc" --network=none --ignore-cgroups --platform=systrap do bash "$state/inside.sh"
