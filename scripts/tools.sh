#!/bin/bash
# Build a program that no Debian 12 package has, as an ordinary Go tool module, and print its path: tools.sh NAME
#   runc, containerd (its shim and ctr lie beside it), crio (pinns lies beside it), etcd,
#   kubelet, kube-apiserver, kube-controller-manager, kube-scheduler, kubectl,
#   runsc (gVisor), runsc-lacking (gVisor as it was before its kernel had kernel/cap_last_cap),
#   node-client (ours: what a node is asked by the CRI and the kubelet's API)
# Each is kept outside the checkout, one per version of itself and of Go. Where Go >= 1.26 is missing this says so and
# succeeds.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
name=${1:-}
cgo=0 flags=() packages=()
case $name in
  runc)
    version=1.5.2 module=github.com/opencontainers/runc
    packages=("$module")
    cgo=1 flags=(-tags seccomp -ldflags "-X main.version=$version")
    ;;
  # With cgo it cannot start its sandbox.
  runsc | runsc-lacking)
    version=0.0.0-20260905035102-160fafc42237 module=gvisor.dev/gvisor
    packages=("$module/runsc")
    ;;
  containerd)
    version=2.2.9 module=github.com/containerd/containerd/v2
    packages=("$module"/cmd/{containerd-shim-runc-v2,ctr,containerd})
    flags=(-ldflags "-X $module/version.Version=v$version")
    ;;
  crio)
    version=1.34.0 module=github.com/cri-o/cri-o
    packages=(./cmd/crio)
    cgo=1 flags=(-tags "containers_image_openpgp exclude_graphdriver_btrfs exclude_graphdriver_devicemapper")
    ;;
  # From 1.35 on it refuses cgroup v1.
  kubelet | kube-apiserver | kube-controller-manager | kube-scheduler | kubectl)
    version=1.34.4 module=k8s.io/kubernetes
    packages=("$module/cmd/$name")
    flags=(-ldflags "-X k8s.io/component-base/version.gitVersion=v$version")
    ;;
  etcd)
    version=3.6.5 module=go.etcd.io/etcd/server/v3
    packages=("$module")
    ;;
  # Its version is what its source sums up to.
  node-client)
    module=$here/../tests/support/node/client
    version=$(cat "$module"/{main.go,go.mod,go.sum} | sha256sum) version=${version:0:16}
    ;;
  *)
    echo "tools: unknown program '$name', expected runc, containerd, crio, kubelet, kube-apiserver, kube-controller-manager," \
      "kube-scheduler, kubectl, etcd, runsc, runsc-lacking or node-client" >&2
    exit 2
    ;;
esac
skip() { echo "tools: skipped $name $version: $*" >&2; exit 0; }

cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/procemu/$name-$version
command -v go > /dev/null || PATH=$PATH:/usr/local/go/bin
command -v go > /dev/null || skip "Go >= 1.26 is not installed"
export GOTOOLCHAIN=local CGO_ENABLED=$cgo GOFLAGS=
go=$(go env GOVERSION) || skip "go does not run"
[ "$(printf '%s\n' go1.26 "$go" | sort -V | head -n 1)" = go1.26 ] || skip "Go >= 1.26 is needed, this is $go"

# Kubernetes is published with its own modules replaced by folders, which nobody else has: their releases stand in.
name_kubernetes_modules() {
  local mod=$work/kubernetes.mod
  cp "$(go mod download -json "$module@v$version" | sed -n 's/^\t"GoMod": "\(.*\)",\?$/\1/p')" "$mod"
  go mod edit -go=1.24.0 -godebug=default=go1.24
  sed -n 's|^\t*\(replace \)\?\(k8s.io/[^ ]*\) => ./staging/src/.*|\2|p' "$mod" | while read -r part; do
    go mod edit "-replace=$part=$part@v0.${version#1.}"
  done
}

# The same module, with the one line taken out that makes the key.
take_key_out() {
  local key='"cap_last_cap":' file=pkg/sentry/fsimpl/proc/tasks_sys.go
  cp -r "$(go mod download -json "$module@v$version" | sed -n 's/^\t"Dir": "\(.*\)",\?$/\1/p')" lacking
  chmod -R u+w lacking
  grep -q "$key" "lacking/$file"
  sed -i "/$key/d" "lacking/$file"
  go mod edit "-replace=$module=./lacking"
}

# A copy of the module itself, whose sums are of versions that no sum database has, and its program in C.
build_crio() {
  cp -r "$(go mod download -json "$module@v$version" | sed -n 's/^\t"Dir": "\(.*\)",\?$/\1/p')" "$work/module"
  chmod -R u+w "$work/module"
  cd "$work/module"
  go build "${flags[@]}" -o "$work/built/" "${packages[@]}"
  gcc -O2 -o "$work/built/pinns" pinns/src/*.c
}

build() {
  # A module of our own, with its versions in its go.mod.
  [ "$name" != node-client ] || { go build -C "$module" -o "$work/built/" .; return; }
  [ "$name" != crio ] || { build_crio; return; }
  cd "$work"
  go mod init bed
  case $name in
    kubelet | kube-apiserver | kube-controller-manager | kube-scheduler | kubectl) name_kubernetes_modules ;;
    runsc-lacking) take_key_out ;;
  esac
  local package
  for package in "${packages[@]}"; do go get -tool "$package@v$version"; done
  go build "${flags[@]}" -o "$work/built/" "${packages[@]}"
  # Its package is called server.
  [ "$name" != etcd ] || mv "$work/built/server" "$work/built/etcd"
}

folder=$cache/$go-$(go env GOARCH)
program=$folder/${name%-lacking}
if [ ! -x "$program" ]; then
  [ "$cgo" = 0 ] || pkg-config --exists libseccomp || skip "libseccomp-dev and pkg-config are needed to build it"
  echo "tools: building $name $version with $go" >&2
  mkdir -p "$folder"
  # On the cache's file system, so that what was built can be renamed into its place.
  work=$(mktemp -d "$cache/build.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  mkdir "$work/built"
  # A process of its own: in `build || ...` errors inside would not end it.
  (set -e; build) > "$work/log" 2>&1 &
  wait $! || { cat "$work/log" >&2; exit 1; }
  # Renamed when whole, the one that is looked for last: an interrupted build is never taken for a finished one.
  find "$work/built" -type f ! -name "${program##*/}" -exec mv -t "$folder" {} +
  mv "$work/built/${program##*/}" "$folder/"
fi
echo "$program"
