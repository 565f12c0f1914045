#!/usr/bin/env bash
# python-debian 1.1.1: two versions that are equal have different hashes, so sets and dictionaries keep both.
#
# Expected: objects that compare equal have the same hash (Python reference, object.__hash__). deb-version(7): a missing
#   epoch is 0, a missing revision is older than or equal to `0`: dpkg calls 1.0, 0:1.0 and 1.0-0 equal.
# Seen: `==` says what dpkg says; `hash` is that of the text. A set of the three has three members, `in` answers False
#   for an equal version, and a dictionary by version misses.
# Matters: "is that version among the installed or allowed ones?" is answered by lookup. dpkg-query prints `1.0`, an
#   index or a lock file may say `0:1.0`: a change is planned where none is.
set -euo pipefail
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
python3 -m venv "$t/v"
"$t/v/bin/pip" install -q 'python-debian==1.1.1'

seen=$("$t/v/bin/python" - <<'PY'
from debian.debian_support import Version

one, other, third = Version("1.0"), Version("0:1.0"), Version("1.0-0")
print("equal", one == other == third, "members", len({one, other, third}), "in set", other in {one}, "in list", other in [one])
PY
)
echo "$seen"
[[ $seen == 'equal True members 3 in set False in list True' ]] || { echo 'no longer as described' >&2; exit 1; }
