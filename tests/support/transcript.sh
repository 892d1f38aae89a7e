# Functions for scripts that write down all that is seen of a runtime, to hold calls of it against each other. $FORM is bare, named
# (a link on PATH) or lacking (by `runtime-bridge runtime`, where /proc and the container lack keys).

# Nothing of the host's is read or written: the default places for state and configuration are ours.
mount -t tmpfs tmpfs /run
[ ! -d /etc/procemu ] || mount -t tmpfs tmpfs /etc/procemu
for config in "$BED"/*/config.json; do
  [ -e "$config" ] || continue
  [ -e "$config.bare" ] || cp "$config" "$config.bare"
  cp "$config.bare" "$config"
done
ROOT=(--root "$BED/state")
trap '"$RUNTIME" --root "$BED/state" delete --force "$ID" > /dev/null 2>&1 || true' EXIT
mkdir -p "$BED/link"
ln -sf "$BRIDGE" "$BED/link/procemu-${RUNTIME##*/}"
PATH=$BED/link:${RUNTIME%/*}:$PATH
export -n FORM
case $FORM in
  bare) CALL=("$RUNTIME") ;;
  named) CALL=("procemu-${RUNTIME##*/}") ;;
  lacking)
    deprive /proc kernel/cap_last_cap
    CALL=("$BRIDGE" runtime --exec "$RUNTIME" --config "$CONFIG" --)
    ;;
esac

# masked: without what differs from one container to the next. $NUMBERS: without any number.
masked() {
  local pid
  pid=$(cat "$BED/pid" 2> /dev/null) || true
  sed -E "s/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(Z|[+-][0-9:]+)/TIME/g
    s/(\"pid\": ?)[0-9]+/\1PID/; s/\b${pid:-nothing}\b/PID/g
    ${NUMBERS:+s/[0-9]+/N/g; s/"[a-z_]+":N,?//g; s/[ \t]+/ /g}"
}

# wrote CODE WHAT: writes down what a call that ended with CODE wrote to $BED/out and $BED/err.
wrote() {
  echo "\$ $2"
  masked < "$BED/out"
  masked < "$BED/err" | sed 's/^/! /'
  echo "= $1"
}

# called ARGS...: calls the runtime without global flags, and writes down what it wrote and how it ended; gives that.
called() {
  local code=0
  "${CALL[@]}" "$@" < "${IN:-/dev/null}" > "$BED/out" 2> "$BED/err" || code=$?
  wrote "$code" "$*"
  return "$code"
}

# ok ARGS..., no ARGS...: the same with a state folder of this bed, where it has to succeed, or to fail.
ok() { called "${ROOT[@]}" "$@"; }
no() { ! called "${ROOT[@]}" "$@"; }

# up NAME [ARGS...]: creates and starts the bundle $BED/NAME under the name $ID, with more flags for `create`.
up() {
  local name=$1
  shift
  ok create --no-new-keyring --bundle "$BED/$name" --pid-file "$BED/pid" "$@" "$ID"
  ok start "$ID"
}

# ended: waits until the container has stopped, and nobody has its process to reap: crun's words tell the two apart.
ended() { until_true "the container's end" is_stopped; }

is_stopped() {
  "$RUNTIME" "${ROOT[@]}" state "$ID" | grep -q stopped || return
  [ ! -e "$BED/pid" ] || [ ! -e "/proc/$(cat "$BED/pid")" ]
}

# gone: deletes the container.
gone() {
  ok delete --force "$ID"
  rm -f "$BED/pid"
}
