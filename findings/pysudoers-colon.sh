#!/usr/bin/env bash
# pysudoers 3.0.0: what stands behind a colon on a line of sudoers is lost or becomes a part of the name before it.
#
# Expected: sudoers(5): several aliases of one kind may stand on a line, joined by a colon, and a user specification
#   may go on with further hosts and their commands behind one: `alice h1=(root) /a : h2=(root) /b`.
# Seen: `User_Alias A = ann, bob : B = eve` is one alias whose second member is `bob:B=eve`; B is not there. Of the
#   specification the hosts are `h1=(root)`, and `/a` is gone. No error either time.
# Matters: a report of who may run what leaves out a command that sudo allows.
set -euo pipefail
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
python3 -m venv "$t/v"
"$t/v/bin/pip" install -q 'pysudoers==3.0.0'

printf '%s\n' 'User_Alias A = ann, bob : B = eve' 'alice h1=(root) /a : h2=(root) /b' > "$t/sudoers"
seen=$("$t/v/bin/python" -c '
import sys
from pysudoers import Sudoers
found = Sudoers(path=sys.argv[1])
print(found.user_aliases, [(rule["hosts"], [item["command"] for item in rule["commands"]]) for rule in found.rules])
' "$t/sudoers")
cat "$t/sudoers"
echo "pysudoers: $seen"
[[ $seen == "{'A': ['ann', 'bob:B=eve']} [(['h1=(root)'], ['/b'])]" ]] || { echo 'no longer as described' >&2; exit 1; }
