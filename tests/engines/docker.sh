# Docker on a machine of its own; engine.sh comes before.

docker_up() {
  dockerd >> "$BED/dockerd.log" 2>&1 &
  LOGS=$BED/dockerd.log until_true "dockerd" docker_answers
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

# machine_with_docker [LINE]: dockerd runs, with $NAME as its runtime, with LINE in its configuration, and the image `busybox`.
machine_with_docker() {
  mkdir -p /etc/docker
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

# with RUNTIME OPTION...: a container of that runtime.
with() { docker run --rm --runtime "$@"; }

# left: what containers could leave behind.
left() {
  docker ps --all --quiet
  find /run/docker /run/containerd -mindepth 1 -name '*rocemu*' 2> /dev/null || true
  grep procemu: /proc/self/mountinfo || true
  find /sys/fs/cgroup -path '*/docker/*' -type d
}

# life: a container as people use it. Prints one line per step; all of them are the same without us, but for the key's value.
life() {
  local key=/proc/sys/fs/made_up
  docker run --detach --name one busybox sh -c "trap 'exit 3' TERM; cat $key; while :; do sleep 0.05; done" > id
  docker exec one cat "$key"
  docker exec --user 1000 --env A=B one sh -c 'echo $(id -u) $A'
  docker stop one; docker inspect --format '{{.State.ExitCode}}' one
  docker start one; docker exec one cat "$key"
  docker restart one; docker kill --signal TERM one; docker wait one
  docker start one; docker pause one; docker unpause one
  docker kill one; docker inspect --format '{{.State.ExitCode}}' one
  docker logs one; docker rm one
  docker run --rm busybox sh -c 'exit 5' || echo "exit code $?"
  docker run --rm busybox no-such-command 2> said || echo "exit code $?"
  grep -o 'executable file.*not found' said | sed 's/ `.*`//'
  echo in | docker run --rm --interactive busybox cat
  script --quiet --command "docker run --rm --tty busybox tty" /dev/null | tr -d '\r'
  printf 'FROM busybox\nRUN cat %s > /built\n' "$key" | docker build --quiet --tag built - > /dev/null 2>&1
  docker run --rm built cat /built
  docker run --detach --name again --restart on-failure:2 busybox sh -c "cat $key; exit 1" > id
  until_true "two restarts" has_restarted again 2
  docker logs again; docker rm --force again
  docker run --detach --name healthy --health-cmd "cat $key" --health-interval 100ms busybox sleep 1000 > id
  until_true "its health" is_healthy healthy; docker rm --force healthy
  docker run --rm --sysctl net.ipv4.no_such_key=6 busybox cat /proc/sys/net/ipv4/no_such_key
}

has_restarted() { [ "$(docker inspect --format '{{.RestartCount}} {{.State.Running}}' "$1")" = "$2 false" ]; }

is_healthy() { [ "$(docker inspect --format '{{.State.Health.Status}}' "$1")" = healthy ]; }
