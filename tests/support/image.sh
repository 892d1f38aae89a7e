# An image without a registry: busybox alone, as `docker save` writes one. $NODE is a folder for it.

# image NAME: makes it and imports it into containerd.
image() {
  local dir=$NODE/image applet
  mkdir -p "$dir/root/bin"
  cp "$(PATH=$PATH:/usr/sbin:/sbin command -v busybox)" "$dir/root/bin/"
  for applet in sh cat sleep; do ln -s busybox "$dir/root/bin/$applet"; done
  tar -C "$dir/root" -cf "$dir/layer.tar" .
  cat > "$dir/config.json" << JSON
{ "architecture": "amd64", "os": "linux", "config": { "Env": ["PATH=/bin"], "Cmd": ["sleep", "100000"] },
  "rootfs": { "type": "layers", "diff_ids": ["sha256:$(sha256sum < "$dir/layer.tar" | cut -d ' ' -f 1)"] } }
JSON
  echo '[{ "Config": "config.json", "RepoTags": ["'"$1"'"], "Layers": ["layer.tar"] }]' > "$dir/manifest.json"
  tar -C "$dir" -cf "$dir/tar" manifest.json config.json layer.tar
  ctr --address "$NODE/containerd.sock" --namespace k8s.io images import --local --snapshotter native "$dir/tar" > /dev/null 2>&1
}
