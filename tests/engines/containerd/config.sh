# What containerd makes of the file that we have edited. Nothing is run but `containerd config`.
node
mkdir -p /etc/containerd
file=/etc/containerd/config.toml

# effective: containerd's runtimes by that file, with what sets them apart, and the default one.
effective() {
  containerd config dump 2> "$NODE/said" | tr -d "\"'" | awk '
    /^ *\[/ { name = "" }
    /^ *\[plugins.*\.containerd\.runtimes\.[^.]*\]$/ { sub(/.*\.runtimes\./, ""); sub(/\]/, ""); print "runtime", $0 }
    /^ *\[plugins.*\.containerd\.runtimes\.[^.]*\.options\]$/ { name = $0; sub(/.*\.runtimes\./, "", name); sub(/\..*/, "", name) }
    /default_runtime_name =/ { print "default", $3 }
    name && /(BinaryName|SystemdCgroup|NoNewKeyring) =/ && $3 != "" && $3 != "false" { print name, $1, $3 }
    /sandbox(_image)? = kept/ { print "kept" }' | sed "s|$(dirname "$BRIDGE")|BIN|" | sort
}

# edited NAME: has the bridge in the file and out of it, and prints what containerd reads with it in.
edited() {
  echo "== $1"
  if [ -e "$file" ]; then cp "$file" "$NODE/was"; else rm -f "$NODE/was"; fi
  effective > "$NODE/effective"
  "$BRIDGE" install containerd --no-new-keyring > "$NODE/said" || return 0
  effective
  "$BRIDGE" install containerd --as-default > "$NODE/said"
  effective | grep -E '^default|Keyring' || true
  "$BRIDGE" uninstall containerd > "$NODE/said"
  effective | diff "$NODE/effective" - || true
  if [ -e "$NODE/was" ]; then cmp "$file" "$NODE/was"; else [ ! -e "$file" ] || echo "a file is left"; fi
}

edited "no file"
containerd config default 2> "$NODE/said" > "$file"
edited "the default file"
sed -i 's/SystemdCgroup = false/SystemdCgroup = true/; s/sandbox\(_image\)\? = .*/sandbox\1 = "kept"/' "$file"
edited "the default file, edited"
version=3
[ "$CONTAINERD" != 1.6 ] || version=2
cat > "$file" << TOML
version = $version

[plugins."$CRI".containerd]
  # its own
  default_runtime_name = "runc"
  [plugins."$CRI".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."$CRI".containerd.runtimes.runc.options]
      SystemdCgroup = true
  [plugins."$CRI".containerd.runtimes.test-handler]
    runtime_type = "io.containerd.runc.v2"
    [plugins."$CRI".containerd.runtimes.test-handler.options]
      BinaryName = "/other"
TOML
edited "a short file"
echo 'version = 2' > "$file"
edited "version 2"
if [ "$CONTAINERD" = 2.2 ]; then
  containerd config migrate 2> "$NODE/said" > "$NODE/migrated"
  cp "$NODE/migrated" "$file"
  edited "migrated"
fi

mkdir /etc/containerd/conf.d
# other: an import that sets another runtime.
other() {
  cat << TOML
version = $version
[plugins.'$CRI'.containerd.runtimes.other]
runtime_type = 'io.containerd.runc.v2'
TOML
}
printf '%s\n' "version = $version" "imports = ['/etc/containerd/conf.d/*.toml']" > "$file"
other > /etc/containerd/conf.d/a.toml
edited "imports" 2>&1
(other; printf '%s\n' "[plugins.'$CRI'.containerd]" "default_runtime_name = 'other'") > /etc/containerd/conf.d/a.toml
edited "an import with the default" 2>&1
echo "== named"
file=/etc/containerd/conf.d/a.toml
"$BRIDGE" install containerd --config "$file" > "$NODE/said"
effective
"$BRIDGE" uninstall containerd --config "$file" > "$NODE/said"
