#!/usr/bin/env bash
# CUE v0.17.1 (Go module cuelang.org/go/cmd/cue) with PyYAML 6.0.4: a number that CUE writes as YAML is read as text.
#
# Expected: a number exported as YAML is a number for who reads YAML (YAML 1.2.2, 10.3.2: `1E+5` is a float; CUE itself
#   reads it back as a number).
# Seen: CUE normalizes 1e5, 2.0e7 and 1e-7 to `1E+5`, `2.0E+7`, `1E-7`. PyYAML follows YAML 1.1, whose floats need a dot: it
#   reads the first and the third as strings, the second as a float. Whether a value is a number depends on its digits.
# Matters: Ansible, Salt and most Python tools read YAML with PyYAML. `cue export --out yaml` before them turns a limit
#   of 1e5 into the text "1E+5", which compares and adds as text.
set -euo pipefail
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
GOBIN=$t go install cuelang.org/go/cmd/cue@v0.17.1
python3 -m venv "$t/v"
"$t/v/bin/pip" install -q 'pyyaml==6.0.4'

printf 'limit: 1e5\nbytes: 2.0e7\nshare: 1e-7\n' > "$t/a.cue"
"$t/cue" export --out yaml "$t/a.cue" | tee "$t/a.yaml"
seen=$("$t/v/bin/python" -c 'import sys, yaml; print(yaml.safe_load(open(sys.argv[1])))' "$t/a.yaml")
echo "$seen"
[[ $seen == "{'limit': '1E+5', 'bytes': 20000000.0, 'share': '1E-7'}" ]] || { echo 'no longer as described' >&2; exit 1; }
