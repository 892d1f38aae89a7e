# Functions for pods by the CRI alone, without a kubelet; $NODE is a folder for what is answered.

# cri METHOD: one call of the CRI, of containerd or at $CRI_SOCKET; the request is standard input.
cri() { "$CLIENT" cri "${CRI_SOCKET:-$NODE/containerd.sock}" "$1"; }

# answers: whether it does, as it does not while the engine starts.
answers() { echo "{}" | cri Status > /dev/null 2>&1; }

# field NAME: that string of a JSON object.
field() { grep -o "\"$1\": *\"[^\"]*\"" | head -n 1 | cut -d'"' -f4; }

# sandbox HANDLER NETWORK PID: makes a pod's sandbox with these namespaces of the pod's or not; its id is $pod.
sandbox() {
  linux="{\"securityContext\":{\"namespaceOptions\":{\"network\":\"$2\",\"pid\":\"$3\"}}}"
  config="{\"metadata\":{\"name\":\"pod\",\"namespace\":\"default\",\"uid\":\"$1-$2\"},\"linux\":$linux}"
  echo "{\"config\":$config,\"runtimeHandler\":\"$1\"}" | cri RunPodSandbox > "$NODE/answer" || return
  pod=$(field podSandboxId < "$NODE/answer")
}

# container COMMAND: makes and starts one in that sandbox, runs COMMAND in it and prints what that says.
container() {
  local id
  echo "{\"podSandboxId\":\"$pod\",\"sandboxConfig\":$config,\"config\":{\"metadata\":{\"name\":\"main\"},
    \"image\":{\"image\":\"localhost/busybox:1\"},\"command\":[\"sleep\",\"100000\"],\"linux\":$linux}}" |
    cri CreateContainer > "$NODE/answer"
  id=$(field containerId < "$NODE/answer")
  echo "{\"containerId\":\"$id\"}" | cri StartContainer > /dev/null
  echo "{\"containerId\":\"$id\",\"cmd\":[\"sh\",\"-c\",\"$1\"]}" | cri ExecSync | field stdout | base64 -d
}

# end: of that sandbox, with all that is in it.
end() {
  echo "{\"podSandboxId\":\"$pod\"}" | cri StopPodSandbox > /dev/null
  echo "{\"podSandboxId\":\"$pod\"}" | cri RemovePodSandbox > /dev/null
}
