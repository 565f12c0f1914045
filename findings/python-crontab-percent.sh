#!/usr/bin/env bash
# python-crontab 3.4.0: an escaped percent sign in a job's input loses its backslash and becomes the end of a line.
#
# Expected: crontab(5): percent signs in the command, unless escaped with a backslash, are changed into newlines, and what
#   follows the first one is sent to the command as standard input. `mail ops%used 90\%%bye` sends "used 90%" and "bye".
# Seen: written back it is `mail ops %used 90%%bye`: the job now sends "used 90", an empty line and "bye". A percent sign
#   that is escaped before the first bare one (`date +\%F`) keeps its backslash.
# Matters: the text that a job feeds to mail, sql or bc changes when a tool changes another line of the crontab.
set -euo pipefail
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
python3 -m venv "$t/v"
"$t/v/bin/pip" install -q 'python-crontab==3.4.0'

seen=$("$t/v/bin/python" - <<'PY'
from crontab import CronTab

for before in (r"5 4 * * * date +\%F", r"5 4 * * * mail ops%used 90\%%bye"):
    print(before, "->", str(CronTab(tab=before + "\n")).strip())
PY
)
echo "$seen"
[[ $seen == '5 4 * * * date +\%F -> 5 4 * * * date +\%F'$'\n''5 4 * * * mail ops%used 90\%%bye -> 5 4 * * * mail ops %used 90%%bye' ]] || { echo 'no longer as described' >&2; exit 1; }
