#!/bin/bash
# Run the fuzz targets over their corpora, and the unit tests of the parsers, under Miri: miri.sh [TARGET]... It knows none of the system
# calls of procemu/src/sys.rs, so what calls those is for scripts/sanitize.sh.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
export toolchain=${MIRI_TOOLCHAIN:-nightly}
if ! cargo "+$toolchain" miri --version > /dev/null 2>&1; then
  echo "miri: no cargo miri for +$toolchain; \`rustup toolchain install $toolchain --component miri --component rust-src\` gets it" >&2
  exit 2
fi
# Reading files and the clock is all that the tests want of the machine.
export MIRIFLAGS=-Zmiri-disable-isolation CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}/miri

# One target, or the unit tests. Miri has one thread for all threads of a program, so what is to run beside another is another process.
one() {
  local name=$1 log what=(--test corpus -- --exact "$1")
  [ "$name" != parsers ] || what=(--package procemu --lib -- mountinfo layer::tests)
  log=$(mktemp)
  # A name that is no test's would pass.
  if cargo "+$toolchain" miri test --quiet --locked "${what[@]}" > "$log" 2>&1 && grep -q '^test result: ok\. [1-9]' "$log"; then
    grep --only-matching 'skipped .*' "$log" || true
    echo "miri: $name passed, $SECONDS s"
  else
    cat "$log"
    echo "miri: $name failed"
    false
  fi
  local status=$?
  rm -f "$log"
  return "$status"
}
export -f one

# The largest corpora take the longest, and are not to be left for the end.
if [ $# -eq 0 ]; then
  mapfile -t largest < <(du --bytes --summarize fuzz/corpus/* | sort --reverse --numeric-sort | cut -f 2)
  set -- "${largest[@]##*/}" parsers
fi
cargo "+$toolchain" miri test --quiet --locked --no-run --package procemu --lib
cargo "+$toolchain" miri test --quiet --locked --no-run --test corpus
# Each takes less than half a GiB.
printf '%s\n' "$@" | xargs --max-procs="$(nproc)" --replace=NAME bash -c 'one NAME' && echo "miri: all of $# passed, $SECONDS s"
