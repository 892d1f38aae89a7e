#!/bin/bash
# Unpack Debian 12's dockerd, with docker, containerd and its shim beside it, and print its path.
# Unpacked and not installed: the package's scripts would start it on this machine, and add a group and a service. Where it
# cannot be had this says so and succeeds.
set -euo pipefail
version=20.10.24
skip() { echo "dockerd: skipped dockerd $version: $*" >&2; exit 0; }

folder=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/procemu/dockerd-$version/debian-12
if [ ! -x "$folder/dockerd" ]; then
  command -v apt-get > /dev/null || skip "needs apt-get, to download Debian 12's package docker.io"
  candidate() { apt-cache policy docker.io | sed -n 's/^ *Candidate: //p'; }
  found=$(candidate)
  if [ -z "$found" ] && [ "$(id -u)" = 0 ]; then
    apt-get update -qq || true
    found=$(candidate)
  fi
  case $found in
    "$version"+*) ;;
    *) skip "needs Debian 12's package docker.io, this machine's is ${found:-none}" ;;
  esac
  echo "dockerd: unpacking docker.io $found" >&2
  mkdir -p "$folder"
  work=$(mktemp -d "${folder%/*}/unpack.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  cd "$work"
  apt-get download -qq -o APT::Sandbox::User=root docker.io containerd libdevmapper1.02.1 > log 2>&1 ||
    skip "it cannot be downloaded: $(head -n 1 log)"
  for package in ./*.deb; do dpkg-deb --extract "$package" root; done
  mv root/usr/bin/{docker,containerd,containerd-shim-runc-v2} root/lib/*/libdevmapper.so.1.02.1 "$folder/"
  # The one that is looked for comes last: an interrupted unpacking is never taken for a finished one.
  mv root/usr/sbin/dockerd "$folder/"
fi
echo "$folder/dockerd"
