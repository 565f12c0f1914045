#!/usr/bin/env bash
# debian-inspector 31.1.1: a version that ends in a tilde or a plus sign is no version, though dependencies are full of them.
#
# Expected: deb-version(7): a version may contain alphanumerics and `. + - : ~`; nothing is said of the last character,
#   and `dpkg --validate-version` takes `9.2016~`. `(>= 9.2016~)` is the usual way to allow backports.
# Seen: Version.from_string raises ValueError. parse_depends takes the relation and prints it, and only the question
#   whether an installed version satisfies it fails.
# Matters: a tool that checks relations with it reads every control file without a complaint and breaks on the package
#   that has one; reading is no test.
set -euo pipefail
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
python3 -m venv "$t/v"
"$t/v/bin/pip" install -q 'debian-inspector==31.1.1'

dpkg --validate-version '9.2016~' && dpkg --validate-version '1.0+' && echo 'dpkg: both valid'
seen=$("$t/v/bin/python" - <<'PY'
from debian_inspector.deps import parse_depends
from debian_inspector.version import Version


def told(action):
    try:
        return action()
    except ValueError as error:
        return repr(error)


relation = parse_depends("debhelper (>= 9.2016~)")
print(told(lambda: Version.from_string("1.0+")))
print(relation, "by 12:", told(lambda: relation.matches("debhelper", "12")))
print("without tilde by 12:", parse_depends("debhelper (>= 9.2016)").matches("debhelper", "12"))
PY
)
echo "$seen"
[[ $seen == $'ValueError(\'Invalid version string: "1.0+"\')\ndebhelper (>= 9.2016~) by 12: ValueError(\'Invalid version string: "9.2016~"\')\nwithout tilde by 12: True' ]] || { echo 'no longer as described' >&2; exit 1; }
