# Docker on a machine of its own; engine.sh comes before.

docker_up() {
  dockerd >> "$BED/dockerd.log" 2>&1 &
  until_true "dockerd" docker_answers || { tail -n 20 "$BED/dockerd.log" >&2; return 1; }
}

docker_answers() { docker version > /dev/null 2>&1; }

docker_down() {
  local pid
  pid=$(cat /run/docker.pid)
  kill "$pid"
  until_true "the end of dockerd" test ! -e "/proc/$pid"
}

# systemctl COMMAND docker: a machine of its own has none.
systemctl() {
  local said
  case $* in
    "reload docker")
      said=$(reloads)
      kill -HUP "$(cat /run/docker.pid)"
      until_true "the reload" has_reloaded "$said"
      ;;
    "restart docker") docker_down; docker_up ;;
    *) echo "systemctl $*: unknown here" >&2; return 1 ;;
  esac
}

reloads() { grep -c 'Reloaded configuration' "$BED/dockerd.log" || true; }

has_reloaded() { [ "$(reloads)" -gt "$1" ]; }

# image: makes the image `busybox`.
image() { busybox_root; tar -C "$BED/own/root" -c . | docker import --change 'CMD ["sh"]' - busybox > /dev/null; }

# machine_with_docker [LINE]: dockerd runs, with $NAME as its runtime, with LINE in its configuration and the image `busybox`. The
# table of the made-up keys is what containers lack.
machine_with_docker() {
  mkdir -p /etc/docker /etc/procemu
  echo "tables = [\"$TABLE\"]" > /etc/procemu/bridge.toml
  {
    echo '{'
    echo "    ${1:-\"debug\": false},"
    echo '    "default-runtime": "'"$NAME"'",'
    # A name that dockerd has already, and one that it has not.
    [ "$NAME" = runc ] || echo '    "runtimes": { "'"$NAME"'": { "path": "'"$NAME"'" } },'
    echo '    "storage-driver": "overlay2"'
    echo '}'
  } > /etc/docker/daemon.json
  docker_up
  image
}

# lacking: what it says of keys that are not there.
prints() { cat << 'SH'
cd /proc/sys; for key in kernel/made_up_key net/ipv4/made_up net/made/up fs/made_up; do cat $key; done
SH
}
