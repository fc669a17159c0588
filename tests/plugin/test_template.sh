#!/usr/bin/env bash
# What a stranger does with subprojects/kvs-plugin-template: copies it, builds it against an installed
# kvs, runs its tests, installs it, and runs the server with both of its plugins.
# Arguments: kvs's source folder, its build folder.
set -euo pipefail
source_dir=$1
build_dir=$2
temp=$(mktemp -d "${TMPDIR:-/tmp}/kvs-template-XXXXXX")
server=

cleanup() {
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$temp"
}
trap cleanup EXIT

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# step NAME COMMAND...: shows the command's output only when it fails.
step() {
    local name=$1
    shift
    echo "$name"
    "$@" >"$temp/log" 2>&1 || { cat "$temp/log" >&2; fail "$name"; }
}

installed=$temp/installed
step "installing kvs" meson install -C "$build_dir" --no-rebuild --destdir "$installed"
find "$installed" \( -name 'kvs-engine-memory.so' -o -name 'kvs-pool-work-stealing.so' \) -delete
cp -r "$source_dir/subprojects/kvs-plugin-template" "$temp/template"
PKG_CONFIG_PATH=$(dirname "$(find "$installed" -name kvs-plugin.pc)")
export PKG_CONFIG_PATH
LD_LIBRARY_PATH=$(dirname "$PKG_CONFIG_PATH")
export LD_LIBRARY_PATH
unset DESTDIR

step "setting up the template" meson setup "$temp/build" "$temp/template"
step "building the template" meson compile -C "$temp/build" --verbose
if grep -q warning: "$temp/log"; then
    cat "$temp/log" >&2
    fail "the template builds with warnings"
fi
if grep -qF -e "$source_dir/" -e "$build_dir/" "$temp/build/compile_commands.json"; then
    fail "the template was built with files of kvs's source or build folder"
fi
step "testing the template" meson test -C "$temp/build" --print-errorlogs
checker=$(find "$installed" -path "*/bin/kvs-plugin-check")
step "checking the engine" "$checker" "$temp/build/kvs-engine-memory.so"
step "checking the pool" "$checker" "$temp/build/kvs-pool-work-stealing.so"
step "installing the template" meson install -C "$temp/build" --no-rebuild

bin=$(dirname "$(find "$installed" -path "*/bin/kvs-server")")
"$bin/kvs-server" --list-plugins >"$temp/list"
grep -q '^engine memory ' "$temp/list" || fail "kvs-server does not list the engine"
grep -q '^pool work-stealing ' "$temp/list" || fail "kvs-server does not list the pool"

echo "serving with both"
"$bin/kvs-server" --addr 127.0.0.1:0 --data-dir "$temp/data" --engine memory \
    --engine-opt memory-max=1m --pool work-stealing --pool-opt spin=1us --threads 2 \
    2>"$temp/server-log" &
server=$!
address=
for ((i = 0; i < 3000 && ${#address} == 0; i++)); do
    address=$(grep -o '127\.0\.0\.1:[1-9][0-9]*' "$temp/server-log" | head -n 1 || true)
    kill -0 "$server" 2>/dev/null || { cat "$temp/server-log" >&2; fail "the server ended"; }
    [ -n "$address" ] || sleep 0.01
done
[ -n "$address" ] || fail "the server did not say where it listens"
client() {
    "$bin/kvs-client" --addr "$address" "$@"
}
client set colour blue
[ "$(client get colour)" = blue ] || fail "the value did not come back"
client rm colour
[ "$(client get colour)" = "Key not found" ] || fail "the value is still there"
# A value over the engine's own limit: the engine's message reaches the client.
head -c 2000000 /dev/zero | tr '\0' x >"$temp/big"
client set big - <"$temp/big" 2>"$temp/refusal" && fail "a value over memory-max was taken"
grep -q memory-max "$temp/refusal" || { cat "$temp/refusal" >&2; fail "no word of memory-max"; }
kill -TERM "$server"
status=0
wait "$server" || status=$?
server=
[ "$status" = 0 ] || { cat "$temp/server-log" >&2; fail "the server ended with status $status"; }
echo "all is well"
