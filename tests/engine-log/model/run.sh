#!/usr/bin/env bash
# Searches the model of the index exhaustively, in a few small settings; then breaks each of its
# rules and expects that the search finds an error. Exit 77 (skipped) without spin or a C compiler.
set -eu

model=$(cd "$(dirname "$0")" && pwd)/index.pml
compiler=${CC:-cc}
for program in spin "${compiler%% *}"; do
    if ! command -v "$program" >/dev/null; then
        echo "skipped: $program is not installed (Debian: apt install spin gcc)"
        exit 77
    fi
done

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

# search APPENDS MOVES GROWTHS [RULE]: runs the verifier; its output is in ./out. An error is found
# so soon that optimising its verifier would take longer.
search() {
    spin -DLOOKUPS=1 -DAPPENDS="$1" -DMOVES="$2" -DGROWTHS="$3" ${4:+-D"$4"} \
        -a "$model" >out 2>&1 || { cat out; exit 1; }
    level=1
    if [ -n "${4:-}" ]; then level=0; fi
    $compiler -O$level -DSAFETY -DCOLLAPSE -DMEMLIM=2000 -w -o pan pan.c
    ./pan -m100000 -n >out 2>&1 || true
}

states() { sed -n 's/^ *\([0-9]*\) states, stored.*/\1 states/p' out; }

failed=0
holds() {
    search "$@"
    if grep -q 'errors: 0' out && ! grep -q 'not completed\|too small\|out of memory' out; then
        echo "holds: $1 appends, $2 moves, $3 growths ($(states))"
    else
        echo "FAILED: $1 appends, $2 moves, $3 growths:"
        cat out
        failed=1
    fi
}

breaks() {
    rule=$1
    shift
    search "$@" "$rule"
    if grep -q 'assertion violated' out && ! grep -q 'errors: 0' out; then
        echo "breaks: $rule ($(sed -n 's/.*assertion violated \(.*\) (at.*/\1/p' out))"
    else
        echo "FAILED: the search finds nothing wrong with $rule:"
        cat out
        failed=1
    fi
}

holds 2 0 2
holds 1 1 1
holds 3 0 0
holds 0 2 2
holds 2 1 0

breaks NOGRACE_PLACES 2 0 2
breaks NOGRACE_TABLES 2 0 2
breaks UNFULL         2 0 2
breaks MOVE           2 0 2
breaks EARLY          2 0 2
breaks UNWRITTEN      2 0 2
breaks LATE           2 0 2
breaks NOCOMPARE      2 1 0
breaks NOSECTION      2 1 0
exit $failed
