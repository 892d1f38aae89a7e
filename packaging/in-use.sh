#!/bin/sh
# Whether the runtime-bridge in FOLDER may go: in-use.sh FOLDER. It may not while an engine is told of it, since then no container would
# start, nor while a link leads to it, since containers that run may have been made by that link and are stopped by it.
set -e
folder=$1 program=$1/runtime-bridge
refuse() {
  echo "runtime-bridge cannot go: $1" >&2
  echo "$2" >&2
  exit 1
}
# A line for each engine: `docker: FILE: PROGRAM, for all containers`, that it is told of nothing, or why its file is not understood.
said=$("$program" status 2> /dev/null || true)
lines() {
  echo "$said" | while IFS= read -r line; do
    case $line in
      '' | "not installed: "* | *": not installed") ;;
      *", for all containers"* | *", for those that ask for it"*)
        path=${line%, for *}
        path=${path##*: }
        case $path in "$folder"/*) is_ours=yes ;; *) [ ! "$path" -ef "$program" ] || is_ours=yes ;; esac
        [ "$1" != told ] || [ -z "${is_ours:-}" ] || echo "$line"
        is_ours=
        ;;
      *) [ "$1" != unknown ] || echo "$line" ;;
    esac
  done
}
told=$(lines told)
[ -z "$told" ] || refuse "engines start containers by it. \`runtime-bridge uninstall\` takes it out of:" "$told"
unknown=$(lines unknown)
[ -z "$unknown" ] ||
  refuse "it cannot be told whether engines start containers by it. Mend these files, or remove them:" "$unknown"
links=$(find -H "$folder" /usr/bin /usr/sbin /usr/local/bin /usr/local/sbin -maxdepth 1 -type l 2> /dev/null | sort -u |
  while IFS= read -r link; do [ ! "$link" -ef "$program" ] || echo "$link"; done)
[ -z "$links" ] ||
  refuse "containers may run that were made by these links, and could not be stopped. Remove them when none is left:" "$links"
