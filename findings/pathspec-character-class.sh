#!/usr/bin/env bash
# pathspec 1.1.1: `[[:digit:]]` of a .gitignore matches no digit.
#
# Expected: GitIgnoreSpec is there "to more closely replicate Git's behavior" (its README). gitignore(5) points to
#   fnmatch(3) for brackets, and those have classes such as `[:digit:]` (glob(7)); git ignores `log.7` by
#   `log.[[:digit:]]`.
# Seen: `log.7` is not matched, `log.:]` is: the pattern is taken for a set of letters with a `]` behind it.
# Matters: linters, formatters and packers read .gitignore with this library: what git leaves out they take in,
#   generated files of hosts for instance.
set -euo pipefail
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
python3 -m venv "$t/v"
"$t/v/bin/pip" install -q 'pathspec==1.1.1'

git init -q "$t/r"
cd "$t/r"
echo 'log.[[:digit:]]' > .gitignore
git=$(printf '%s\n' log.7 'log.:]' | git check-ignore --no-index --stdin)
seen=$("$t/v/bin/python" -W ignore -c '
from pathspec import GitIgnoreSpec
spec = GitIgnoreSpec.from_lines(["log.[[:digit:]]"])
print([name for name in ("log.7", "log.:]") if spec.match_file(name)])')
echo "git: $git; pathspec: $seen"
[[ $git == log.7 && $seen == "['log.:]']" ]] || { echo 'no longer as described' >&2; exit 1; }
