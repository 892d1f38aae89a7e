#!/bin/bash
# Run under AddressSanitizer (with LeakSanitizer), which every rustc has the library of: only the flag that asks for it is nightly's.
# The library's tests, which call all that is unsafe in it; the fuzz targets over their corpora; and the programs, around others and in
# containers, where the same calls are made for real.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
export RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address -Cdebuginfo=line-tables-only"
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}/sanitize
# A test forks, and the child leaves by _exit: its leaks are its parent's memory.
export ASAN_OPTIONS=detect_stack_use_after_return=1
run() {
  local command=$1
  shift
  ${CARGO:-cargo} "$command" --quiet --locked --target "$(uname -m)-unknown-linux-gnu" "$@"
}
run test --package procemu --features inherited --lib --tests
run test --package runtime-bridge --lib
run test --test corpus
# The tests take the programs from beside themselves. Of the tests with containers those that trace nothing: LeakSanitizer traces itself.
run build --package nsprep --package runtime-bridge
run test --test attach --test namespaces --test program --test runtimes --test sysfs_containers
