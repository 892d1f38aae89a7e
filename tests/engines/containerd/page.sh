# Around the commands of docs/engines/containerd.md. What they find: containerd, by systemctl, and its configuration; runtime-bridge, where
# README.md installs it; ctr, which is told of the bed's address; and an image.
node
mkdir -p /etc/containerd
mv "$NODE/containerd.toml" /etc/containerd/config.toml
ln -s /etc/containerd/config.toml "$NODE/containerd.toml"
cp /etc/containerd/config.toml "$NODE/was"
install "$BRIDGE" /usr/local/bin/runtime-bridge
PATH=/usr/local/bin:$PATH
export CONTAINERD_ADDRESS=$NODE/containerd.sock CONTAINERD_NAMESPACE=k8s.io CONTAINERD_SNAPSHOTTER=native
systemctl() {
  [ "$*" = "restart containerd" ]
  stop containerd
  start containerd -- containerd
  until_true "containerd" answers
}
# has_key HANDLER: whether a container of such a pod has the page's key.
has_key() {
  pod_of "$1" .
  container_of main .
  say "$made" 'cat /proc/sys/kernel/mine 2> /dev/null || echo absent'
}
containerd_up
seen_before
