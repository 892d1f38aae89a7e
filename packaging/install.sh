#!/bin/sh
# Install what lies beside this, or remove what was installed: [PREFIX=/usr/local] [DESTDIR=] install.sh install|uninstall
# What is installed, and which folders were made for it, stands in PREFIX/share/procemu/installed.
set -eu
here=$(dirname "$(readlink -f "$0")")
export LC_ALL=C
prefix=${PREFIX:-/usr/local} root=${DESTDIR:-}
case $prefix in
  /*) ;;
  *) echo "install: PREFIX is '$prefix', expected an absolute path such as /usr/local" >&2; exit 2 ;;
esac
list=$prefix/share/procemu/installed

# folder PATH: makes it, and those above it that are not there.
folder() {
  [ ! -d "$root$1" ] || return 0
  [ -z "${1%/*}" ] || folder "${1%/*}"
  mkdir "$root$1"
  chmod 755 "$root$1"
  echo "$1/" >> "$new"
}

# put MODE FILE PATH: what is there already is replaced at once, so that nobody finds half of it: containers may be starting.
put() {
  folder "${3%/*}"
  install -m "$1" "$here/$2" "$root${3%/*}/.${3##*/}.new"
  mv "$root${3%/*}/.${3##*/}.new" "$root$3"
  echo "$3" >> "$new"
}

# all MODE FOLDER PATH: all files below.
all() {
  (cd "$here/$2" && find . -type f | sort) > "$work/files"
  while read -r file; do put "$1" "$2/${file#./}" "$3/${file#./}"; done < "$work/files"
}

install_all() {
  [ -z "$root" ] || mkdir -p "$root"
  put 755 bin/nsprep "$prefix/bin/nsprep"
  # Nobody but root has to read it: docs/security.md.
  put 711 bin/runtime-bridge "$prefix/bin/runtime-bridge"
  for section in 1 5; do
    for page in "$here/man/"*".$section"; do put 644 "man/${page##*/}" "$prefix/share/man/man$section/${page##*/}"; done
  done
  for program in nsprep runtime-bridge; do
    put 644 "completions/bash/$program.bash" "$prefix/share/bash-completion/completions/$program"
  done
  all 644 completions/zsh "$prefix/share/zsh/${ZSH_FOLDER:-site-functions}"
  all 644 completions/fish "$prefix/share/fish/vendor_completions.d"
  all 644 profiles "$prefix/share/procemu/profiles"
  all 644 doc "$prefix/share/doc/procemu"
  folder "${list%/*}"
  # What an earlier version made is still ours.
  [ ! -e "$root$list" ] || cat "$root$list" >> "$new"
  echo "$list" >> "$new"
  sort -u "$new" > "$work/sorted"
  install -m 644 "$work/sorted" "$root$list"
}

uninstall_all() {
  [ -e "$root$list" ] || { echo "uninstall: nothing is installed in $root$prefix: $root$list is not there" >&2; exit 1; }
  # Below DESTDIR nothing runs.
  [ -n "$root" ] || sh "$here/in-use.sh" "$prefix/bin"
  # Folders stand before what is in them.
  sort -r "$root$list" > "$work/sorted"
  while read -r path; do
    case $path in
      */) rmdir "$root$path" 2> /dev/null || true ;;
      *) rm -f "$root$path" ;;
    esac
  done < "$work/sorted"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
new=$work/new
: > "$new"
case ${1:-} in
  install) install_all ;;
  uninstall) uninstall_all ;;
  *) echo "install: expected install or uninstall, got '${1:-}'" >&2; exit 2 ;;
esac
