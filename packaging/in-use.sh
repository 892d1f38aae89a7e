#!/bin/sh
# Whether the runtime-bridge in FOLDER may go: in-use.sh FOLDER. It may not while an engine is told of it, since then no container would
# start, nor while a link leads to it, since containers that run may have been made by that link and are stopped by it.
set -e
folder=$1
told=$("$folder/runtime-bridge" status 2> /dev/null | grep -F ": $folder/" || true)
if [ -n "$told" ]; then
  echo "runtime-bridge cannot go: engines start containers by it. \`runtime-bridge uninstall\` takes it out of:" >&2
  echo "$told" >&2
  exit 1
fi
links=$(find "$folder" /usr/bin /usr/sbin /usr/local/bin /usr/local/sbin -maxdepth 1 -type l 2> /dev/null | sort -u |
  while read -r link; do [ ! "$link" -ef "$folder/runtime-bridge" ] || echo "$link"; done)
if [ -n "$links" ]; then
  echo "runtime-bridge cannot go: containers may run that were made by these links, and could not be stopped. Remove them when none is left:" >&2
  echo "$links" >&2
  exit 1
fi
