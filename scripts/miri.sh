#!/bin/bash
# Run the fuzz targets over their corpora, and the unit tests of the parsers, under Miri. It knows none of the system calls of
# procemu/src/sys.rs, so what calls those is for scripts/sanitize.sh.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
toolchain=${MIRI_TOOLCHAIN:-nightly}
if ! cargo "+$toolchain" miri --version > /dev/null 2>&1; then
  echo "miri: no cargo miri for +$toolchain; \`rustup toolchain install $toolchain --component miri --component rust-src\` gets it" >&2
  exit 2
fi
# Reading files and the clock is all that the tests want of the machine.
export MIRIFLAGS=-Zmiri-disable-isolation CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}/miri
test() {
  cargo "+$toolchain" miri test --quiet --locked "$@"
}
test --package procemu --lib -- mountinfo layer::tests
test --test corpus
