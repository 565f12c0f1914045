#!/usr/bin/env bash
# CUE v0.17.1 (Go module cuelang.org/go/cmd/cue) with PyYAML 6.0.4: one value is an integer in JSON and a float in YAML.
#
# Expected: the format does not change the value ("cue help export": JSON and YAML are encodings of the evaluated value,
#   and both "can encode any value").
# Seen: `100/10` is written `10` as JSON and `10.` as YAML. Who reads JSON has the integer 10, who reads YAML the float
#   10.0. Its neighbour `6/2` is `3.0` in both.
# Matters: a port or a count that was computed changes its type with the format of the hand-over; a schema of `integer`
#   accepts the one and refuses the other, and a template prints 10 or 10.0.
set -euo pipefail
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
GOBIN=$t go install cuelang.org/go/cmd/cue@v0.17.1
python3 -m venv "$t/v"
"$t/v/bin/pip" install -q 'pyyaml==6.0.4'

printf 'workers: 100/10\nhalves: 6/2\n' > "$t/a.cue"
json=$("$t/cue" export "$t/a.cue" | "$t/v/bin/python" -c 'import json, sys; print(json.load(sys.stdin))')
yaml=$("$t/cue" export --out yaml "$t/a.cue" | "$t/v/bin/python" -c 'import sys, yaml; print(yaml.safe_load(sys.stdin))')
"$t/cue" export --out yaml "$t/a.cue"
echo "JSON: $json"
echo "YAML: $yaml"
[[ $json == "{'workers': 10, 'halves': 3.0}" && $yaml == "{'workers': 10.0, 'halves': 3.0}" ]] || { echo 'no longer as described' >&2; exit 1; }
