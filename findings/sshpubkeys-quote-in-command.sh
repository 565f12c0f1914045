#!/usr/bin/env bash
# sshpubkeys 3.3.1: a quote within a forced command is lost from it, and with a blank between two the key is refused.
#
# Expected: sshd(8), AUTHORIZED_KEYS FILE FORMAT: "A quote may be included in the command by quoting it with a backslash."
#   `command="echo \"a\""` is the command `echo "a"`, and with `\"a b\"` the line is as valid: ssh-keygen reads the key.
# Seen: of the first, `SSHKey.options` has `echo \a\`: all quotes are taken away and the backslashes stay. The second raises
#   MalformedDataError "Unable to decode the key": the escaped quote ended the option, so the key is sought at the first blank.
# Matters: a tool that lists or compares forced commands shows another one than sshd runs; one that checks keys before it
#   writes them refuses a working line and blames the key.
set -euo pipefail
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
python3 -m venv "$t/v"
"$t/v/bin/pip" install -q 'sshpubkeys==3.3.1'

ssh-keygen -q -t ed25519 -N '' -C '' -f "$t/key"
key=$(cut -d' ' -f1,2 "$t/key.pub")
printf '%s\n' "command=\"echo \\\"a\\\"\",no-pty $key" "command=\"echo \\\"a b\\\"\",no-pty $key" > "$t/authorized_keys"
sed 's/ssh-ed25519.*/KEY/' "$t/authorized_keys"
[[ $(ssh-keygen -l -f "$t/authorized_keys" | wc -l) == 2 ]] && echo 'ssh-keygen: two keys'
seen=$("$t/v/bin/python" - "$t/authorized_keys" <<'PY'
import sys

from sshpubkeys import InvalidKeyError, SSHKey

for line in open(sys.argv[1]):
    key = SSHKey(line.strip())
    try:
        key.parse()
        print(key.options["command"][0])
    except InvalidKeyError as error:
        print(repr(error))
PY
)
echo "$seen"
[[ $seen == $'echo \\a\\\nMalformedDataError('*'Unable to decode the key'* ]] || { echo 'no longer as described' >&2; exit 1; }
