# Functions for an engine of Debian's on this Linux; lib.sh comes before. $TREE is what scripts/debian.sh unpacked for it, $RUNTIME the
# runtime that the machine has as $NAME. Everything is in namespaces and cgroups of its own: what a script writes to /etc, /run,
# /usr and /var is seen by it alone, and ends with it.

# own_machine SCRIPT: bash SCRIPT, as the first process of those namespaces.
own_machine() {
  local hierarchy status=0
  for hierarchy in /sys/fs/cgroup/*/; do
    [ -e "$hierarchy/tasks" ] || continue
    mkdir "$hierarchy$ID"
    [ ! -e "$hierarchy/cpuset.cpus" ] || {
      cat "$hierarchy/cpuset.cpus" > "$hierarchy$ID/cpuset.cpus"
      cat "$hierarchy/cpuset.mems" > "$hierarchy$ID/cpuset.mems"
    }
  done
  (
    for hierarchy in /sys/fs/cgroup/*/"$ID"/; do echo "$BASHPID" > "$hierarchy/cgroup.procs"; done
    exec unshare --mount --propagation private --pid --fork --kill-child --mount-proc --uts --cgroup bash "$1"
  ) || status=$?
  # None of its processes is left, but the kernel may not have let go of them.
  for hierarchy in /sys/fs/cgroup/*/"$ID"; do until find "$hierarchy" -depth -type d -exec rmdir {} + 2> /dev/null; do sleep 0.1; done; done
  return "$status"
}

# machine: what the engine expects of the place, as if its packages were installed.
machine() {
  local folder controller
  mount --make-rshared /
  mount --make-private /proc
  mkdir "$BED/own"
  mount -t tmpfs tmpfs "$BED/own"
  for folder in /etc /usr /var; do
    mkdir -p "$BED/own$folder/upper" "$BED/own$folder/work" "$BED/own/none$folder"
    [ ! -d "$TREE$folder" ] || mount --bind "$TREE$folder" "$BED/own/none$folder"
    mount -t overlay -o "lowerdir=$BED/own/none$folder:$folder,upperdir=$BED/own$folder/upper,workdir=$BED/own$folder/work" overlay "$folder"
  done
  # Engines lay overlays of their own there, which not every file system bears.
  for folder in docker containers containerd; do
    mkdir -p "/var/lib/$folder"
    mount -t tmpfs tmpfs "/var/lib/$folder"
  done
  mount -t tmpfs -o mode=0755 tmpfs /run
  mount -t tmpfs -o mode=0755 tmpfs /sys/fs/cgroup
  # Not v2 beside them, which crun 1.8 cannot handle.
  cut -d: -f 2 /proc/self/cgroup | grep . | while read -r controller; do
    mkdir "/sys/fs/cgroup/${controller#name=}"
    mount -t cgroup -o "$controller" cgroup "/sys/fs/cgroup/${controller#name=}"
  done
  ip link set lo up
  # This machine's own may have another version of the engine there.
  mount -t tmpfs -o mode=0755 tmpfs /usr/local
  mkdir /usr/local/bin /usr/local/sbin
  export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  # The links that the package's script would make.
  for folder in iptables ip6tables; do ln -sf "xtables-nft-multi" "/usr/sbin/$folder"; done
  install -m 755 "$NSPREP" "$BRIDGE" /usr/local/bin/
  cp "$RUNTIME" "/usr/local/sbin/$NAME"
  # dockerd raises it for the whole machine, where it is lower.
  echo 1000000 > "$BED/own/root_maxkeys"
  [ "$(cat /proc/sys/kernel/keys/root_maxkeys)" -ge 1000000 ] || mount --bind "$BED/own/root_maxkeys" /proc/sys/kernel/keys/root_maxkeys
}

# busybox_root: what images are made of, at $BED/own/root.
busybox_root() {
  local applet
  mkdir -p "$BED/own/root/bin" "$BED/own/root/etc" "$BED/own/root/tmp"
  cp "$(command -v busybox)" "$BED/own/root/bin/"
  busybox --list | grep -vx busybox | while read -r applet; do ln -s busybox "$BED/own/root/bin/$applet"; done
  printf 'root:x:0:0:root:/:/bin/sh\nuser:x:1000:1000:user:/:/bin/sh\n' > "$BED/own/root/etc/passwd"
}

# until_true WHAT COMMAND...: waits until COMMAND succeeds, 60 seconds at most.
until_true() {
  local what=$1 end=$((SECONDS + 60))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || { echo "waited in vain for $what" >&2; return 1; }
    sleep 0.05
  done
}
