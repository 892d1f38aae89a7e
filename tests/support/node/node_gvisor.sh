# What makes a gVisor sandbox a place for a Kubernetes node.
CNI=/run/node/cni

prepare_place() {
  cgroups
  : > /dev/kmsg
  # For what the kubelet asks of cgroup v2.
  echo 'preset = "gvisor"' > /etc/procemu/bridge.toml
  no_op_cni
}

# no_op_cni: a pod network that gives every pod an address and connects it to nothing.
no_op_cni() {
  cat > "$CNI/no-op" << 'SH'
#!/bin/sh
case $CNI_COMMAND in
  ADD) echo '{"cniVersion":"1.0.0","interfaces":[{"name":"eth0","sandbox":"'"$CNI_NETNS"'"}],"ips":[{"address":"10.88.0.2/16","interface":0}]}' ;;
  VERSION) echo '{"cniVersion":"1.0.0","supportedVersions":["1.0.0"]}' ;;
esac
SH
  chmod +x "$CNI/no-op"
  ln -s no-op "$CNI/loopback"
  echo '{"cniVersion":"1.0.0","name":"pods","plugins":[{"type":"no-op"}]}' > "$CNI/pods.conflist"
}
