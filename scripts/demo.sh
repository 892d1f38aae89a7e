#!/bin/bash
# Show a program, a crun and a runc container that die of a /proc that lacks a key, and the same three with us.
# It all happens in a mount namespace of its own; the machine's /proc stays as it is.
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

if [ "${1:-}" != --inside ]; then
  [ "$(id -u)" = 0 ] || { echo "demo: needs root, for a mount namespace and for containers"; exit 1; }
  cargo=${CARGO:-cargo}
  $cargo build --workspace --locked || { echo "demo: the workspace does not build"; exit 1; }
  target=$($cargo metadata --format-version 1 --no-deps --locked | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
  # runc 1.5.2 where it could be built; else the distribution's.
  RUNC=$(scripts/tools.sh runc 2> /dev/null)
  BED=$(mktemp -d /tmp/procemu-demo.XXXXXX)
  # By now what was mounted there is gone with the namespace.
  trap 'rm -rf --one-file-system "$BED"' EXIT
  RUNC=${RUNC:-runc} BED=$BED PATH=$target/debug:$PATH:/usr/sbin:/sbin \
    unshare --mount --propagation slave scripts/demo.sh --inside
  exit
fi

. tests/support/lib.sh
LACKING=kernel/cap_last_cap
VALUE=$(cat /proc/sys/$LACKING)
ID=procemu-demo-$$
BRIDGE=runtime-bridge
CONFIG=$BED/bridge.toml
echo "state_dir = \"$BED/bridge-state\"" > "$CONFIG"

# bundle NAME KEY MOUNT NAMESPACE SYSCTL: a busybox container that prints KEY, its /proc protected as usual.
bundle() {
  mkdir -p "$BED/$1"/rootfs/{bin,proc,dev}
  cp "$(command -v busybox)" "$BED/$1/rootfs/bin/sh"
  ln "$BED/$1/rootfs/bin/sh" "$BED/$1/rootfs/bin/cat"
  cat > "$BED/$1/config.json" << JSON
{
  "ociVersion": "1.0.2",
  "process": {
    "user": { "uid": 0, "gid": 0 },
    "args": ["sh", "-c", "echo the container runs, $2 is \$(cat /proc/sys/$2)"],
    "env": ["PATH=/bin"],
    "cwd": "/",
    "capabilities": { "bounding": ["CAP_KILL"], "effective": ["CAP_KILL"], "permitted": ["CAP_KILL"] },
    "noNewPrivileges": true
  },
  "root": { "path": "rootfs" },
  "mounts": [
    { "destination": "/proc", $3 },
    { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"] }
  ],
  "linux": {
    "namespaces": [$4{ "type": "pid" }, { "type": "ipc" }, { "type": "uts" }, { "type": "mount" }],
    "sysctl": {$5},
    "cgroupsPath": "/$ID",
    "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug"]
  }
}
JSON
}

# A container whose own /proc lacks the key too. On plain Linux a new procfs would have it.
deprived_bundle() {
  bundle "$1" "$LACKING" "\"type\": \"bind\", \"source\": \"$BED/deprived\", \"options\": [\"rbind\"]" '' ''
}

# A container that asks for a sysctl that no kernel has.
sysctl_bundle() {
  bundle "$1" net/ipv4/nosuchkey '"type": "proc", "source": "proc"' '{ "type": "network" }, ' \
    '"net.ipv4.nosuchkey": "1"'
}

# The last line of what a command said, without runc's time, level and quotes.
last() { grep . <<< "$1" | tail -n 1 | sed -E 's/^time="[^"]*" level=[a-z]* msg="(.*)"$/\1/; s/\\"/"/g'; }

cured=0
failed=()

# show NAME REASON WANTED BARE WITH: `bare`, shown as BARE, has to fail and say REASON (a pattern); `with`, shown as WITH,
# has to succeed and print WANTED.
show() {
  local said status=0
  said=$(bare 2>&1 < /dev/null) || status=$?
  printf '   without  %s\n            exit %s: %s\n' "$4" "$status" "$(last "$said")"
  if [ "$status" = 0 ] || ! grep -q -- "$2" <<< "$said"; then
    echo "   NOT SHOWN, it should have failed with: $2"
    failed+=("$1")
    return
  fi
  status=0
  said=$(with 2>&1 < /dev/null) || status=$?
  printf '   with     %s\n            exit %s: %s\n' "$5" "$status" "$(last "$said")"
  if [ "$status" = 0 ] && [ "$said" = "$3" ]; then
    cured=$((cured + 1))
  else
    echo "   NOT CURED, it should have printed: $3"
    failed+=("$1")
  fi
}

deprived_proc deprived "$LACKING"
deprive /proc "$LACKING"
echo
echo "Here /proc/sys/$LACKING is missing, as in some sandboxes, also in the containers."

printf '\n1. a program\n'
bare() { sysctl -n kernel.cap_last_cap; }
with() { nsprep exec -- sysctl -n kernel.cap_last_cap; }
show program "$LACKING: No such file or directory" "$VALUE" \
  "sysctl -n kernel.cap_last_cap" "nsprep exec -- sysctl -n kernel.cap_last_cap"

NAME=crun
RUNTIME=crun
bare() { run rt "$NAME"; }
with() { run wrapped "$NAME"; }
hide_unified
deprived_bundle "$NAME"
printf '\n2. a container, %s\n' "$(crun --version 2>&1 | head -n 1)"
show crun "open /proc/sys/$LACKING: No such file or directory" "the container runs, $LACKING is $VALUE" \
  "crun run ID" "runtime-bridge runtime --exec crun -- run ID"

NAME=runc
RUNTIME=$RUNC
deprived_bundle "$NAME"
printf '\n3. a container, %s' "$("$RUNC" --version 2>&1 | head -n 1)"
why="open /proc/sys/$LACKING: no such file or directory"
key="$LACKING is $VALUE"
if bare > /dev/null 2>&1 < /dev/null; then
  # runc before 1.2 does without this key.
  printf ', whose linux.sysctl has net.ipv4.nosuchkey = 1'
  rm -r "${BED:?}/$NAME"
  sysctl_bundle "$NAME"
  why="net/ipv4/nosuchkey: no such file or directory"
  key="net/ipv4/nosuchkey is 1"
fi
echo
show runc "$why" "the container runs, $key" "runc run ID" "runtime-bridge runtime --exec runc -- run ID"

echo
total=$((cured + ${#failed[@]}))
if [ ${#failed[@]} = 0 ]; then
  echo "demo: $cured of $total cured"
else
  echo "demo: $cured of $total cured, not: ${failed[*]}"
  exit 1
fi
