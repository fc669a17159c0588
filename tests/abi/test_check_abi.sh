#!/bin/sh
# check_abi itself: it takes a struct that grew at its end, and refuses every other change of one.
# Arguments: the compiler, the source folder, the build folder.
set -u
compiler=$1
source=$2
build=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
library=$work/libkvs-plugin-abi.so
failed=0

# try WANTED HEADER SED-SCRIPT: the status of check_abi with a header that was changed so.
try() {
    rm -rf "$work/kvs"
    cp -r "$source/include/kvs" "$work/kvs"
    sed -i "$3" "$work/kvs/$2"
    if [ -n "$3" ] && cmp -s "$work/kvs/$2" "$source/include/kvs/$2"; then
        echo "FAILED: '$3' changes nothing"
        failed=1
    fi
    "$compiler" -g -O2 -std=gnu17 -shared -fPIC -fvisibility=hidden -Wl,-soname,libkvs-plugin-abi.so \
        -I"$work" -I"$build/include" -o "$library" "$source/tests/abi/plugin_abi.c" || exit 1
    "$source/tests/abi/check_abi" "$source/tests/abi/libkvs-plugin-abi.abi" "$library" "$work/kvs" \
        >"$work/out" 2>&1
    status=$?
    if [ "$status" != "$1" ]; then
        echo "FAILED: '$3' gave $status, not $1:"
        cat "$work/out"
        failed=1
    fi
}

try 0 pool.h ''
try 0 pool.h 's|^    uint64_t wakeups;.*|&\n    uint64_t later;|'
try 0 pool.h 's|^    void (\*wake_idle)(void \*arg);|&\n    uint64_t later;|'
try 0 engine.h 's|^    void \*arg;$|&|; s|^struct kvs_db;.*|struct kvs_db; /* another comment */|'
try 1 pool.h 's|^    uint64_t wakeups;.*||'
try 1 pool.h 's|^    uint64_t jobs_queued;|    int64_t jobs_queued;|'
try 1 pool.h 's|^    void (\*destroy)(struct kvs_pool \*pool);|    void (*later)(void);\n&|'
try 1 pool.h 's|^    void (\*destroy)(struct kvs_pool \*pool);|    void (*destroy)(struct kvs_pool *pool, int how);|'
try 1 pool.h 's|^    uint32_t flags; /\* 0 \*/$|&\n    uint64_t later; /* in a struct that is frozen */|'
exit $failed
