# Functions for the scripts of the tests and of the demo, to be called in a private mount namespace only.

# deprive PROC KEY...: takes the keys (below sys/) out of the procfs mounted at PROC: a tmpfs over their folder, with every
# other entry bound back. Single-file binds pin namespaces, so what is bound back is good for reading, not for isolation.
deprive() {
  local proc=$1 scratch key folder entry gone
  shift
  mount --make-private "$proc"
  scratch=$(mktemp -d "$BED/deprive.XXXXXX")
  for folder in $(printf '%s\n' "$@" | sed 's|/[^/]*$||' | sort -u); do
    gone=" "
    for key in "$@"; do [ "${key%/*}" != "$folder" ] || gone="$gone${key##*/} "; done
    mkdir -p "$scratch/new"
    mount -t tmpfs -o mode=0555 deprived "$scratch/new"
    # What goes from here must not go from where it is bound.
    mount --make-private "$scratch/new"
    for entry in $(ls -A "$proc/sys/$folder"); do
      case $gone in *" $entry "*) continue ;; esac
      if [ -d "$proc/sys/$folder/$entry" ]; then mkdir "$scratch/new/$entry"; else : > "$scratch/new/$entry"; fi
      mount --rbind "$proc/sys/$folder/$entry" "$scratch/new/$entry"
    done
    mount --rbind "$scratch/new" "$proc/sys/$folder"
    umount -l "$scratch/new"
  done
}

# deprived_proc NAME KEY...: a procfs of its own at $BED/NAME without these keys, for containers to bind as their /proc.
deprived_proc() {
  local name=$1
  shift
  mkdir -p "$BED/$name"
  mount -t proc proc "$BED/$name"
  deprive "$BED/$name" "$@"
}

# read_only_proc_sys: /proc/sys as Docker and OpenVZ show it.
read_only_proc_sys() {
  mount --bind /proc/sys /proc/sys
  mount -o remount,bind,ro /proc/sys
}

# hide_unified: crun 1.8 takes a mixed cgroup v1 and v2 machine for one it cannot handle. What it makes of the folder instead is not to stay
# in the file system that it lies in, which is the machine's.
hide_unified() { ! mountpoint -q /sys/fs/cgroup/unified || mount -t tmpfs hidden /sys/fs/cgroup/unified; }

# cgroup_v1: the hierarchies that runtimes need, which a gVisor sandbox has not mounted.
cgroup_v1() {
  local controller
  mount -t tmpfs tmpfs /sys/fs/cgroup
  for controller in cpu cpuacct cpuset memory pids devices; do
    mkdir "/sys/fs/cgroup/$controller"
    mount -t cgroup -o "$controller" cgroup "/sys/fs/cgroup/$controller"
  done
}

# cgroups: v2 in a sandbox that was started for it, else v1.
cgroups() {
  if grep -q cgroup2 /proc/filesystems; then mount -t cgroup2 cgroup2 /sys/fs/cgroup; else cgroup_v1; fi
}

# rt ARGS...: the runtime with a state folder of this bed, and with $OPTIONS.
rt() { "$RUNTIME" --root "$BED/state" ${OPTIONS:-} "$@"; }

# wrapped ARGS...: the same through the wrapper, with the configuration at $CONFIG.
wrapped() { "$BRIDGE" runtime --exec "$RUNTIME" --config "$CONFIG" -- --root "$BED/state" ${OPTIONS:-} "$@"; }

# run CALL NAME: runs the bundle $BED/NAME to its end by CALL (rt or wrapped).
run() { "$1" run --no-new-keyring --bundle "$BED/$2" "$ID-$2"; }

# container CALL NAME COMMAND...: creates and starts the bundle $BED/NAME by CALL (rt or wrapped), runs COMMAND, deletes the
# container. Its output goes to $BED/NAME.out, its pid to $BED/NAME.pid.
container() {
  local call=$1 name=$2 status=0
  shift 2
  "$call" create --no-new-keyring --bundle "$BED/$name" --pid-file "$BED/$name.pid" "$ID-$name" \
    < /dev/null > "$BED/$name.out" 2>&1 || {
    status=$?
    cat "$BED/$name.out" >&2
    return "$status"
  }
  "$call" start "$ID-$name" || status=$?
  # A subshell, so that an error in it ends it and not us: the container has to go first.
  if [ "$status" -eq 0 ]; then
    set +e
    (set -e; "$@")
    status=$?
    set -e
  fi
  "$call" delete --force "$ID-$name" || status=$?
  return "$status"
}

# wait_for FILE: waits until it is there, ten seconds at most.
wait_for() {
  local turns=0
  until [ -e "$1" ]; do
    turns=$((turns + 1))
    [ "$turns" -lt 500 ] || { echo "waited in vain for $1" >&2; return 1; }
    sleep 0.02
  done
}

# until_true WHAT COMMAND...: waits until COMMAND succeeds, 60 seconds at most. In vain, it shows the end of the files $LOGS.
until_true() {
  local what=$1 end=$((SECONDS + 60))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || {
      echo "waited in vain for $what" >&2
      tail -n 30 ${LOGS:-/dev/null} >&2
      return 1
    }
    sleep 0.1
  done
}

# up CALL NAME: creates and starts the bundle $BED/NAME by CALL (rt or wrapped); one that joins /proc/SANDBOX/ns/* joins the
# namespaces of the container `sandbox`. Can be called again after `down`, as a container is restarted.
up() {
  local call=$1 name=$2 pid
  [ -e "$BED/$name.json" ] || cp "$BED/$name/config.json" "$BED/$name.json"
  pid=$(cat "$BED/sandbox.pid" 2> /dev/null) || pid=SANDBOX
  sed "s|/proc/SANDBOX/|/proc/$pid/|" "$BED/$name.json" > "$BED/$name/config.json"
  "$call" create --no-new-keyring --bundle "$BED/$name" --pid-file "$BED/$name.pid" "$ID-$name" \
    < /dev/null > "$BED/$name.out" 2>&1 || {
    cat "$BED/$name.out" >&2
    rm -f "$BED/$name.pid"
    return 1
  }
  "$call" start "$ID-$name"
}

# down NAME...: deletes these containers, running or not.
down() {
  local name
  for name in "$@"; do
    rt delete --force "$ID-$name"
    rm -f "$BED/$name.pid"
  done
}

# at NAME COMMAND...: runs COMMAND in the container, with all rights: what it may not do there, nobody may.
at() { nsenter --target "$(cat "$BED/$1.pid")" --mount --net --ipc -- "${@:2}"; }

# denied PATTERN COMMAND...: runs COMMAND (a function of this file, or a program), to which files of any procfs whose path
# matches PATTERN do not open for writing: $DENY says how.
denied() {
  local pattern=$1
  shift
  export -f rt wrapped run container up down at wait_for
  perl "$DENY" "$pattern" bash -euc '"$@"' denied "$@"
}
