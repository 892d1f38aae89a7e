#!/bin/bash
# Build the workspace, run its tests (arguments go to `cargo test`) and end with one line that says how they went.
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
cargo=${CARGO:-cargo}
[ $# -gt 0 ] || set -- --workspace

# The tests call the programs, and `cargo test` builds no program of another package for them.
$cargo build --workspace --locked || { echo "test: the workspace does not build"; exit 1; }

log=$(mktemp)
trap 'rm -f "$log"' EXIT
$cargo test --locked --no-fail-fast "$@" 2>&1 | tee "$log"
status=${PIPESTATUS[0]}

echo
grep '^skipped ' "$log" | sort -u
read -r suites passed failed skipped < <(awk '
  /^test result:/ { suites++; passed += $4; failed += $6; skipped += $8 }
  END { print suites + 0, passed + 0, failed + 0, skipped + 0 }' "$log")
if [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then
  echo "test: cargo test failed (status $status) after $suites suites: see above"
elif [ "$status" -eq 0 ] && [ "$((passed + skipped))" -eq 0 ]; then
  echo "test: nothing was run, is the filter right?"
  status=1
fi
echo "test: $passed passed, $failed failed, $skipped skipped"
exit "$status"
