#!/bin/bash
# Fuzz the targets named, or all, for SECONDS_EACH (60) each, and print what each did: fuzz.sh [TARGET]...
# What is found beyond the committed corpus is kept in target/fuzz/corpus. A crash ends that target and is kept in target/fuzz/artifacts.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
cargo=${CARGO:-cargo}
seconds=${SECONDS_EACH:-60}
work=${CARGO_TARGET_DIR:-$PWD/target}/fuzz
# The coverage that libFuzzer is guided by comes from flags that every rustc has; what cargo-fuzz would take a nightly for is left out.
how=(--sanitizer none --target-dir "$work")

mapfile -t targets < <(if [ $# -gt 0 ]; then printf '%s\n' "$@"; else $cargo fuzz list; fi)
$cargo fuzz build "${how[@]}" 2> /dev/null || $cargo fuzz build "${how[@]}"
status=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for target in "${targets[@]}"; do
  mkdir -p "$work/corpus/$target" "$work/artifacts/$target"
  folders=("$work/corpus/$target" "fuzz/corpus/$target")
  [ ! -d "fuzz/regressions/$target" ] || folders+=("fuzz/regressions/$target")
  "$work/$(uname -m)-unknown-linux-gnu/release/$target" "${folders[@]}" \
    -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=16384 -artifact_prefix="$work/artifacts/$target/" \
    -print_final_stats=1 -verbosity=1 > "$log" 2>&1 || {
    grep --max-count=1 --after-context=30 --extended-regexp 'panicked at|^==[0-9]+== *ERROR' "$log" || tail -n 40 "$log"
    echo "fuzz: $target failed"
    status=1
    continue
  }
  awk -v target="$target" '
    /cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") edges = $(i + 1) }
    /^stat::number_of_executed_units/ { runs = $2 }
    /^stat::average_exec_per_sec/ { rate = $2 }
    END { printf "fuzz: %-11s %9d executions, %6d a second, %5d edges\n", target, runs, rate, edges }' "$log"
done
exit "$status"
