#!/bin/bash
# Build runc 1.5.2, which no Debian 12 package has, as an ordinary Go tool module, and print the path of the binary.
# It is kept outside the checkout, one per runc and Go version. Where Go >= 1.26 is missing this says so and succeeds.
set -euo pipefail
runc=1.5.2
skip() { echo "setup: skipped runc $runc: $*" >&2; exit 0; }

cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/procemu/runc-$runc
command -v go > /dev/null || PATH=$PATH:/usr/local/go/bin
command -v go > /dev/null || skip "Go >= 1.26 is not installed"
export GOTOOLCHAIN=local CGO_ENABLED=1 GOFLAGS=
go=$(go env GOVERSION) || skip "go does not run"
[ "$(printf '%s\n' go1.26 "$go" | sort -V | head -n 1)" = go1.26 ] || skip "Go >= 1.26 is needed, this is $go"

binary=$cache/$go-$(go env GOARCH)/runc
if [ ! -x "$binary" ]; then
  pkg-config --exists libseccomp || skip "libseccomp-dev and pkg-config are needed to build it"
  echo "setup: building runc $runc with $go" >&2
  mkdir -p "$(dirname "$binary")"
  work=$(mktemp -d)
  trap 'rm -rf "$work" "$binary.$$"' EXIT
  (
    cd "$work" &&
    go mod init bed &&
    go get -tool "github.com/opencontainers/runc@v$runc" &&
    go build -tags seccomp -ldflags "-X main.version=$runc" -o "$binary.$$" github.com/opencontainers/runc
  ) > "$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
  # Renamed when whole, so that an interrupted build is never taken for a finished one.
  mv "$binary.$$" "$binary"
fi
echo "$binary"
