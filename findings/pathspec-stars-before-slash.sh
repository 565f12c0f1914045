#!/usr/bin/env bash
# pathspec 1.1.1: `build/**/` of a .gitignore matches files; for git it matches directories.
#
# Expected: gitignore(5): "If there is a separator at the end of the pattern then the pattern will only match
#   directories"; GitIgnoreSpec is there "to more closely replicate Git's behavior" (its README).
# Seen: the file `build/keep.yaml` is matched. Git ignores what is in folders below build, and no file in build itself.
# Matters: the usual line to keep the files of a folder and drop its subfolders; tools that read .gitignore with this
#   library pass over files that are in the repository.
set -euo pipefail
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
python3 -m venv "$t/v"
"$t/v/bin/pip" install -q 'pathspec==1.1.1'

git init -q "$t/r"
cd "$t/r"
echo 'build/**/' > .gitignore
git=$(printf '%s\n' build/keep.yaml build/cache/x | git check-ignore --no-index --stdin)
seen=$("$t/v/bin/python" -c '
from pathspec import GitIgnoreSpec
spec = GitIgnoreSpec.from_lines(["build/**/"])
print([name for name in ("build/keep.yaml", "build/cache/x") if spec.match_file(name)])')
echo "git: $git; pathspec: $seen"
[[ $git == build/cache/x && $seen == "['build/keep.yaml', 'build/cache/x']" ]] || { echo 'no longer as described' >&2; exit 1; }
