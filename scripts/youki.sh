#!/bin/bash
# Build youki from crates.io, and print its path: youki.sh
# Kept outside the checkout, one per version of itself and of Rust. Where it cannot be built this says so and succeeds.
set -euo pipefail
version=0.7.0
cargo=${CARGO:-cargo}
rust=$(rustc --version | cut -d' ' -f2)
folder=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/procemu/youki-$version/rust$rust
if [ ! -x "$folder/youki" ]; then
  echo "youki: building youki $version (about 3 minutes of CPU)" >&2
  mkdir -p "${folder%/*}"
  work=$(mktemp -d "${folder%/*}/build.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  # Without WebAssembly and systemd.
  if ! CARGO_TARGET_DIR=$work/target "$cargo" install --quiet --locked --version "$version" --root "$work" \
    --no-default-features --features v1,v2,seccomp youki >&2; then
    echo "youki: skipped youki $version: it cannot be built here" >&2
    exit 0
  fi
  rm -rf "$folder"
  mv "$work/bin" "$folder"
fi
echo "$folder/youki"
