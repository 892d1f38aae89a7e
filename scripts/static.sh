#!/bin/bash
# Build runtime-bridge as one static file, as an image from scratch needs it, and print its path: static.sh [--release]
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
# With a target of its own: libraries that run in the compiler are left alone.
target=$(uname -m)-unknown-linux-gnu
RUSTFLAGS="-C target-feature=+crt-static" ${CARGO:-cargo} build --quiet --locked --package runtime-bridge --target "$target" "$@" >&2
profile=debug
[ "${1:-}" != --release ] || profile=release
echo "${CARGO_TARGET_DIR:-$PWD/target}/$target/$profile/runtime-bridge"
