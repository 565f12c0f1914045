#!/usr/bin/env bash
# jc 1.26.1 with python-debian 1.1.1: of a field of several lines in a package index only the first line is told.
#
# Expected: deb822(5): the value of a folded field "is a logical line that may span several lines", the further ones
#   beginning with a blank; Depends is such a field.
# Seen: of `Depends: libc6,` and ` adduser` the list is `libc6` alone, and of a description the text below its first
#   line is not there. Nothing says so. python-debian reads both lines.
# Matters: a list of what a repository's packages need is short without a sign of it; which tool wrote the index
#   decides whether the lines are folded.
set -euo pipefail
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
python3 -m venv "$t/v"
"$t/v/bin/pip" install -q 'jc==1.26.1' 'python-debian==1.1.1'

printf '%s\n' 'Package: web' 'Version: 1' 'Depends: libc6,' ' adduser' 'Filename: web.deb' '' > "$t/Packages"
seen=$("$t/v/bin/jc" --pkg-index-deb < "$t/Packages" | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["depends"])')
theirs=$("$t/v/bin/python" -c '
import sys
from debian.deb822 import Packages
with open(sys.argv[1]) as file:
    print([one["name"] for item in Packages.iter_paragraphs(file, use_apt_pkg=False) for either in item.relations["depends"] for one in either])
' "$t/Packages")
echo "jc: $seen; python-debian: $theirs"
[[ $seen == "['libc6']" && $theirs == "['libc6', 'adduser']" ]] || { echo 'no longer as described' >&2; exit 1; }
