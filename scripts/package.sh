#!/bin/bash
# Make a package and print where it is: package.sh tree|tarball|deb [--programs FOLDER] [--writer PROGRAM] [--output FOLDER]
#   tree     what is installed, and install.sh for it
#   tarball  the same as one file
#   deb      the same as a Debian package; by dpkg-deb, which takes the tree that install.sh makes: no second list of files
# The programs are the static ones, unless FOLDER has others. PROGRAM is procemu-packaging, where that is built already. $DPKG_DEB has more
# options for dpkg-deb.
# The same sources and programs give the same package, byte for byte; its times are that of the last commit.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
kind=${1:-} programs='' writer='' output=$PWD/target/packages
usage() { echo "package: expected tree, tarball or deb, and --programs, --writer, --output with a path, got '$1'" >&2; exit 2; }
case $kind in tree | tarball | deb) shift ;; *) usage "$kind" ;; esac
while [ $# -gt 0 ]; do
  [ $# -ge 2 ] || usage "$1"
  case $1 in
    --programs) programs=$(readlink -f "$2") ;;
    --writer) writer=$(readlink -f "$2") ;;
    --output) mkdir -p "$2" && output=$(readlink -f "$2") ;;
    *) usage "$1" ;;
  esac
  shift 2
done
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2> /dev/null || stat --format=%Y CHANGELOG.md)}
export SOURCE_DATE_EPOCH LC_ALL=C
umask 022
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"$/\1/p' Cargo.toml)
name=procemu-$version-$(uname -m)-linux
tree=$output/$name
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# write ARGS...: the program that writes manual pages and completions.
write() { if [ -n "$writer" ]; then "$writer" "$@"; else ${CARGO:-cargo} run --quiet --locked --package procemu-packaging -- "$@"; fi; }

make_tree() {
  [ -n "$programs" ] || programs=$(scripts/static.sh --release)
  rm -rf "$tree"
  mkdir -p "$tree/bin" "$tree/doc/examples"
  install -m 755 "$programs/nsprep" "$programs/runtime-bridge" "$tree/bin"
  install -m 755 packaging/install.sh packaging/in-use.sh "$tree"
  write files "$tree" --date "$(date --utc --date="@$SOURCE_DATE_EPOCH" +%F)"
  mv "$tree/bridge.toml" "$tree/doc/examples/bridge.toml"
  cp README.md CHANGELOG.md LICENSE LICENSE-APACHE LICENSE-MIT "$tree/doc"
  cp -r docs "$tree/doc/docs"
  scripts/third-party.sh > "$tree/doc/third-party.txt"
}

make_tarball() {
  tar --create --directory="$output" --sort=name --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX --format=ustar \
    --mtime="@$SOURCE_DATE_EPOCH" "$name" | gzip --best --no-name > "$work/tarball"
  mv "$work/tarball" "$tree.tar.gz"
}

make_deb() {
  local architecture revision=$version-1 root=$work/root doc=$work/root/usr/share/doc/procemu maintainer
  command -v dpkg-deb > /dev/null || { echo "package: deb needs dpkg-deb, of Debian's package dpkg" >&2; exit 1; }
  architecture=$(dpkg --print-architecture)
  maintainer="${DEBFULLNAME:-The procemu authors} <${DEBEMAIL:-maintainers@procemu.invalid}>"
  mkdir -m 755 "$root"
  DESTDIR=$root PREFIX=/usr ZSH_FOLDER=vendor-completions "$tree/install.sh" install
  # The package manager knows what is installed.
  rm "$root/usr/share/procemu/installed"
  # As Debian has it.
  rm "$doc"/LICENSE*
  mv "$doc/CHANGELOG.md" "$doc/changelog"
  printf 'procemu (%s) unstable; urgency=medium\n\n  * New version: see changelog.gz.\n\n -- %s  %s\n' \
    "$revision" "$maintainer" "$(date --utc --date="@$SOURCE_DATE_EPOCH" --rfc-email)" > "$doc/changelog.Debian"
  gzip --best --no-name "$root"/usr/share/man/man?/* "$doc"/changelog* "$doc/third-party.txt"
  { cat packaging/debian/copyright && sed 's/^$/./; s/^/ /' LICENSE-MIT; } > "$doc/copyright"
  install -D -m 644 packaging/debian/lintian-overrides "$root/usr/share/lintian/overrides/procemu"
  install -D -m 644 "$tree/doc/examples/bridge.toml" "$root/etc/procemu/bridge.toml"
  mkdir "$root/DEBIAN"
  (cd "$root" && find usr etc -type f -print0 | sort -z | xargs -0 md5sum) > "$work/md5sums"
  sed -e "s/@VERSION@/$revision/; s/@ARCHITECTURE@/$architecture/; s/@MAINTAINER@/$maintainer/" \
    -e "s/@SIZE@/$(du --summarize --apparent-size --block-size=1024 "$root" | cut -f 1)/" \
    packaging/debian/control > "$root/DEBIAN/control"
  install -m 644 "$work/md5sums" "$root/DEBIAN/md5sums"
  echo /etc/procemu/bridge.toml > "$root/DEBIAN/conffiles"
  {
    sed -n 1p packaging/in-use.sh
    printf '[ "$1" = remove ] || exit 0\nset -- /usr/bin\n'
    sed 1d packaging/in-use.sh
  } > "$root/DEBIAN/prerm"
  cp packaging/debian/postrm "$root/DEBIAN/postrm"
  chmod 755 "$root/DEBIAN/prerm" "$root/DEBIAN/postrm"
  find "$root" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
  dpkg-deb --root-owner-group ${DPKG_DEB:-} --build "$root" "$work/deb" > /dev/null
  mv "$work/deb" "$output/procemu_${revision}_$architecture.deb"
  deb=$output/procemu_${revision}_$architecture.deb
}

make_tree
case $kind in
  tree) echo "$tree" ;;
  tarball) make_tarball && echo "$tree.tar.gz" ;;
  deb) make_deb && echo "$deb" ;;
esac
