# An image without a registry: busybox alone, as an OCI layout. $NODE is a folder for it.

# image NAME: an image with busybox alone, as an OCI layout, imported into containerd.
image() {
  local dir=$NODE/image applet layer config manifest
  mkdir -p "$dir/root/bin" "$dir/oci/blobs/sha256"
  cp "$(PATH=$PATH:/usr/sbin:/sbin command -v busybox)" "$dir/root/bin/"
  for applet in sh cat sleep; do ln -s busybox "$dir/root/bin/$applet"; done
  tar -C "$dir/root" -cf "$dir/layer" .
  layer=$(blob "$dir/layer")
  printf '{"architecture":"amd64","os":"linux","config":{"Env":["PATH=/bin"],"Cmd":["sleep","100000"]},"rootfs":{"type":"layers","diff_ids":["%s"]}}' \
    "${layer%% *}" > "$dir/config"
  config=$(blob "$dir/config")
  printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":%s,"layers":[%s]}' \
    "$(descriptor image.config.v1+json $config)" "$(descriptor image.layer.v1.tar $layer)" > "$dir/manifest"
  manifest=$(blob "$dir/manifest")
  printf '{"imageLayoutVersion":"1.0.0"}' > "$dir/oci/oci-layout"
  printf '{"schemaVersion":2,"manifests":[%s]}' \
    "$(descriptor image.manifest.v1+json $manifest ",\"annotations\":{\"io.containerd.image.name\":\"$1\"}")" > "$dir/oci/index.json"
  tar -C "$dir/oci" -cf "$dir/tar" .
  ctr --address "$NODE/containerd.sock" --namespace k8s.io images import --local --snapshotter native "$dir/tar" > /dev/null 2>&1
}

# blob FILE: puts it into the layout; prints its digest and size.
blob() {
  local digest
  digest=$(sha256sum < "$1")
  digest=${digest%% *}
  cp "$1" "$NODE/image/oci/blobs/sha256/$digest"
  echo "sha256:$digest $(stat -c %s "$1")"
}

# descriptor TYPE DIGEST SIZE [MORE]
descriptor() {
  printf '{"mediaType":"application/vnd.oci.%s","digest":"%s","size":%s%s}' "$1" "$2" "$3" "${4:-}"
}
