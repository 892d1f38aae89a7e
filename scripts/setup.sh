#!/bin/bash
# Install what `make lint` and `make test` need and this machine lacks: setup.sh [lint|test|fuzz|bench|gvisor|engines|profiles]...
# A thing that is already there costs nothing; a thing that cannot be had is said so, and the tests that need it are skipped.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")

# command:package, for the commands the tests and the build call
tools=(gcc:gcc pkg-config:pkg-config runc:runc crun:crun busybox:busybox-static strace:strace sysctl:procps openssl:openssl
  ip:iproute2 jq:jq prove:perl strip:binutils man:man-db groff:groff-base mandoc:mandoc zsh:zsh fish:fish lintian:lintian)
# header or file:package, for what has no command
files=(/usr/include/stdlib.h:libc6-dev /usr/include/seccomp.h:libseccomp-dev /usr/lib/cni/bridge:containernetworking-plugins)

missing_packages() {
  local pair
  for pair in "${tools[@]}"; do
    PATH=$PATH:/usr/sbin:/sbin command -v "${pair%%:*}" > /dev/null || echo "${pair##*:}"
  done
  for pair in "${files[@]}"; do
    [ -e "${pair%%:*}" ] || echo "${pair##*:}"
  done
}

install_packages() {
  local missing
  mapfile -t missing < <(missing_packages)
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
    echo "setup: missing packages, install them by hand (needs root and apt-get): ${missing[*]}" >&2
    return 0
  fi
  echo "setup: installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  # A package list may be absent or older than the archive: the first try decides whether it has to be fetched.
  apt-get install -qq -y --no-install-recommends "${missing[@]}" > /dev/null 2>&1 || {
    apt-get update -qq || true
    apt-get install -qq -y --no-install-recommends "${missing[@]}" > /dev/null ||
      echo "setup: apt-get cannot install ${missing[*]}" >&2
  }
}

install_cargo_deny() {
  local version=0.20.2
  [ "$(cargo deny --version 2> /dev/null)" = "cargo-deny $version" ] && return 0
  echo "setup: installing cargo-deny $version (about 3 minutes of CPU)"
  cargo install --quiet --locked --version "$version" cargo-deny
}

install_cargo_fuzz() {
  local version=0.13.2
  [ "$(cargo fuzz --version 2> /dev/null)" = "cargo-fuzz $version" ] && return 0
  echo "setup: installing cargo-fuzz $version (about 1 minute of CPU)"
  cargo install --quiet --locked --version "$version" cargo-fuzz
}

for part in "${@:-test}"; do
  case $part in
    lint) install_cargo_deny ;;
    fuzz)
      # libFuzzer is C++.
      tools+=(g++:g++)
      install_packages
      install_cargo_fuzz
      ;;
    test)
      # One command each: in `a && b` errors inside a would not end the script.
      install_packages
      "$here/tools.sh" runc > /dev/null
      # 19 MB, once.
      for program in bubblewrap ping postgresql redis; do "$here/debian.sh" "$program" > /dev/null; done
      ;;
    # What we are compared with.
    bench) for program in lxcfs proot; do "$here/debian.sh" "$program" > /dev/null; done ;;
    gvisor)
      for tool in runsc runsc-lacking containerd kubelet etcd kube-apiserver kubectl node-client; do
        "$here/tools.sh" "$tool" > /dev/null
      done
      "$here/debian.sh" docker > /dev/null
      ;;
    engines)
      for tool in containerd crio kubelet etcd kube-apiserver kube-controller-manager kube-scheduler kubectl node-client; do
        "$here/tools.sh" "$tool" > /dev/null
      done
      for program in docker podman; do "$here/debian.sh" "$program" > /dev/null; done
      "$here/youki.sh" > /dev/null
      ;;
    # 150 MB, once.
    profiles) for program in chromium podman; do "$here/debian.sh" "$program" > /dev/null; done ;;
    *) echo "setup: unknown part '$part', expected lint, test, fuzz, bench, gvisor, engines or profiles" >&2; exit 2 ;;
  esac
done
