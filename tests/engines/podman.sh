# podman on a machine of its own; engine.sh comes before.

# machine_with_podman: podman's default runtime is $NAME, and it has the image `busybox`.
machine_with_podman() {
  cat > /etc/containers/containers.conf << TOML
[containers]
# What podman asks for otherwise takes CAP_SYS_RESOURCE.
default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]

[engine]
# There is no systemd here, nor its journal.
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "$NAME"
TOML
  busybox_root
  tar -C "$BED/own/root" -c . | podman import --quiet --change CMD=sh --change ENV=PATH=/bin - busybox > /dev/null
}

# with RUNTIME OPTION...: a container of that runtime.
with() { podman --runtime "$1" run --rm "${@:2}"; }

# left: what containers could leave behind.
left() {
  podman ps --all --quiet
  find /run -mindepth 2 -name '*rocemu*' ! -path '/run/procemu/*' || true
  grep procemu: /proc/self/mountinfo || true
  find /sys/fs/cgroup -path '*/libpod_parent/*' -type d ! -name conmon
}

# life: a container as people use it. Prints one line per step.
life() {
  local key=/proc/sys/fs/made_up
  podman run --detach --name one busybox sh -c "trap 'exit 3' TERM; cat $key; while :; do sleep 0.05; done" > id
  podman exec one cat "$key"
  podman exec --user 1000 --env A=B one sh -c 'echo $(id -u) $A'
  podman stop one; podman inspect --format '{{.State.ExitCode}}' one
  podman start one; podman exec one cat "$key"
  podman restart one > id; podman kill --signal TERM one; podman wait one
  podman start one; podman pause one > id; podman unpause one > id
  podman kill one; podman wait one
  podman logs one; podman rm one > id
  podman run --rm busybox sh -c 'exit 5' || echo "exit code $?"
  podman run --rm busybox no-such-command > said 2>&1 || echo "exit code $?"
  echo in | podman run --rm --interactive busybox cat
  script --quiet --command "podman run --rm --tty busybox tty" /dev/null | tr -d '\r'
  podman run --rm --sysctl net.ipv4.no_such_key=6 busybox cat /proc/sys/net/ipv4/no_such_key
  podman run --detach --name first busybox sleep 1000 > id
  podman run --rm --network container:first --pid container:first busybox cat "$key"
  podman rm --force --time 0 first > id
}
