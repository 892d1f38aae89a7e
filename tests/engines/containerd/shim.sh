# The shim of ours. $RUNTIME is runc, which is to be found on PATH. $TABLE as in pods.sh.
node
ln -s "$RUNTIME" "$NODE/bin/runc"
PATH=$NODE/bin:$PATH
mkdir /opt/procemu
install "$BRIDGE" /opt/procemu/runtime-bridge
ln -s /opt/procemu/runtime-bridge "$NODE/bin/containerd-shim-procemu-v2"
cat >> "$NODE/containerd.toml" << TOML
[plugins.'$CRI'.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins.'$CRI'.containerd.runtimes.shim]
runtime_type = "io.containerd.procemu.v2"
TOML
mkdir /run/kept
printf '%s\n' "tables = [\"$TABLE\"]" 'state_dir = "/run/kept"' > /etc/procemu/bridge.toml
containerd_up
seen_before

to_ctr() { ctr --address "$NODE/containerd.sock" --namespace k8s.io "$@" 2> "$NODE/said"; }
# by_ctr RUNTIME OPTION... NAME: of a container that says what is in a key and ends with 7, or only sleeps.
by_ctr() { to_ctr run --snapshotter native --runtime "$@"; }
read_key='cat /proc/sys/kernel/made_up 2> /dev/null || echo absent; exit 7'

echo "== ctr"
by_ctr io.containerd.runc.v2 --rm localhost/busybox:1 bare sh -c "$read_key" || echo "exit $?"
by_ctr io.containerd.procemu.v2 --rm localhost/busybox:1 ours sh -c "$read_key" || echo "exit $?"
by_ctr io.containerd.procemu.v2 --detach localhost/busybox:1 kept sleep 100000
to_ctr tasks exec --exec-id more kept cat /proc/sys/kernel/made_up
to_ctr tasks kill --signal SIGKILL kept
until_true "its end" eval 'to_ctr tasks list | grep -q "kept.*STOPPED"'
to_ctr tasks delete kept
to_ctr containers delete kept

echo "== pod"
pod_of shim .
container_of main .
say "$made" 'cd /proc/sys; echo $(cat net/ipv4/made_up fs/mqueue/made_up kernel/made_up)'
no_pod "$pod"
pod_of runc .
container_of main .
say "$made" 'cat /proc/sys/kernel/made_up 2> /dev/null || echo absent'
no_pod "$pod"

echo "== state"
find /run/kept -mindepth 1 ! -name 'runtime-*.json' ! -name network-keys ! -name tables.json ! -name 'changes.log*' -printf '%p %l\n'
find /run/procemu 2> /dev/null || true

# as_shim FOLDER...: calls it from `containerd` in $NODE/beside, with these folders of $NODE as its PATH.
mkdir "$NODE"/{empty,beside,first,second}
cp /bin/bash "$NODE/beside/containerd"
as_shim() {
  local folders=("${@/#/$NODE/}")
  PATH=$(IFS=:; echo "${folders[*]}") "$NODE/beside/containerd" -c \
    '(exec -a containerd-shim-procemu-v2 /opt/procemu/runtime-bridge -id x 2>&1); exit $?'
}
# stand_in FOLDER...: has another shim there.
stand_in() {
  printf '#!/bin/sh\necho "${0%%/*} $PATH $*"\n' > "$1/containerd-shim-runc-v2"
  chmod +x "$1/containerd-shim-runc-v2"
}

echo "== no shim"
as_shim empty || echo "exit $?"
: > "$NODE/first/containerd-shim-runc-v2"
as_shim empty first || echo "exit $?"
echo "== shims"
for folder in /opt/procemu "$NODE/beside" "$NODE/second"; do
  stand_in "$folder"
  as_shim empty first second || echo "exit $?"
done | sed "s|$NODE|NODE|g"

echo "== left"
print_left
