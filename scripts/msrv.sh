#!/bin/bash
# Check that the library builds with the oldest Rust that its Cargo.toml says, and what it depends on, in the versions of Cargo.lock.
# With rustup's toolchain where that is installed, else with Debian's compiler of that version, unpacked and not installed. Where neither
# can be had this says so and succeeds.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
version=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' procemu/Cargo.toml)
skip() { echo "msrv: skipped: needs Rust $version: $*" >&2; exit 0; }

# debian: unpack Debian's compiler of that version, which may be an older one than it would install, and print its path.
debian() {
  local folder=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/procemu/rustc-$version/debian package found suffix work
  if [ ! -x "$folder/rustc" ]; then
    command -v apt-get > /dev/null || return 1
    read -r package found < <(apt-cache madison rustc-web rustc | sed 's/|/ /g' |
      awk -v "v=$version." 'index($2, v) == 1 { print $1, $2; exit }') || return 1
    suffix=${package#rustc}
    mkdir -p "${folder%/*}"
    work=$(mktemp -d "${folder%/*}/unpack.XXXXXX")
    (
      cd "$work"
      llvm=$(apt-cache depends "libstd-rust$suffix-$version" | sed -n 's/^ *Depends: \(libllvm[0-9.]*\)$/\1/p')
      apt-get download -qq -o APT::Sandbox::User=root "$package=$found" "libstd-rust$suffix-dev=$found" \
        "libstd-rust$suffix-$version=$found" "$llvm" > log 2>&1
      for file in ./*.deb; do dpkg-deb --extract "$file" root; done
      rm ./*.deb
      # Its libraries are where the packages' are, and not beside it.
      printf '#!/bin/sh\nLD_LIBRARY_PATH=%s exec %s "$@"\n' "$folder/root/usr/lib/$(uname -m)-linux-gnu" "$folder/root/usr/bin/rustc" > rustc
      chmod +x rustc
    ) || { rm -rf "$work"; return 1; }
    rm -rf "$folder"
    mv "$work" "$folder"
  fi
  echo "$folder/rustc"
}

RUSTC=$(rustup which --toolchain "$version" rustc 2> /dev/null) || RUSTC=$(debian) ||
  skip "neither 'rustup toolchain install $version' was done, nor has Debian's archive one here"
export RUSTC CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}/msrv"
echo "msrv: the library with $($RUSTC --version)"
# Its tests need later ones.
${CARGO:-cargo} check --quiet --locked --package procemu --lib --all-features
