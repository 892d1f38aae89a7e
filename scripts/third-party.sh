#!/bin/bash
# Print what the programs contain of other people's libraries: each with its licence, then the texts, which have to go with them.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
registry=${CARGO_HOME:-$HOME/.cargo}/registry/src
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Those of a path are our own. A library is named again where it is needed again, marked with (*).
${CARGO:-cargo} tree --locked --package nsprep --package runtime-bridge --edges normal,no-proc-macro --prefix none --format '{p}|{l}' |
  sed 's/ (\*)$//' | grep --invert-match ' (/' | LC_ALL=C sort -u > "$work/libraries"
echo "Libraries in the programs nsprep and runtime-bridge:"
echo
sed '/^$/d; s/^/  /; s/|/: /' "$work/libraries"
while IFS='|' read -r library _; do
  [ -n "$library" ] || continue
  shopt -s nullglob nocaseglob
  texts=("$registry"/*/"${library/ v/-}"/{license,licence,copying,copyright,notice,unlicense}*)
  shopt -u nullglob nocaseglob
  # Under a licence that the library names, whose text another one has.
  for text in ${texts[@]+"${texts[@]}"}; do
    [ -f "$text" ] || continue
    sum=$(sha256sum < "$text")
    [ -e "$work/${sum%% *}" ] || { cp "$text" "$work/${sum%% *}"; echo "${sum%% *}" >> "$work/order"; }
    echo "$library" >> "$work/${sum%% *}.of"
  done
done < "$work/libraries"
while read -r sum; do
  printf '\n%s\n\nOf %s:\n\n' "$(printf '=%.0s' {1..80})" "$(sort -u "$work/$sum.of" | paste -sd , | sed 's/,/, /g')"
  cat "$work/$sum"
done < "$work/order"
