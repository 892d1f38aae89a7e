# Functions for an engine of Debian's on a machine of its own; machine.sh comes before. $TREE is what scripts/debian.sh unpacked for
# it, $RUNTIME the runtime that the machine has as $NAME. Containers lack what the table $TABLE has.

# install_engine: what the engine expects of the place, as if its packages were installed, and our programs.
install_engine() {
  local folder
  mkdir "$BED/own"
  mount -t tmpfs tmpfs "$BED/own"
  for folder in /etc /usr; do
    mkdir -p "$BED/own$folder/upper" "$BED/own$folder/work"
    mount -t overlay -o "lowerdir=$TREE$folder:$folder,upperdir=$BED/own$folder/upper,workdir=$BED/own$folder/work" engine "$folder"
  done
  # Engines lay overlays of their own there, and do not do it on an overlay.
  for folder in docker containers; do
    mkdir -p "/var/lib/$folder"
    mount -t tmpfs tmpfs "/var/lib/$folder"
  done
  # This machine's own may have another version of the engine there.
  mount -t tmpfs -o mode=0755 tmpfs /usr/local
  mkdir /usr/local/bin /usr/local/sbin
  export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  # The links that the package's script would make.
  ln -sf xtables-nft-multi /usr/sbin/iptables
  ln -sf xtables-nft-multi /usr/sbin/ip6tables
  install -m 755 "$NSPREP" "$BRIDGE" /usr/local/bin/
  cp "$RUNTIME" "/usr/local/sbin/$NAME"
  # podman looks for it there first.
  rm -f "/usr/bin/$NAME" "/usr/sbin/$NAME"
  # dockerd raises it for the whole machine, where it is lower.
  echo 1000000 > "$BED/own/root_maxkeys"
  [ "$(cat /proc/sys/kernel/keys/root_maxkeys)" -ge 1000000 ] || mount --bind "$BED/own/root_maxkeys" /proc/sys/kernel/keys/root_maxkeys
  mkdir -p /etc/procemu
  echo "tables = [\"$TABLE\"]" > /etc/procemu/bridge.toml
}

# busybox_root: what images are made of, at $BED/own/root.
busybox_root() {
  local applet root=$BED/own/root
  mkdir -p "$root/bin" "$root/etc" "$root/tmp"
  cp "$(command -v busybox)" "$root/bin/"
  busybox --list | grep -vx busybox | while read -r applet; do ln -s busybox "$root/bin/$applet"; done
  printf 'root:x:0:0:root:/:/bin/sh\nuser:x:1000:1000:user:/:/bin/sh\n' > "$root/etc/passwd"
}

# probe: a script for a container, which prints what of its surroundings we could have changed: everything but our keys.
# By one stream: an engine relays two in any order.
probe() { cat << 'SH'
exec 2>&1
id; pwd; hostname | sed -E 's/^[0-9a-f]{12}$//'; ulimit -a; env | grep -v ^HOSTNAME= | sort; grep -E '^(Cap|NoNewPrivs|Seccomp)' /proc/self/status
find /proc/sys ! -name '*made*' ! -path '/proc/sys/net/made/*' | sort
find $(ls -d /proc/[a-z]* | grep -v self) /sys/fs/cgroup -maxdepth 6 -type f ! -path '/proc/sys/net/made/*' ! -name '*made_up*' |
  sort | while read -r key; do ! (: >> "$key") 2> /dev/null || echo "takes writes: $key"; done
# Mounts but for those inside /proc/sys, which are ours, and what names the container. In /proc we make them private.
cut -d ' ' -f 5- /proc/self/mountinfo | grep -v '^/proc/sys/' |
  sed -E 's/[0-9a-f]{64}//g; s/(master|shared|propagate_from):[0-9]+/\1/g; s#/var/lib/(docker|containers)/[^ ,]*##g; /^.proc/s/ (master|shared) / /g; s/  */ /g' | sort
sed -E 's/[0-9a-f]{64}//' /proc/self/cgroup
cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shmmni /proc/self/oom_score_adj
exit 7
SH
}

# same_as_bare OPTION...: a container of either runtime, by the script's own function `with RUNTIME OPTION...`, prints the same, and one
# of them all of the made-up keys.
same_as_bare() {
  local runtime
  for runtime in "$NAME" procemu; do
    with "$runtime" "$@" busybox sh -c "$(probe)" > "$BED/$runtime.says" 2>&1 || echo "exit code $?" >> "$BED/$runtime.says"
  done
  echo "== $*"
  diff "$BED/$NAME.says" "$BED/procemu.says" && tail -n 1 "$BED/procemu.says"
  with procemu "$@" busybox sh -c "$PRINT" 2>&1 || true
}
