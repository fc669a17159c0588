#!/bin/sh
# An engine whose open throws: the exception ends at the border, as a status with its message.
# Arguments: kvs-plugin-check, the plugin.
set -u
out=$("$1" --only engine.open.creates "$2" 2>&1)
if [ $? = 1 ] && echo "$out" | grep -q "open gave 'internal error'.*it was told to throw"; then
    exit 0
fi
echo "FAILED: the exception did not become a status: $out"
exit 1
