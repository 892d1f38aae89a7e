#!/bin/bash
# Unpack a program of Debian 12's, with what it needs of other packages, and print its path: debian.sh NAME
#   docker (prints dockerd's; docker, containerd and its shim lie in usr/bin), podman, lxcfs, proot,
#   bubblewrap, ping, postgresql, redis, chromium
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
  bubblewrap)
    version=0.8.0 program=usr/bin/bwrap
    packages=(bubblewrap)
    ;;
  ping)
    version=20221126 program=bin/ping
    packages=(iputils-ping)
    ;;
  # Its security updates are minor versions of it.
  postgresql)
    version=15 program=usr/lib/postgresql/15/bin/postgres
    packages=(postgresql-15 libpq5)
    ;;
  redis)
    version=7.0.15 program=usr/bin/redis-server
    packages=(redis-server redis-tools libjemalloc2 liblzf1)
    ;;
  # Of no version for long: whatever there is. 130 MB.
  chromium)
    version=any program=usr/lib/chromium/chromium
    packages=(chromium)
    ;;
  *)
    echo "debian: unknown program '$name', expected docker, podman, lxcfs, proot, bubblewrap, ping, postgresql, redis or" \
      "chromium" >&2
    exit 2
    ;;
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
  # Without the epoch, which is no version.
  case $version:${found#*:} in
    any:?* | "$version:$version"[.+-]*) ;;
    *) skip "needs Debian 12's package $package, this machine's is ${found:-none}" ;;
  esac
  # And what else this machine lacks of it.
  [ "$version" != any ] || mapfile -t packages < <(
    echo "$package"
    apt-get install --simulate --no-install-recommends "$package" 2> /dev/null |
      sed -n 's/^Inst \([^ ]*\) .*/\1/p' | grep -vxF "$package"
  )
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
