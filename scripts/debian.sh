#!/bin/bash
# Unpack a program of Debian 12's, with what it needs of other packages, and print its path: debian.sh NAME
#   docker (prints dockerd's; docker, containerd and its shim lie in usr/bin), podman, lxcfs, proot
# Unpacked and not installed: the packages' scripts would start it on this machine, and add groups and services. What is
# printed lies in a tree as the packages have it (usr, etc), to be laid over the machine's own in a mount namespace. Where it
# cannot be had this says so and succeeds.
set -euo pipefail
name=${1:-}
# What netavark and dockerd call, without the links that an installation makes.
iptables=(iptables libip4tc2 libip6tc2 libmnl0 libnetfilter-conntrack3 libnfnetlink0 libnftnl11 libxtables12)
case $name in
  docker)
    version=20.10.24 program=usr/sbin/dockerd
    packages=(docker.io containerd libdevmapper1.02.1 "${iptables[@]}")
    ;;
  podman)
    version=4.3.1 program=usr/bin/podman
    packages=(podman aardvark-dns catatonit conmon netavark golang-github-containers-common golang-github-containers-image libassuan0 libgpgme11
      libslirp0 libsubid4 slirp4netns uidmap "${iptables[@]}")
    ;;
  lxcfs)
    version=5.0.3 program=usr/bin/lxcfs
    packages=(lxcfs libfuse3-3)
    ;;
  proot)
    version=5.1.0 program=usr/bin/proot
    packages=(proot libtalloc2)
    ;;
  *) echo "debian: unknown program '$name', expected docker, podman, lxcfs or proot" >&2; exit 2 ;;
esac
skip() { echo "debian: skipped $name $version: $*" >&2; exit 0; }

folder=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/procemu/$name-$version/debian-12
if [ ! -x "$folder/$program" ]; then
  package=${packages[0]}
  command -v apt-get > /dev/null || skip "needs apt-get, to download Debian 12's package $package"
  candidate() { apt-cache policy "$package" | sed -n 's/^ *Candidate: //p'; }
  found=$(candidate)
  if [ -z "$found" ] && [ "$(id -u)" = 0 ]; then
    apt-get update -qq || true
    found=$(candidate)
  fi
  case $found in
    "$version"[+-]*) ;;
    *) skip "needs Debian 12's package $package, this machine's is ${found:-none}" ;;
  esac
  echo "debian: unpacking $package $found" >&2
  mkdir -p "${folder%/*}"
  work=$(mktemp -d "${folder%/*}/unpack.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  cd "$work"
  apt-get download -qq -o APT::Sandbox::User=root "${packages[@]}" > log 2>&1 ||
    skip "it cannot be downloaded: $(head -n 1 log)"
  for file in ./*.deb; do dpkg-deb --extract "$file" root; done
  # tools.sh builds a newer one, which asks this containerd too.
  rm -f root/usr/bin/ctr
  # Renamed when whole: an interrupted unpacking is never taken for a finished one.
  rm -rf "$folder"
  mv root "$folder"
fi
echo "$folder/$program"
