#!/usr/bin/env bash
# jc 1.26.1: of a keyword that stands twice in sshd_config the last value is told; sshd uses the first.
#
# Expected: the parser "will work with `sshd` configuration files" (`jc --help --sshd-conf`). sshd_config(5): "For each
#   keyword, the first obtained value will be used"; of AllowUsers each line counts.
# Seen: `PermitRootLogin no` and below it `PermitRootLogin yes` is yes; of two AllowUsers lines only the second is
#   there.
# Matters: Debian's file begins with an Include, so that snippets win by coming first; an audit of the joined files by
#   this parser reads the settings that do not count.
set -euo pipefail
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
python3 -m venv "$t/v"
"$t/v/bin/pip" install -q 'jc==1.26.1'

printf '%s\n' 'PermitRootLogin no' 'AllowUsers ada' 'PermitRootLogin yes' 'AllowUsers bob' > "$t/sshd_config"
seen=$("$t/v/bin/jc" --sshd-conf < "$t/sshd_config" | python3 -c '
import json, sys
found = json.load(sys.stdin)
print(found["permitrootlogin"], found["allowusers"])')
cat "$t/sshd_config"
echo "jc: $seen"
[[ $seen == 'yes bob' ]] || { echo 'no longer as described' >&2; exit 1; }
