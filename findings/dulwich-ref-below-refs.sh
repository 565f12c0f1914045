#!/usr/bin/env bash
# dulwich 1.2.21: fetching from a local repository that has a ref one level below `refs/` ends in a bare AssertionError.
#
# Expected: `refs/save` is a ref like others: `git check-ref-format` accepts it, `git update-ref` makes it,
#   `git ls-remote` lists it, `git fsck` is content, and `git fetch` ignores it unless asked for it
#   (git-check-ref-format(1): a name must contain at least one slash).
# Seen: `LocalGitClient.fetch` raises AssertionError with no text. RefsContainer.get_symrefs walks every name, reading
#   `refs/save` gives None, and `assert ref_value is not None` fails; ValueError is the only exception it waits for.
# Matters: one such ref, made by somebody's script in a mirror, stops every agent that pulls from that path with dulwich,
#   although no branch has changed, and the error says neither which ref nor that it is about refs.
set -euo pipefail
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
python3 -m venv "$t/v"
"$t/v/bin/pip" install -q 'dulwich==1.2.21'

git init -q "$t/remote"
git -C "$t/remote" -c user.name=a -c user.email=a@example.org commit -q --allow-empty -m one
git -C "$t/remote" update-ref refs/save HEAD
git check-ref-format refs/save
git -C "$t/remote" fsck
git ls-remote "$t/remote"
seen=$("$t/v/bin/python" - "$t/remote" "$t/copy" <<'PY'
import sys

from dulwich.client import LocalGitClient
from dulwich.repo import Repo

with Repo.init(sys.argv[2], mkdir=True) as copy:
    try:
        print(LocalGitClient().fetch(sys.argv[1], copy).refs)
    except AssertionError as error:
        print(repr(error))
PY
)
echo "$seen"
git init -q "$t/gits" && git -C "$t/gits" fetch -q "$t/remote" && echo 'git fetch: exit 0'
[[ $seen == 'AssertionError()' ]] || { echo 'no longer as described' >&2; exit 1; }
