#!/usr/bin/env bash
# sshconf 0.2.7: a host that is declared with an equal sign is not there, and adding it makes a second block.
#
# Expected: ssh_config(5): options may be separated from their values "by whitespace or optional whitespace and exactly
#   one =". `Host=web` is what `Host web` is; `ssh -G` reads both.
# Seen: `hosts()` of a file with `Host=web` is empty, without an error.
# Matters: a tool that asks "is the host there?" before it adds it writes a second block. In ssh the first value of a key
#   wins, so the new settings are in the file and have no effect.
set -euo pipefail
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
python3 -m venv "$t/v"
"$t/v/bin/pip" install -q 'sshconf==0.2.7'

printf 'Host=web\n  Port=2222\n' > "$t/config"
seen=$("$t/v/bin/python" - "$t/config" <<'PY'
import sys

from sshconf import read_ssh_config_file

config = read_ssh_config_file(sys.argv[1])
print("hosts", config.hosts())
config.add("web", Port=2200)
config.write(sys.argv[1])
PY
)
echo "$seen"
cat "$t/config"
ssh=$(ssh -G -F "$t/config" web 2> /dev/null | grep '^port ')
echo "ssh: $ssh"
[[ $seen == 'hosts ()' && $ssh == 'port 2222' ]] || { echo 'no longer as described' >&2; exit 1; }
