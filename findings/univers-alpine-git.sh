#!/usr/bin/env bash
# univers 32.0.1: versions of Alpine with `_git`, `_hg`, `_svn` or `_cvs` are refused as invalid.
#
# Expected: apk takes these suffixes of a version: alpha, beta, pre and rc, which come before the release, and cvs,
#   svn, git, hg and p, which come after it (apk-package(5)). `1.0_git20261101` is how Alpine names a snapshot after
#   1.0.
# Seen: AlpineLinuxVersion takes `1.0_rc1` and `1.0_p1` and raises InvalidVersion for the four others.
# Matters: Alpine ships many snapshots under such names; a comparison of what is installed with what is known to be
#   mended stops at the first, or leaves it out.
set -euo pipefail
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
python3 -m venv "$t/v"
"$t/v/bin/pip" install -q 'univers==32.0.1'

seen=$("$t/v/bin/python" -c '
from univers.versions import AlpineLinuxVersion, InvalidVersion
for suffix in ("rc1", "p1", "git20261101", "hg1", "svn1", "cvs1"):
    try:
        print(suffix, AlpineLinuxVersion(f"1.0_{suffix}") > AlpineLinuxVersion("1.0"), end=" ")
    except InvalidVersion:
        print(suffix, "invalid", end=" ")')
echo "after 1.0: $seen"
[[ $seen == 'rc1 False p1 True git20261101 invalid hg1 invalid svn1 invalid cvs1 invalid ' ]] || { echo 'no longer as described' >&2; exit 1; }
