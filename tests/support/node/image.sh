# Images without a registry, as `docker save` writes them. $NODE is a folder for them.

# image NAME: one of busybox alone.
image() {
  local root=$NODE/image/root applet
  mkdir -p "$root/bin"
  cp "$(PATH=$PATH:/usr/sbin:/sbin command -v busybox)" "$root/bin/"
  for applet in sh cat sleep; do ln -s busybox "$root/bin/$applet"; done
  import "$1" "$NODE/image" '{ "Env": ["PATH=/bin"], "Cmd": ["sleep", "100000"] }'
}

# import NAME DIR CONFIG: makes an image of the files in DIR/root and imports it into containerd.
import() {
  local dir=$2
  tar -C "$dir/root" -cf "$dir/layer.tar" .
  cat > "$dir/config.json" << JSON
{ "architecture": "amd64", "os": "linux", "config": $3,
  "rootfs": { "type": "layers", "diff_ids": ["sha256:$(sha256sum < "$dir/layer.tar" | cut -d ' ' -f 1)"] } }
JSON
  echo '[{ "Config": "config.json", "RepoTags": ["'"$1"'"], "Layers": ["layer.tar"] }]' > "$dir/manifest.json"
  tar -C "$dir" -cf "$dir/tar" manifest.json config.json layer.tar
  ctr --address "$NODE/containerd.sock" --namespace k8s.io images import --local --snapshotter native "$dir/tar" > /dev/null 2>&1
}
