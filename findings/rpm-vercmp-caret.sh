#!/usr/bin/env bash
# rpm-vercmp 0.1.2 (PyPI): it knows rpm's tilde but not its caret, and calls a snapshot newer than the release after it.
#
# Expected: it "implements rpmvercmp". Since rpm 4.15 a caret marks what comes after a release but before the next one:
#   1.0 < 1.0^20261101 < 1.0.1 (Fedora packaging guidelines, Versioning: snapshots after a release). univers 32.0.1,
#   which agreed with rpm 4.18 on 253 pairs, says so.
# Seen: the caret is taken for a separator: 1.0^20261101 is compared as 1.0.20261101, so it beats 1.0.1; and `1.0^` equals 1.0.
# Matters: asked which of two packages is the update, a tool keeps the snapshot for ever or plans a downgrade.
set -euo pipefail
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
python3 -m venv "$t/v"
"$t/v/bin/pip" install -q 'rpm-vercmp==0.1.2' 'univers==32.0.1'

seen=$("$t/v/bin/python" - <<'PY'
from rpm_vercmp import vercmp
from univers.versions import RpmVersion


def compared(left, right):
    left, right = RpmVersion(left), RpmVersion(right)
    return (left > right) - (left < right)


for pair in (("1.0~rc1", "1.0"), ("1.0", "1.0^20261101"), ("1.0^20261101", "1.0.1"), ("1.0", "1.0^")):
    print(*pair, "rpm-vercmp", vercmp(*pair), "univers", compared(*pair))
PY
)
echo "$seen"
[[ $seen == *'1.0^20261101 1.0.1 rpm-vercmp 1 univers -1'*'1.0 1.0^ rpm-vercmp 0 univers -1'* ]] || { echo 'no longer as described' >&2; exit 1; }
