#!/bin/sh
# Install what lies beside this, or remove what was installed: [PREFIX=/usr/local] [DESTDIR=] install.sh install|uninstall
# What is installed, and which folders were made for it, stands in PREFIX/share/procemu/installed: from before it is there until it is gone,
# so that what was ended in the middle can be begun again, or taken away.
set -eu
here=$(dirname "$(readlink -f "$0")")
export LC_ALL=C
# Whatever the caller's: nobody else writes to what says what is to be removed, and all find what is installed.
umask 022
prefix=${PREFIX:-/usr/local} root=${DESTDIR:-}
case $prefix in
  /*) ;;
  *) echo "install: PREFIX is '$prefix', expected an absolute path such as /usr/local" >&2; exit 2 ;;
esac
list=$prefix/share/procemu/installed

# note PATH: it is ours.
note() {
  echo "$1" >> "$new"
  [ ! -d "$root${list%/*}" ] || echo "$1" >> "$root$list"
}

# folder PATH: makes it, and those above it that are not there.
folder() {
  [ ! -d "$root$1" ] || return 0
  [ -z "${1%/*}" ] || folder "${1%/*}"
  # Another one may be installing.
  mkdir "$root$1" 2> /dev/null || [ -d "$root$1" ] || mkdir "$root$1"
  note "$1/"
}

# put MODE FILE PATH: what is there already is replaced at once, so that nobody finds half of it: containers may be starting. Nobody else
# writes to the file that replaces it.
put() {
  folder "${3%/*}"
  note "$3"
  install -m "$1" "$2" "$root${3%/*}/.${3##*/}.new.$$"
  mv "$root${3%/*}/.${3##*/}.new.$$" "$root$3"
}

# all MODE FOLDER PATH: all files below.
all() {
  (cd "$here/$2" && find . -type f | sort) > "$work/files"
  while read -r file; do put "$1" "$here/$2/${file#./}" "$3/${file#./}"; done < "$work/files"
}

install_all() {
  [ -z "$root" ] || mkdir -p "$root"
  folder "${list%/*}"
  cat "$new" >> "$root$list"
  put 755 "$here/bin/nsprep" "$prefix/bin/nsprep"
  # Nobody but root has to read it: docs/security.md.
  put 711 "$here/bin/runtime-bridge" "$prefix/bin/runtime-bridge"
  for section in 1 5; do
    for page in "$here/man/"*".$section"; do put 644 "$page" "$prefix/share/man/man$section/${page##*/}"; done
  done
  for program in nsprep runtime-bridge; do
    put 644 "$here/completions/bash/$program.bash" "$prefix/share/bash-completion/completions/$program"
  done
  all 644 completions/zsh "$prefix/share/zsh/${ZSH_FOLDER:-site-functions}"
  all 644 completions/fish "$prefix/share/fish/vendor_completions.d"
  all 644 profiles "$prefix/share/procemu/profiles"
  all 644 doc "$prefix/share/doc/procemu"
  # What an earlier version made is still ours.
  { cat "$root$list" "$new" && echo "$list"; } | sort -u > "$work/sorted"
  put 644 "$work/sorted" "$list"
}

uninstall_all() {
  [ -e "$root$list" ] || { echo "uninstall: nothing is installed in $root$prefix: $root$list is not there" >&2; exit 1; }
  # Below DESTDIR nothing runs.
  [ -n "$root" ] || sh "$here/in-use.sh" "$prefix/bin"
  # Folders stand before what is in them.
  sort -ru "$root$list" > "$work/sorted"
  while IFS= read -r path; do
    case $path in
      */ | "$list") ;;
      *) rm -f "$root$path" "$root${path%/*}/.${path##*/}.new."* ;;
    esac
  done < "$work/sorted"
  rm -f "$root$list" "$root${list%/*}/.${list##*/}.new."*
  while IFS= read -r path; do
    case $path in */) rmdir "$root$path" 2> /dev/null || true ;; esac
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
