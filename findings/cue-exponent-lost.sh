#!/usr/bin/env bash
# CUE v0.17.1 (Go module cuelang.org/go/cmd/cue): a number whose exponent is beyond 100,000 loses its exponent.
#
# Expected: "CUE numbers have arbitrary precision" (cuelang.org, tour, types/numbers): 1E+100001 stays what is
#   written, or is an error.
# Seen: 1E+100000 is exported as it is. 1E+100001 is 1, 3.5E+100001 is 35, and 1E-100001 is 1, with exit 0 and no
#   warning. The value has changed before it is judged: `< 100` holds. Numbers in JSON that is read are no different.
# Matters: a bound in a schema is judged on another number than the one a reviewer reads.
set -euo pipefail
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
GOBIN=$t go install cuelang.org/go/cmd/cue@v0.17.1

printf 'within: 1E+100000\nbeyond: 1E+100001\ndigits: 3.5E+100001\nsmall: 1E-100001\nbelow: beyond < 100\n' > "$t/a.cue"
printf '{"read": 7E+100001}' > "$t/b.json"
seen=$("$t/cue" export "$t/a.cue" "$t/b.json" | tr -d ' \n')
echo "$seen"
[[ $seen == '{"read":7,"within":1E+100000,"beyond":1,"digits":35,"small":1,"below":true}' ]] || { echo 'no longer as described' >&2; exit 1; }
