# view COMMAND...: runs COMMAND as root of a copy-on-write view of this machine's files, with $BED in it. What is written elsewhere is
# found in $BED/upper. Called again, it goes on with what was written.
view() {
  if [ ! -d "$BED/upper" ]; then
    mkdir "$BED/upper" "$BED/work" "$BED/root"
    mount -t overlay -o "lowerdir=/,upperdir=$BED/upper,workdir=$BED/work" view "$BED/root"
    mkdir -p "$BED/root$BED"
    mount --bind "$BED" "$BED/root$BED"
    mount --rbind /proc "$BED/root/proc"
    mount --rbind /dev "$BED/root/dev"
    mount -t tmpfs -o mode=0755 run "$BED/root/run"
    # Images for containers leave out documentation.
    rm -f "$BED/root"/etc/dpkg/dpkg.cfg.d/*
  fi
  chroot "$BED/root" env -C "$BED" PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"
}

# written: what was written in the view, folders aside, without what dpkg and man-db write for themselves.
written() {
  (cd "$BED/upper" && find . ! -type d ! -path './tmp/*' ! -path './var/lib/dpkg/*' ! -path './var/cache/*' ! -path './var/log/*' \
    ! -path './etc/dpkg/*' -printf '%m %p\n' | sed 's| \./| /|' | sort -k 2)
}

# made: the folders that were made in the view, or are there as they were before.
made() { (cd "$BED/upper" && find . -mindepth 1 -type d | sed 's/^\.//' | while read -r folder; do [ -d "$folder" ] || echo "$folder"; done); }
