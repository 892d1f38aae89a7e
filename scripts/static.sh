#!/bin/bash
# Build the programs as static files and print the folder they are in: static.sh [--release]
# An image from scratch needs such a file, and on a node it starts in half the time: nothing is loaded and bound at its start.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
home=${CARGO_HOME:-$HOME/.cargo}
commit=$(rustc --version --verbose | sed -n 's/^commit-hash: //p')
# What is built is the same wherever that is: no path of this machine is left in it (`make reproducible`).
flags=(-C target-feature=+crt-static
  "--remap-path-prefix=$PWD=/procemu"
  "--remap-path-prefix=$home=/cargo"
  "--remap-path-prefix=$(rustc --print sysroot)/lib/rustlib/src/rust=/rustc/$commit")
CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f' && echo -n "${flags[*]}")
export CARGO_ENCODED_RUSTFLAGS
# With a target of its own: libraries that run in the compiler are left alone, which is why plain cargo cannot do it.
target=$(uname -m)-unknown-linux-gnu
${CARGO:-cargo} build --quiet --locked --package runtime-bridge --package nsprep --target "$target" "$@" >&2
profile=debug
[ "${1:-}" != --release ] || profile=release
echo "${CARGO_TARGET_DIR:-$PWD/target}/$target/$profile"
