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

# until_true WHAT COMMAND...: waits until COMMAND succeeds, 60 seconds at most.
until_true() {
  local what=$1 end=$((SECONDS + 60))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || { echo "waited in vain for $what" >&2; return 1; }
    sleep 0.05
  done
}
