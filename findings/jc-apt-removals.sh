#!/usr/bin/env bash
# jc 1.26.1: what apt-get would remove is not in its answer, and the installed version stands under `broken`.
#
# Expected: the parser's operations are "configure, remove, or unpack", and `existing_pkg_ver` is the version that is
#   there (`jc --help --apt-get-sqq`). apt-get(8), -s: "configure (Conf), remove (Remv) or unpack (Inst)".
# Seen: a `Remv` line as apt-get writes it, with a name and a version in brackets, gives no entry and no warning. Of
#   `Inst NAME [OLD] (NEW …)` OLD is `broken`, and `existing_pkg_ver` is null.
# Matters: who looks into a simulation before an upgrade looks for removals above all; here none is ever seen.
set -euo pipefail
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
python3 -m venv "$t/v"
"$t/v/bin/pip" install -q 'jc==1.26.1'

printf '%s\n' 'Remv tcl [8.6.13]' 'Inst bash [5.2.15-2] (5.2.15-3 Debian:12.15/oldstable [amd64])' > "$t/simulated"
seen=$("$t/v/bin/jc" --apt-get-sqq < "$t/simulated" | python3 -c '
import json, sys
print([(item["operation"], item["package"], item["broken"], item["existing_pkg_ver"]) for item in json.load(sys.stdin)])')
cat "$t/simulated"
echo "jc: $seen"
[[ $seen == "[('unpack', 'bash', '5.2.15-2', None)]" ]] || { echo 'no longer as described' >&2; exit 1; }
