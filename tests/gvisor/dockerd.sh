# Functions for dockerd inside a gVisor sandbox; lib.sh comes before. $TREE is what scripts/debian.sh unpacked for it, $RUNC and
# $OLD_RUNC are runc 1.5.2 and 1.1.5. Everything lies in $ENGINE, a folder that the sandbox keeps to itself.
ENGINE=/run/engine
export DOCKER_HOST=unix://$ENGINE/sock

# dockerd_up RUNTIME [PREFIX...]: starts it, by way of PREFIX and with RUNTIME as default, and makes the image `box`.
dockerd_up() {
  local runtime=$1 applet
  shift
  mkdir -p "$ENGINE/bin" "$ENGINE/root/bin"
  export PATH=$ENGINE/bin:$TREE/usr/sbin:$TREE/usr/bin:$PATH LD_LIBRARY_PATH
  LD_LIBRARY_PATH=$(echo "$TREE"/usr/lib/*-linux-gnu)
  cgroup_v1
  # The wrapper looks for the runtime whose name is the rest of its own.
  ln -s "$RUNC" "$ENGINE/bin/runc"
  cat > "$ENGINE/daemon.json" << JSON
{
  "runtimes": {
    "bare": { "path": "$RUNC" },
    "bare-old": { "path": "$OLD_RUNC" },
    "procemu-old": { "path": "$BRIDGE", "runtimeArgs": ["runtime", "--exec", "$OLD_RUNC", "--"] }
  },
  "default-runtime": "${runtime/procemu/bare}",
  "iptables": false, "ip6tables": false, "bridge": "none", "storage-driver": "vfs",
  "data-root": "$ENGINE/data", "exec-root": "$ENGINE/exec", "pidfile": "$ENGINE/pid", "hosts": ["$DOCKER_HOST"]
}
JSON
  [ "$runtime" != procemu ] || "$BRIDGE" install docker --config "$ENGINE/daemon.json" --as-default > /dev/null
  "$@" dockerd --config-file "$ENGINE/daemon.json" > "$ENGINE/log" 2>&1 &
  wait_for "$ENGINE/sock"
  cp "$(PATH=$PATH:/usr/sbin:/sbin command -v busybox)" "$ENGINE/root/bin/"
  for applet in sh cat sleep find sort true; do ln -s busybox "$ENGINE/root/bin/$applet"; done
  tar -C "$ENGINE/root" -c . | docker import - box > /dev/null
}

# box [OPTION...] -- COMMAND...: runs COMMAND in a new container and prints what it says.
box() {
  local options=()
  while [ "$1" != -- ]; do options+=("$1"); shift; done
  shift
  docker run --rm --network none "${options[@]}" box "$@"
}

# refused [OPTION...] -- COMMAND...: what docker says when it fails.
refused() { ! box "$@" 2>&1; }

# lacking_keys: what the log says of keys that are not there.
lacking_keys() { sed -n 's|.*open \(/proc/sys/[^:]*\): no such file or directory.*|\1|p; s|.*file does not exist: \(/proc/sys/[^ ]*\) .*|\1|p' "$ENGINE/log" | sort -u; }
