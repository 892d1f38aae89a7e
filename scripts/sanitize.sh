#!/bin/bash
# Run the library's unit tests, which call all that is unsafe in it, and the fuzz targets over their corpora under AddressSanitizer
# (with LeakSanitizer), which every rustc has the library of: only the flag that asks for it is nightly's.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
export RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address -Cdebuginfo=line-tables-only"
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}/sanitize
# A test forks, and the child leaves by _exit: its leaks are its parent's memory.
export ASAN_OPTIONS=detect_stack_use_after_return=1
test() {
  ${CARGO:-cargo} test --quiet --locked --target "$(uname -m)-unknown-linux-gnu" "$@"
}
test --package procemu --features inherited --lib
test --package runtime-bridge --lib
test --test corpus
