#!/usr/bin/env bash
# dulwich 1.2.21: a value of a Git config file that goes on in the next line loses that line's blanks, also in quotes.
#
# Expected: "the backslash and the end-of-line are stripped", and "internal whitespaces within the value are retained
#   verbatim" (git-config(1), Syntax). `ssh\` followed by `    -i key` is `ssh    -i key`, as git reads it.
# Seen: ConfigFile strips the blanks at the beginning of the continued line: the value is `ssh-i key`. Inside double
#   quotes, where blanks are kept for certain, the same.
# Matters: one file, two readers: core.sshCommand, a credential helper or a proxy command runs in git and is another
#   program in a tool that uses dulwich; values that were wrapped by hand are the ones with several words.
set -euo pipefail
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
python3 -m venv "$t/v"
"$t/v/bin/pip" install -q 'dulwich==1.2.21'

printf '[core]\n\tsshCommand = ssh\\\n    -i key\n[user]\n\tname = "Ada\\\n Byron"\n' > "$t/config"
git=$(git config -f "$t/config" core.sshCommand; git config -f "$t/config" user.name)
seen=$("$t/v/bin/python" - "$t/config" <<'PY'
import sys

from dulwich.config import ConfigFile

config = ConfigFile.from_path(sys.argv[1])
print(config.get((b"core",), b"sshCommand").decode())
print(config.get((b"user",), b"name").decode())
PY
)
printf 'git:\n%s\ndulwich:\n%s\n' "$git" "$seen"
[[ $git == $'ssh    -i key\nAda Byron' && $seen == $'ssh-i key\nAdaByron' ]] || { echo 'no longer as described' >&2; exit 1; }
