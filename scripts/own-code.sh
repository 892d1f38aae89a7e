#!/bin/bash
# What no compiler refuses of our own sources: unsafe code outside procemu/src/sys.rs (the lint can be allowed away anywhere), a crate
# without the workspace's lints, and build scripts.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
failed=0
refuse() { # WHAT [LINES]
  [ -z "$2" ] || { printf 'own-code: %s:\n%s\n' "$1" "$2"; failed=1; }
}
sources() { git ls-files --cached --others --exclude-standard "$@" | while read -r file; do [ ! -e "$file" ] || echo "$file"; done; }

mapfile -t rust < <(sources '*.rs' ':!procemu/src/sys.rs')
# Comments may speak of it.
refuse "unsafe is for procemu/src/sys.rs alone" \
  "$(grep --line-number --extended-regexp 'unsafe_code|\bunsafe\s*([({]|(fn|impl|trait|extern)\b|$)' "${rust[@]}" |
    grep --invert-match --extended-regexp '^[^:]+:[0-9]+:(\s*//|#!\[forbid\(unsafe_code\)\]$)' || true)"
refuse "a lint is allowed in sys.rs that is to hold there" \
  "$(grep --line-number 'undocumented_unsafe_blocks' procemu/src/sys.rs || true)"
mapfile -t manifests < <(sources 'Cargo.toml' '*/Cargo.toml' ':!fuzz/Cargo.toml')
refuse "no [lints] workspace = true" "$(grep --files-without-match --null-data --perl-regexp '\[lints\]\nworkspace = true' "${manifests[@]}" || true)"
refuse "build scripts run before any review of what they build" \
  "$(for manifest in "${manifests[@]}"; do sources "$(dirname "$manifest")/build.rs"; done; grep --line-number --extended-regexp '^(build|links) *=' "${manifests[@]}" || true)"
exit "$failed"
