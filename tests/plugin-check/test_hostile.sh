#!/usr/bin/env bash
# What plugins that break the contract do to a server: others are served, and it stops when it is told
# to; as docs/plugin-guide.md says. (The pools that lose jobs or threads cost what they lost.)
# Arguments: kvs-server, kvs-client, the folder of wrong plugins, a folder with the pool shared-queue.
set -u
server_program=$1
client_program=$2
wrong=$3
pools=$4
temp=$(mktemp -d "${TMPDIR:-/tmp}/kvs-hostile-XXXXXX")
server=

end_server() {
    [ -z "$server" ] || { kill -9 "$server" 2>/dev/null; wait "$server" 2>/dev/null; }
    server=
}
trap 'end_server; rm -rf "$temp"' EXIT

fail() {
    echo "FAILED: $*" >&2
    cat "$temp/log" >&2
    exit 1
}

client() {
    timeout "${LIMIT:-20}" "$client_program" --addr "unix:$temp/socket" "$@" 2>&1
}

# begin ENGINE: a server with it that answers.
begin() {
    rm -rf "$temp/data" "$temp/socket"
    "$server_program" --plugin-dir "$wrong" --plugin-dir "$pools" --engine "$1" --data-dir "$temp/data" \
        --listen "unix:$temp/socket" --threads 2 2>"$temp/log" &
    server=$!
    until [ "$(client ping)" = PONG ]; do
        kill -0 "$server" 2>/dev/null || fail "$1: the server ended"
        sleep 0.02
    done
}

# stop ENGINE: it ends well, and others were served until then.
stop() {
    [ "$(client ping)" = PONG ] || fail "$1: others are not served any more"
    kill "$server"
    wait "$server" || fail "$1: the server ended with status $?"
    server=
}

begin get-without-visit
client set colour blue || fail "set"
client get colour | grep -q 'a bug of the engine' || fail "get-without-visit: no word of the engine's bug"
stop get-without-visit

for engine in completes-unasked remove-status leaks-thread leaks-descriptor stats; do
    begin "$engine"
    client set colour blue || fail "$engine: set"
    [ "$(client get colour)" = blue ] || fail "$engine: the value did not come back"
    stop "$engine"
done

# A completion that never comes: whoever waits for it waits, all others go on.
begin completes-never
LIMIT=0.3 client set colour blue && fail "completes-never: it completed"
for i in 1 2 3 4 5; do
    [ "$(client get "$i")" = "Key not found" ] || fail "completes-never: others are not served any more"
done
end_server
rm -rf "$temp/data"

"$server_program" --plugin-dir "$wrong" --plugin-dir "$pools" --engine option-lies --engine-opt level=1 \
    --data-dir "$temp/data" --listen "unix:$temp/socket" 2>"$temp/log" && fail "option-lies: it started"
grep -q 'level is at least 2' "$temp/log" || fail "option-lies: the engine's message is not shown"
"$server_program" --plugin-dir "$wrong" --plugin-dir "$pools" --engine option-lies --engine-opt level=10 \
    --data-dir "$temp/data" --listen "unix:$temp/socket" 2>"$temp/log" && fail "option-lies: it started"
grep -q '1..9' "$temp/log" || fail "a value out of range: the range is not shown"
exit 0
