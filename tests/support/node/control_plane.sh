# Functions for a control plane; node.sh comes before. Its programs are on $PATH.

# control_plane: etcd and the API server, with RBAC. kubectl is its administrator.
control_plane() {
  local server=https://127.0.0.1:6443
  cd "$NODE"
  openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -subj /CN=node -addext subjectAltName=IP:127.0.0.1 2> openssl.log
  echo 'secret,admin,admin,system:masters' > tokens
  export KUBECONFIG=$NODE/kubeconfig
  cat > "$KUBECONFIG" << YAML
apiVersion: v1
kind: Config
current-context: node
clusters: [{ name: node, cluster: { server: "$server", certificate-authority: $NODE/cert.pem } }]
users: [{ name: admin, user: { token: secret } }]
contexts: [{ name: node, context: { cluster: node, user: admin } }]
YAML
  start etcd -- etcd --data-dir "$NODE/etcd" --unsafe-no-fsync
  start apiserver -- kube-apiserver --etcd-servers http://127.0.0.1:2379 --advertise-address "$ADDRESS" \
    --service-cluster-ip-range 10.1.0.0/24 --tls-cert-file cert.pem --tls-private-key-file key.pem --token-auth-file tokens \
    --service-account-issuer "$server" --service-account-key-file key.pem --service-account-signing-key-file key.pem \
    --kubelet-preferred-address-types InternalIP --authorization-mode Node,RBAC --allow-privileged
  until_true "the API server" is_ready > /dev/null
}

is_ready() { kubectl get --raw /readyz 2> /dev/null; }

# controllers: those that make pods of DaemonSets, and what tells pods their nodes.
controllers() {
  start controllers -- kube-controller-manager --kubeconfig "$KUBECONFIG" --service-account-private-key-file "$NODE/key.pem" \
    --root-ca-file "$NODE/cert.pem" --leader-elect=false --use-service-account-credentials=false
  start scheduler -- kube-scheduler --kubeconfig "$KUBECONFIG" --leader-elect=false
}
