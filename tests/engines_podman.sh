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

# probe: a script for a container, which prints what of its surroundings we could have changed: everything but our keys.
probe() { cat << 'SH'
id; pwd; hostname | sed -E 's/^[0-9a-f]{12}$//'; ulimit -a; env | grep -v ^HOSTNAME= | sort; grep -E '^(Cap|NoNewPrivs|Seccomp)' /proc/self/status
find /proc/sys ! -name '*made*' ! -path '/proc/sys/net/made/*' | sort
find $(ls -d /proc/[a-z]* | grep -v self) /sys/fs/cgroup -maxdepth 6 -type f ! -path '/proc/sys/net/made/*' ! -name '*made_up*' |
  sort | while read -r key; do ! (: >> "$key") 2> /dev/null || echo "takes writes: $key"; done
# Mounts but for those inside /proc/sys, which are ours, and what names the container. In /proc we make them private.
cut -d ' ' -f 5- /proc/self/mountinfo | grep -v '^/proc/sys/' |
  sed -E 's/[0-9a-f]{64}//g; s/(master|shared|propagate_from):[0-9]+/\1/g; s|/var/lib/containers/[^ ,]*||g; /^.proc/s/ (master|shared) / /g; s/  */ /g' | sort
sed -E 's/[0-9a-f]{64}//' /proc/self/cgroup
cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shmmni /proc/self/oom_score_adj
exit 7
SH
}

# same_as_bare OPTION...: a container of either runtime prints the same, and one of them all of the made-up keys.
same_as_bare() {
  local runtime
  for runtime in "$NAME" procemu; do
    podman --runtime "$runtime" run --rm "$@" busybox sh -c "$(probe)" > "$BED/$runtime.says" 2>&1 || echo "exit code $?" >> "$BED/$runtime.says"
  done
  echo "== $*"
  diff "$BED/$NAME.says" "$BED/procemu.says" && tail -n 1 "$BED/procemu.says"
  podman --runtime procemu run --rm "$@" busybox sh -c "$PRINT" 2>&1 || true
}

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
