# Functions that make a machine of its own out of this one, for scripts whose engines must leave nothing behind: a copy-on-write view
# of this machine's files, and namespaces and cgroups of its own. lib.sh comes before.

# machine SCRIPT: runs it as the machine's first process, with which all others end.
machine() {
  local hierarchy status=0
  mkdir "$BED/upper" "$BED/work" "$BED/root"
  for hierarchy in $(hierarchies); do
    mkdir "$hierarchy/$ID"
    # A cpuset starts empty, and takes no process then.
    [ ! -e "$hierarchy/$ID/cpuset.cpus" ] || for file in cpuset.cpus cpuset.mems; do
      cat "$hierarchy/$file" > "$hierarchy/$ID/$file"
    done
  done
  (
    for hierarchy in $(hierarchies); do echo "$BASHPID" > "$hierarchy/$ID/cgroup.procs"; done
    exec unshare --cgroup --pid --uts --mount --propagation private --fork --kill-child bash "$1"
  ) || status=$?
  for hierarchy in $(hierarchies); do until_gone "$hierarchy/$ID"; done
  return "$status"
}

# hierarchies: the folders of cgroup v1 that are mounted.
hierarchies() { awk '$3 == "cgroup" { print $2 }' /proc/mounts; }

# until_gone CGROUP: removes it with all below, as soon as the last process there is dead.
until_gone() {
  local turns=0
  until find "$1" -depth -type d -exec rmdir {} + 2> /dev/null; do
    turns=$((turns + 1))
    [ "$turns" -lt 500 ] || { find "$1" -depth -type d -exec rmdir {} +; return 1; }
    sleep 0.02
  done
}

# enter_machine: from inside those namespaces, makes that view the root. What is written stays in the bed; $BED itself is outside.
# Of cgroups there is v1 alone: crun 1.8 takes a mixed machine for one that it cannot handle.
enter_machine() {
  local root=$BED/root hierarchy
  local -a mounted
  mapfile -t mounted < <(awk '$3 == "cgroup" { print $2, $4 }' /proc/mounts)
  mount -t overlay -o "lowerdir=/,upperdir=$BED/upper,workdir=$BED/work" machine "$root"
  mount --bind "$BED" "$root$BED"
  devices "$root/dev"
  mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
  mount -t sysfs -o nosuid,nodev,noexec sysfs "$root/sys"
  mount -t tmpfs -o mode=0755 cgroup "$root/sys/fs/cgroup"
  for hierarchy in "${mounted[@]}"; do
    mkdir "$root${hierarchy% *}"
    # Of its options only the controllers, or the name, tell it from others.
    mount -t cgroup -o "$(tr , '\n' <<< "${hierarchy#* }" | grep -vxE 'rw|ro|nosuid|nodev|noexec|(rel|no)atime|xattr|release_agent=.*' | paste -sd ,)" \
      cgroup "$root${hierarchy% *}"
  done
  mount -t tmpfs -o mode=0755 run "$root/run"
  cd "$root"
  pivot_root . .
  umount -l .
  cd "$BED"
  mount --make-rshared /
  ip link set lo up
}

# devices FOLDER: devices of its own there. This machine's are files like others: runtimes change their owner, programs replace them.
devices() {
  local device name numbers
  mount -t tmpfs -o mode=0755,nosuid,noexec dev "$1"
  mkdir "$1/pts" "$1/shm" "$1/mqueue" "$1/net"
  for device in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0 kmsg:1:11 fuse:10:229 net/tun:10:200; do
    name=${device%%:*} numbers=${device#*:}
    mknod -m 0666 "$1/$name" c "${numbers%:*}" "${numbers#*:}"
  done
  mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts "$1/pts"
  mount -t tmpfs -o mode=1777,nosuid,nodev shm "$1/shm"
  mount -t mqueue mqueue "$1/mqueue"
  ln -s pts/ptmx "$1/ptmx"
  ln -s /proc/self/fd "$1/fd"
  for name in stdin:0 stdout:1 stderr:2; do ln -s "/proc/self/fd/${name#*:}" "$1/${name%:*}"; done
}
