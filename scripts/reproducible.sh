#!/bin/bash
# Build the static programs twice, in two folders with nothing in common but the sources and the compiler, and compare them byte for byte.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
home=${CARGO_HOME:-$HOME/.cargo}
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
${CARGO:-cargo} fetch --quiet --locked

# What the working tree has now, once for both.
git ls-files -z --cached --others --exclude-standard |
  tar --create --null --files-from=- --ignore-failed-read --file="$place/sources.tar"

# build FOLDER [TARGET]: the crates are unpacked again, in a home of its own.
build() {
  local sources=$1/sources
  mkdir -p "$sources" "$1/home/registry"
  tar --extract --file="$place/sources.tar" --directory="$sources"
  cp -a "$home/registry/cache" "$home/registry/index" "$1/home/registry"
  CARGO_TARGET_DIR=${2:-$sources/target} CARGO_HOME=$1/home CARGO_NET_OFFLINE=true "$sources/scripts/static.sh" --release
}

programs=$(build "$place/a")
(cd "$programs" && sha256sum runtime-bridge nsprep) | tee "$place/sums"
rm -rf "$place/a"
programs=$(build "$place/another folder/with a longer name" "$place/elsewhere")
(cd "$programs" && sha256sum --check "$place/sums") || {
  echo "reproducible: two builds of the same sources differ"
  exit 1
}
echo "reproducible: two builds are the same, byte for byte"
