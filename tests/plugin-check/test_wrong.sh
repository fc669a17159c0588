#!/bin/sh
# A plugin of the shelf: kvs-plugin-check fails with the rule that it breaks, and says so in its exit
# status and in both forms of its report. Without a rule: it passes.
# Arguments: the program, the plugin, the rule or nothing.
set -u
program=$1
plugin=$2
rule=${3-}
out=$(mktemp)
trap 'rm -f "$out"' EXIT

fail() {
    echo "FAILED: $*" >&2
    cat "$out" >&2
    exit 1
}

if [ -z "$rule" ]; then
    "$program" "$plugin" >"$out" 2>&1 || fail "a plugin that breaks no rule was found fault with"
    exit 0
fi
group=${rule%.*}.* # the rules around it: the others are the business of the others
"$program" --timeout 600ms --only "$group" "$plugin" >"$out" 2>&1
status=$?
[ "$status" = 1 ] || fail "exit status $status, not 1"
grep -q "^FAIL     $rule\$" "$out" || fail "$rule is not among the broken rules"
"$program" --json --timeout 600ms --only "$rule" "$plugin" >"$out" 2>&1
grep -q "\"rule\": \"$rule\", \"result\": \"fail\"" "$out" || fail "$rule is not in the JSON report"
