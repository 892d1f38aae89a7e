#!/bin/bash
# Make the tarball with the static programs twice, in two folders with nothing in common but the sources and the compiler, and compare them
# byte for byte.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
home=${CARGO_HOME:-$HOME/.cargo}
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
${CARGO:-cargo} fetch --quiet --locked

# What the working tree has now, once for both.
git ls-files -z --cached --others --exclude-standard |
  tar --create --null --files-from=- --ignore-failed-read --file="$place/sources.tar"

SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH

# build FOLDER [TARGET]: the crates are unpacked again, in a home of its own.
build() {
  local sources=$1/sources
  mkdir -p "$sources" "$1/home/registry"
  tar --extract --file="$place/sources.tar" --directory="$sources"
  cp -a "$home/registry/cache" "$home/registry/index" "$1/home/registry"
  CARGO_TARGET_DIR=${2:-$sources/target} CARGO_HOME=$1/home CARGO_NET_OFFLINE=true \
    "$sources/scripts/package.sh" tarball --output "$1/packages"
}

# sums TARBALL: of it, and of the programs in it.
sums() { (cd "${1%/*}" && sha256sum "${1##*/}" "$(basename "$1" .tar.gz)"/bin/*); }

tarball=$(build "$place/a")
sums "$tarball" | tee "$place/sums"
rm -rf "$place/a"
tarball=$(build "$place/another folder/with a longer name" "$place/elsewhere")
sums "$tarball" | diff "$place/sums" - || {
  echo "reproducible: two builds of the same sources differ"
  exit 1
}
echo "reproducible: two builds are the same, byte for byte"
